// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Look-up, life and death of flows; see flow_table.h for the idea.

#include "engine/flow_table.h"

#include <algorithm>

#include "engine/events.h"
#include "engine/rule_table.h"

namespace vxlnat {

namespace {

FlowState state_of(const vxlnat_flow& flow) {
  return static_cast<FlowState>(flow.state);
}

PortMapKey map_key(const vxlnat_flow& flow) {
  return {flow.public_ip, flow.remote_ip, flow.remote_port,
          static_cast<std::uint8_t>(flow.vni_proto)};
}

}  // namespace

FlowTable::FlowTable(const Memory& memory, const EngineConfig& config,
                     const HashKey& key, Stats& stats, Accounts& accounts)
    : index_(memory.buckets, memory.bucket_count),
      flows_(memory.flows),
      rules_(memory.rules),
      size_(config.max_flows),
      timers_(memory.timers),
      key_(key),
      stats_(stats),
      accounts_(accounts),
      reap_at_(config.max_flows),
      vnet_tallies_(config.max_vnets),
      public_tallies_(config.max_rules),
      maps_(config.max_port_maps) {
  for (std::uint32_t i = size_; i-- > 0;) {
    flows_[i].rule = free_;
    free_ = i;
  }
}

std::uint32_t FlowTable::quarantine(const vxlnat_flow& flow) const {
  return timers_[rules_[flow.rule].timers]
      .ms[static_cast<std::size_t>(TimerClass::kQuarantine)];
}

bool FlowTable::is_expired(const vxlnat_flow& flow, Tick now) const {
  return idle(flow, now) >= timeout(flow);
}

vxlnat_flow* FlowTable::checked(std::uint32_t ref, Tick now) {
  if (ref == 0) return nullptr;
  vxlnat_flow& flow = flows_[ref / 2 - 1];
  if (is_dead(flow)) {
    release(index_of(flow));
    return nullptr;
  }
  if (!is_expired(flow, now)) return &flow;
  if (state_of(flow) == FlowState::kQuarantine) {
    release(index_of(flow));
    return nullptr;
  }
  end(flow, now);
  return state_of(flow) == FlowState::kQuarantine ? &flow : nullptr;
}

template <typename SameKey>
vxlnat_flow* FlowTable::copy(const vxlnat_flow* flow, Tick now,
                             SameKey&& same_key) {
  for (std::uint32_t i = 0; i < copies_used_; i++) {
    if (state_of(copies_[i]) != FlowState::kFree && same_key(copies_[i])) {
      return &copies_[i];
    }
  }
  if (flow == nullptr || is_dead(*flow)) return nullptr;
  for (std::uint32_t i = 0; i < copies_used_; i++) {
    if (outside_key(copies_[i]) == outside_key(*flow)) return nullptr;
  }
  vxlnat_flow& made = next_copy() = *flow;
  if (is_expired(made, now)) end_copy(made, now);
  return state_of(made) == FlowState::kFree ? nullptr : &made;
}

void FlowTable::end_copy(vxlnat_flow& flow, Tick now) const {
  const bool ended = !is_live(state_of(flow)) || hold_time(flow, now) == 0;
  flow.state = static_cast<std::uint8_t>(ended ? FlowState::kFree
                                               : FlowState::kQuarantine);
}

vxlnat_flow* FlowTable::at_inside(std::uint64_t key_hash, const FlowKey& key,
                                  Tick now) {
  const std::uint32_t ref = ref_inside(key_hash, key);
  if (!dry_) [[likely]]
    return checked(ref, now);
  return copy(record(ref), now,
              [&](const vxlnat_flow& f) { return inside_key(f) == key; });
}

vxlnat_flow* FlowTable::at_outside(std::uint64_t key_hash, const FlowKey& key,
                                   Tick now) {
  const std::uint32_t ref = ref_outside(key_hash, key);
  if (!dry_) [[likely]]
    return checked(ref, now);
  return copy(record(ref), now,
              [&](const vxlnat_flow& f) { return outside_key(f) == key; });
}

vxlnat_flow* FlowTable::live_inside(const FlowKey& key, Tick now,
                                    std::uint64_t known_hash) {
  vxlnat_flow* flow =
      at_inside(known_hash != 0 ? known_hash : hash(key), key, now);
  return flow != nullptr && is_live(state_of(*flow)) ? flow : nullptr;
}

vxlnat_flow* FlowTable::live_outside(const FlowKey& key, Tick now,
                                     std::uint64_t known_hash) {
  vxlnat_flow* flow =
      at_outside(known_hash != 0 ? known_hash : hash(key), key, now);
  return flow != nullptr && is_live(state_of(*flow)) ? flow : nullptr;
}

bool FlowTable::step(Tick now) {
  const std::uint32_t index = hand_;
  hand_ = hand_ + 1 == size_ ? 0 : hand_ + 1;
  if (accounts_.bindings().count() > 0) accounts_.expire_binding(index);
  vxlnat_flow& flow = flows_[index];
  if (state_of(flow) == FlowState::kFree) return false;
  if (is_dead(flow)) {
    release(index);
    return true;
  }
  if (!is_expired(flow, now)) return false;
  if (state_of(flow) == FlowState::kQuarantine) {
    release(index);
    return true;
  }
  end(flow, now);
  return state_of(flow) == FlowState::kFree;
}

bool FlowTable::port_in_use(const PortMapKey& key, std::uint16_t port,
                            Tick now) {
  const FlowKey tuple = outside_key(key.proto, key.public_ip, port,
                                    key.remote_ip, key.remote_port);
  if (!dry_) return find_outside(tuple, now) != nullptr;
  const vxlnat_flow* flow = peek_outside(tuple);
  if (flow == nullptr || is_dead(*flow)) return false;
  vxlnat_flow copied = *flow;
  if (is_expired(copied, now)) end_copy(copied, now);
  return copied.state != static_cast<std::uint8_t>(FlowState::kFree);
}

bool FlowTable::make_room(Tick now) {
  if (dry_) return true;
  for (std::uint32_t i = 0; free_ == kNone && i < kLookForRoom; i++) {
    const std::uint32_t at = hand_;
    if (!step(now) && state_of(flows_[at]) == FlowState::kQuarantine) {
      release(at);
    }
  }
  return free_ != kNone;
}

vxlnat_flow* FlowTable::add(const vxlnat_flow& like, Tick now,
                            std::uint64_t inside_hash) {
  if (dry_) {
    vxlnat_flow& made = next_copy() = like;
    made.last_seen = static_cast<std::uint32_t>(now);
    return &made;
  }
  vxlnat_flow flow = like;
  flow.last_seen = static_cast<std::uint32_t>(now);
  return put(flow, now, inside_hash);
}

bool FlowTable::restore(const vxlnat_flow& flow, Tick now) {
  return find_inside(inside_key(flow), now) == nullptr &&
         find_outside(outside_key(flow), now) == nullptr &&
         put(flow, now, 0) != nullptr;
}

vxlnat_flow* FlowTable::put(const vxlnat_flow& like, Tick now,
                            std::uint64_t inside_hash) {
  if (!make_room(now)) return nullptr;
  const std::uint32_t index = free_;
  free_ = flows_[index].rule;
  vxlnat_flow& flow = flows_[index];
  flow = like;
  accounts_.added(flow);
  if (is_live(state_of(flow))) {
    tell(flow, true);
    stats_.flows_created.add();
  }
  if (inside_hash == 0) inside_hash = hash(inside_key(flow));
  index_.insert(inside_hash, (index + 1) * 2 + 1);
  index_.insert(hash(outside_key(flow)), (index + 1) * 2);
  maps_.set(map_key(flow), flow.public_port, true);
  return &flow;
}

void FlowTable::tell(const vxlnat_flow& flow, bool live) {
  const std::uint32_t slot = rules_[flow.rule].vnet_slot;
  vnet_tallies_[slot].add(live, accounts_.vnet(slot).flows);
  public_tallies_[flow.public_slot].add(
      live, accounts_.public_flows(flow.public_slot));
  stats_.flows.set(stats_.flows.read() + (live ? 1 : ~0ull));
  if (stats_.events != nullptr) {
    stats_.events->add(live ? FlowEventKind::kCreate : FlowEventKind::kEnd,
                       flow);
  }
}

void FlowTable::set_state(vxlnat_flow& flow, FlowState state) {
  const FlowState before = state_of(flow);
  if (before == state) return;
  if (dry_) {
    flow.state = static_cast<std::uint8_t>(state);
    return;
  }
  if (!is_live(before) && is_live(state)) stats_.flows_revived.add();
  accounts_.changed(flow, before, state);
  if (is_live(before) != is_live(state)) tell(flow, is_live(state));
  flow.state = static_cast<std::uint8_t>(state);
}

// How long the outside tuple of a live flow is held when it ends now.
std::uint32_t FlowTable::hold_time(const vxlnat_flow& flow, Tick now) const {
  if (static_cast<std::uint8_t>(flow.vni_proto) != kTcp) return 0;
  const std::uint32_t hold = quarantine(flow);
  // Time spent closing without a packet counts.
  const bool closed = timer_class(state_of(flow)) == TimerClass::kClosing &&
                      idle(flow, now) >= hold;
  return closed ? 0 : hold;
}

void FlowTable::end(vxlnat_flow& flow, Tick now) {
  if (dry_) {
    end_copy(flow, now);
    return;
  }
  if (hold_time(flow, now) == 0) {
    release(index_of(flow));
    return;
  }
  set_state(flow, FlowState::kQuarantine);
  flow.last_seen = static_cast<std::uint32_t>(now);
  stats_.flows_expired.add();
}

void FlowTable::release(std::uint32_t index) {
  vxlnat_flow& flow = flows_[index];
  accounts_.released(flow);
  if (is_live(state_of(flow))) {
    tell(flow, false);
    stats_.flows_expired.add();
  }
  index_.remove(hash(inside_key(flow)), (index + 1) * 2 + 1);
  index_.remove(hash(outside_key(flow)), (index + 1) * 2);
  maps_.set(map_key(flow), flow.public_port, false);
  flow.state = static_cast<std::uint8_t>(FlowState::kFree);
  flow.rule = free_;
  free_ = index;
}

// Asks for the buckets of what the next steps of the hand will end.
void FlowTable::look_ahead(Tick now) const {
  std::uint64_t a[kSweepAhead * 2];
  std::uint64_t b[kSweepAhead * 2];
  std::size_t n = 0;
  const std::uint32_t end = std::min(size_, hand_ + kSweepAhead);
  for (std::uint32_t i = hand_; i < end; i++) {
    const vxlnat_flow& flow = flows_[i];
    if (state_of(flow) == FlowState::kFree || is_current(flow, now)) continue;
    for (const FlowKey& key : {inside_key(flow), outside_key(flow)}) {
      a[n] = key.a;
      b[n++] = key.b;
    }
  }
  if (n == 0) return;
  hash16_many(key_, a, b, a, n);
  for (std::size_t i = 0; i < n; i++) prefetch(a[i]);
}

bool FlowTable::sweep(Tick now, std::size_t budget) {
  std::size_t room = budget / kReleaseCost + 1;
  for (budget = std::min<std::size_t>(budget, size_); budget > 0; budget--) {
    if (budget % kSweepAhead == 0) look_ahead(now);
    if (step(now) && --room == 0) return true;
  }
  return false;
}

bool FlowTable::reap(std::size_t budget) {
  std::size_t room = budget / kReleaseCost + 1;
  for (; budget > 0 && room > 0 && reap_at_ < size_; budget--, reap_at_++) {
    const vxlnat_flow& flow = flows_[reap_at_];
    accounts_.expire_binding(reap_at_);
    accounts_.forget_dead_member(reap_at_);
    if (state_of(flow) == FlowState::kFree || !is_dead(flow)) continue;
    release(reap_at_);
    room--;
  }
  return reap_at_ < size_;
}

}  // namespace vxlnat
