// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Vnets, rules and which public addresses rules use; see rule_table.h.

#include "engine/rule_table.h"

#include <algorithm>
#include <cstring>

#include "engine/flow_state.h"

namespace vxlnat {

const RuleOptions RuleTable::kDefaults;

RuleTable::RuleTable(const Memory& memory, const EngineConfig& config,
                     Stats& stats)
    : rules_(memory.rules),
      publics_(memory.publics),
      timers_(memory.timers),
      stats_(stats),
      members_(config.max_rules),
      generations_(config.max_rules),
      options_(config.max_rules),
      vnets_(config.max_vnets),
      vnet_buckets_(BucketIndex::buckets_for(config.max_vnets)),
      vnet_index_(vnet_buckets_.data(), vnet_buckets_.size()),
      public_index_(memory.public_buckets, memory.public_bucket_count),
      free_rules_(config.max_rules) {
  for (std::uint32_t i = config.max_rules; i-- > 0;) {
    rules_[i].next = free_rule_;
    free_rule_ = i;
    publics_[i].next = free_public_;
    free_public_ = i;
  }
  for (std::uint32_t i = config.max_vnets; i-- > 0;) {
    vnets_[i].next_free = free_vnet_;
    free_vnet_ = i;
  }
}

std::uint32_t RuleTable::find_vnet(Vni vni) const {
  // No vnet is ref 0, so this gives kNoSlot.
  return vnet_index_.find(hash(vni), [&](std::uint32_t ref) {
    return vnets_[ref - 1].vni == vni;
  }) - 1;
}

std::uint32_t RuleTable::find_public(Ip4 ip) const {
  return public_index_.find(
      hash(ip), [&](std::uint32_t ref) { return publics_[ref - 1].ip == ip; });
}

std::uint32_t RuleTable::match_from(std::uint32_t rule, Ip4 ip) const {
  while (rule != kNoSlot && (ip & rules_[rule].mask) != rules_[rule].prefix) {
    rule = rules_[rule].next;
  }
  return rule;
}

// Those after it in the list are no longer, so one that covers its first
// address covers them all.
std::uint32_t RuleTable::around(std::uint32_t rule) const {
  return match_from(rules_[rule].next, rules_[rule].prefix);
}

std::uint32_t RuleTable::router(std::uint32_t vnet_slot, Ip4 ip) const {
  if ((vnets_[vnet_slot].router_bits & router_bit(ip)) == 0) return kNoSlot;
  std::uint32_t at = vnets_[vnet_slot].first_rule;
  while (at != kNoSlot && rules_[at].router_ip != ip) at = rules_[at].next;
  return at;
}

bool RuleTable::is_router_mac(std::uint32_t vnet_slot, Mac mac) const {
  std::uint32_t at = vnets_[vnet_slot].first_rule;
  while (at != kNoSlot && rules_[at].router_mac != mac) at = rules_[at].next;
  return at != kNoSlot;
}

std::uint32_t RuleTable::find(Vni vni, const Prefix& prefix) const {
  const std::uint32_t slot = find_vnet(vni);
  if (slot == kNoSlot) return kNoSlot;
  std::uint32_t at = vnets_[slot].first_rule;
  while (at != kNoSlot && (rules_[at].prefix != prefix.address ||
                           rules_[at].bits != prefix.bits)) {
    at = rules_[at].next;
  }
  return at;
}

std::uint32_t RuleTable::make_vnet(Vni vni) {
  const std::uint32_t slot = free_vnet_;
  if (slot == kNoSlot) return kNoSlot;
  free_vnet_ = vnets_[slot].next_free;
  vnets_[slot] = Vnet{};
  vnets_[slot].vni = vni;
  const auto limits = limits_.find(vni);
  if (limits != limits_.end()) vnets_[slot].limits = limits->second;
  vnet_index_.insert(hash(vni), slot + 1);
  fresh_vnets_.push_back(slot);
  stats_.vnets.set(stats_.vnets.read() + 1);
  return slot;
}

std::uint32_t RuleTable::hold_public(Ip4 ip) {
  const std::uint32_t ref = find_public(ip);
  if (ref != 0) {
    publics_[ref - 1].rules++;
    return ref - 1;
  }
  // There are as many places as rules, so there is one.
  const std::uint32_t slot = free_public_;
  free_public_ = publics_[slot].next;
  const bool draining =
      std::find(drains_.begin(), drains_.end(), ip) != drains_.end();
  publics_[slot] = {ip, 1, kNoSlot, draining ? VXLNAT_PUBLIC_DRAINING : 0};
  public_index_.insert(hash(ip), slot + 1);
  fresh_publics_.push_back(slot);
  return slot;
}

void RuleTable::drop_public(Ip4 ip) {
  const std::uint32_t ref = find_public(ip);
  vxlnat_public& entry = publics_[ref - 1];
  if (--entry.rules > 0) return;
  public_index_.remove(hash(ip), ref);
  entry.next = free_public_;
  free_public_ = ref - 1;
}

void RuleTable::link(std::uint32_t rule) {
  std::uint32_t* at = &vnets_[rules_[rule].vnet_slot].first_rule;
  while (*at != kNoSlot && rules_[*at].bits >= rules_[rule].bits) {
    at = &rules_[*at].next;
  }
  rules_[rule].next = *at;
  *at = rule;
}

void RuleTable::unlink(std::uint32_t rule) {
  std::uint32_t* at = &vnets_[rules_[rule].vnet_slot].first_rule;
  while (*at != rule) at = &rules_[*at].next;
  *at = rules_[rule].next;
}

void RuleTable::learn_routers(std::uint32_t vnet_slot) {
  Vnet& vnet = vnets_[vnet_slot];
  vnet.router_bits = 0;
  for (std::uint32_t at = vnet.first_rule; at != kNoSlot;
       at = rules_[at].next) {
    vnet.router_bits |= router_bit(rules_[at].router_ip);
  }
  // The fast path reads them from any rule.
  for (std::uint32_t at = vnet.first_rule; at != kNoSlot;
       at = rules_[at].next) {
    for (std::uint32_t m = at; m != kNoSlot; m = members_[m].next) {
      rules_[m].first = vnet.first_rule;
      rules_[m].router_bits = vnet.router_bits;
    }
  }
}

std::uint32_t RuleTable::member_of(std::uint32_t head, Ip4 public_ip) const {
  while (head != kNoSlot && rules_[head].public_ip != public_ip) {
    head = members_[head].next;
  }
  return head;
}

std::uint32_t RuleTable::other_users(Ip4 public_ip, std::uint32_t head) const {
  const std::uint32_t ref = find_public(public_ip);
  if (ref == 0) return 0;
  const bool own = member_of(head, public_ip) != kNoSlot;
  return publics_[ref - 1].rules - (own ? 1 : 0);
}

bool RuleTable::is_exclusive(Ip4 public_ip) const {
  const std::uint32_t ref = find_public(public_ip);
  return ref != 0 && (publics_[ref - 1].flags & VXLNAT_PUBLIC_EXCLUSIVE) != 0;
}

const char* RuleTable::check_room(Vni vni, std::size_t members) const {
  if (members > free_rules_) return "the rule table is full";
  if (members > 0 && free_vnet_ == kNoSlot && find_vnet(vni) == kNoSlot) {
    return "the vnet table is full";
  }
  return nullptr;
}

// Profile 0 is the engine's own and is never given up.
std::optional<std::uint16_t> RuleTable::hold_timers(
    const RuleOptions* options) {
  if (options == nullptr || !options->timers) return 0;
  const vxlnat_timers wanted = pack(*options->timers);
  std::uint16_t place = 0;
  for (std::uint16_t i = 1; i < VXLNAT_MAX_TIMERS; i++) {
    if (timer_users_[i] == 0) {
      place = i;
    } else if (std::memcmp(&timers_[i], &wanted, sizeof wanted) == 0) {
      timer_users_[i]++;
      return i;
    }
  }
  if (place == 0) return std::nullopt;
  timers_[place] = wanted;
  timer_users_[place] = 1;
  return place;
}

void RuleTable::drop_timers(std::uint16_t profile) {
  if (profile != 0) timer_users_[profile]--;
}

// A live record, in no list yet.
std::uint32_t RuleTable::take(std::uint32_t vnet_slot,
                              const vxlnat_rule& like) {
  const std::uint32_t index = free_rule_;
  free_rule_ = rules_[index].next;
  free_rules_--;
  generations_[index]++;
  rules_[index] = like;
  rules_[index].public_slot = hold_public(like.public_ip);
  rules_[index].state = static_cast<std::uint32_t>(RuleState::kLive);
  vnets_[vnet_slot].live_rules++;
  vnets_[vnet_slot].all_rules++;
  return index;
}

std::uint32_t RuleTable::add(const SetRule& rule, Ip4 public_ip) {
  std::uint32_t slot = find_vnet(rule.vnet);
  if (slot == kNoSlot) slot = make_vnet(rule.vnet);
  vxlnat_rule like{};
  like.vni = rule.vnet;
  like.prefix = rule.prefix.address;
  like.mask = rule.prefix.mask();
  like.bits = rule.prefix.bits;
  like.public_ip = public_ip;
  like.vnet_slot = slot;
  const std::uint32_t index = take(slot, like);
  members_[index] = {index, kNoSlot, public_ip};
  link(index);
  stats_.rules.set(stats_.rules.read() + 1);
  return index;
}

void RuleTable::add_member(std::uint32_t head, Ip4 public_ip) {
  vxlnat_rule like = rules_[head];
  like.public_ip = public_ip;
  like.next = kNoSlot;
  const std::uint32_t index = take(like.vnet_slot, like);
  members_[index] = {head, members_[head].next, 0};
  members_[head].next = index;
}

void RuleTable::update(std::uint32_t head, const SetRule& to,
                       std::uint16_t timers) {
  drop_timers(rules_[head].timers);
  options_[head] = to.options;
  members_[head].first = to.public_ip;
  const RuleOptions& options = this->options(head);
  for (std::uint32_t m = head; m != kNoSlot; m = members_[m].next) {
    vxlnat_rule& rule = rules_[m];
    rule.router_ip = to.router_ip;
    rule.router_mac = to.router_mac;
    rule.vlan = to.vlan;
    rule.timers = timers;
    rule.mss = options.mss;
    std::uint32_t& flags = publics_[rule.public_slot].flags;
    flags &= ~VXLNAT_PUBLIC_EXCLUSIVE;
    if (options.mapping == Mapping::kDeterministic) {
      flags |= VXLNAT_PUBLIC_EXCLUSIVE;
    }
  }
  learn_routers(rules_[head].vnet_slot);
}

void RuleTable::end(std::uint32_t rule) {
  vxlnat_rule& gone = rules_[rule];
  gone.state = static_cast<std::uint32_t>(RuleState::kDying);
  drop_public(gone.public_ip);
  gone.next = dying_;
  dying_ = rule;
  Vnet& vnet = vnets_[gone.vnet_slot];
  if (--vnet.live_rules > 0) return;
  vnet_index_.remove(hash(vnet.vni), gone.vnet_slot + 1);
  stats_.vnets.set(stats_.vnets.read() - 1);
}

std::uint32_t RuleTable::remove(std::uint32_t rule) {
  const std::uint32_t head = members_[rule].head;
  const std::uint32_t next = members_[rule].next;
  if (rule != head) {
    std::uint32_t at = head;
    while (members_[at].next != rule) at = members_[at].next;
    members_[at].next = next;
    members_[rule] = {rule, kNoSlot, 0};
    end(rule);
    return head;
  }
  const std::uint32_t slot = rules_[rule].vnet_slot;
  if (next != kNoSlot) {
    // In its place in the list.
    std::uint32_t* at = &vnets_[slot].first_rule;
    while (*at != rule) at = &rules_[*at].next;
    rules_[next].next = rules_[rule].next;
    *at = next;
    options_[next] = std::move(options_[rule]);
    for (std::uint32_t m = next; m != kNoSlot; m = members_[m].next) {
      members_[m].head = next;
    }
  } else {
    unlink(rule);
    drop_timers(rules_[rule].timers);
    stats_.rules.set(stats_.rules.read() - 1);
  }
  options_[rule] = nullptr;
  members_[rule] = {rule, kNoSlot, 0};
  learn_routers(slot);
  end(rule);
  return next;
}

bool RuleTable::set_limits(Vni vni, const Limits& limits) {
  if (limits == Limits{}) {
    limits_.erase(vni);
  } else if (limits_.size() < vnets_.size() || limits_.count(vni) > 0) {
    limits_[vni] = limits;
  } else {
    return false;
  }
  const std::uint32_t slot = find_vnet(vni);
  if (slot != kNoSlot) vnets_[slot].limits = limits;
  return true;
}

bool RuleTable::set_drain(Ip4 public_ip, bool draining) {
  const auto at = std::find(drains_.begin(), drains_.end(), public_ip);
  if (!draining && at != drains_.end()) drains_.erase(at);
  if (draining && at == drains_.end()) {
    if (drains_.size() == kMaxDrains) return false;
    drains_.push_back(public_ip);
  }
  const std::uint32_t ref = find_public(public_ip);
  if (ref == 0) return true;
  std::uint32_t& flags = publics_[ref - 1].flags;
  flags &= ~VXLNAT_PUBLIC_DRAINING;
  if (draining) flags |= VXLNAT_PUBLIC_DRAINING;
  return true;
}

void RuleTable::begin_reap() {
  reaping_ = dying_;
  dying_ = kNoSlot;
}

void RuleTable::end_reap() {
  while (reaping_ != kNoSlot) {
    const std::uint32_t rule = reaping_;
    reaping_ = rules_[rule].next;
    const std::uint32_t slot = rules_[rule].vnet_slot;
    if (--vnets_[slot].all_rules == 0) {
      vnets_[slot].next_free = free_vnet_;
      free_vnet_ = slot;
    }
    rules_[rule].state = static_cast<std::uint32_t>(RuleState::kFree);
    rules_[rule].next = free_rule_;
    free_rule_ = rule;
    free_rules_++;
  }
}

}  // namespace vxlnat
