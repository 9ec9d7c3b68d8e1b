// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Taps: which packets they take, marks on flows, the packet in hand; see tap.h.

#include "engine/tap.h"

#include <algorithm>
#include <cstring>

#include "engine/context.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

bool any(std::uint16_t wanted, std::uint16_t a, std::uint16_t b,
         std::uint16_t c) {
  return wanted == a || wanted == b || wanted == c;
}

}  // namespace

bool matches(const FlowFilter& filter, const vxlnat_flow& flow) {
  return (!filter.vnet || *filter.vnet == flow.vni_proto >> 8) &&
         (!filter.private_ip || *filter.private_ip == flow.private_ip) &&
         (!filter.public_ip || *filter.public_ip == flow.public_ip) &&
         (!filter.remote_ip || *filter.remote_ip == flow.remote_ip) &&
         (!filter.proto || *filter.proto == (flow.vni_proto & 0xff)) &&
         (!filter.port || any(*filter.port, flow.private_port, flow.public_port,
                              flow.remote_port));
}

// -- a tap ----------------------------------------------------------------

Tap::Tap(const TapSpec& spec, Tick now)
    : spec_(spec), until_(now + spec.lifetime_ms) {
  bytes_.reserve(spec.room);
}

bool Tap::matches(const Facts& f) const {
  const FlowFilter& want = spec_.filter;
  if (spec_.outbound && *spec_.outbound != f.outbound) return false;
  if (spec_.drop && spec_.drop != f.drop) return false;
  if (want.vnet && want.vnet != f.vnet && want.vnet != f.vnet_after) {
    return false;
  }
  if (want.proto && !(f.parsed && *want.proto == f.proto)) return false;
  // A hairpin's receiver is as private as its sender, and so on.
  const bool in = !f.outbound || f.turned;
  if (want.private_ip && !(f.outbound && *want.private_ip == f.came.src) &&
      !(in && *want.private_ip == f.went.dst)) {
    return false;
  }
  if (want.public_ip && *want.public_ip != f.public_ip &&
      !(in && *want.public_ip == f.came.dst)) {
    return false;
  }
  if (want.remote_ip &&
      *want.remote_ip != (f.outbound ? f.came.dst : f.came.src)) {
    return false;
  }
  return !want.port ||
         (f.parsed && (any(*want.port, f.came.sport, f.came.dport,
                           f.translated ? f.went.sport : f.came.sport) ||
                       (f.translated && *want.port == f.went.dport)));
}

bool Tap::has_room(std::size_t size) {
  if (bytes_.size() + size <= bytes_.capacity()) return true;
  state_.lost++;
  return false;
}

void Tap::take_story(std::string_view line) {
  state_.seen++;
  state_.done |= state_.seen >= spec_.packets;
  if (!has_room(line.size() + 1)) return;
  bytes_.insert(bytes_.end(), line.begin(), line.end());
  bytes_.push_back('\n');
}

void Tap::take_frame(const FrameHead& head,
                     std::span<const std::uint8_t> bytes) {
  if (state_.done) return;
  state_.seen++;
  state_.done |= state_.seen >= spec_.packets;
  const std::size_t size = std::min<std::size_t>(bytes.size(), spec_.snap);
  const std::size_t whole = sizeof head + (size + 7) / 8 * 8;
  if (!has_room(whole)) return;
  FrameHead cut = head;
  cut.length = static_cast<std::uint32_t>(size);
  const std::size_t at = bytes_.size();
  bytes_.resize(at + whole);
  std::memcpy(&bytes_[at], &cut, sizeof cut);
  std::memcpy(&bytes_[at + sizeof cut], bytes.data(), size);
}

// -- all taps -------------------------------------------------------------

Taps::Taps(Context& context) : c_(context) {
  mark_flow_ = mark_entry_ = 0xffffffff;
}

const char* Taps::open(const TapSpec& spec, std::uint32_t* id) {
  if (spec.packets == 0) return "a tap takes at least one packet";
  if (spec.snap == 0) return "a tap copies at least one byte";
  if (spec.lifetime_ms == 0) return "a tap lasts at least a millisecond";
  if (spec.points >> static_cast<unsigned>(Point::kCount) != 0) {
    return "there is no such point";
  }
  if (spec.room < 65536 || spec.room > kMostRoom) {
    return "a tap has room for 65536 to 67108864 bytes";
  }
  for (Slot& slot : slots_) {
    if (slot.tap != nullptr) continue;
    slot.id = *id = next_id_++;
    slot.tap = std::make_unique<Tap>(spec, c_.now);
    scratch_.resize(kScratch);
    look_again();
    return nullptr;
  }
  return "too many taps are open";
}

Tap* Taps::find(std::uint32_t id) {
  for (Slot& slot : slots_) {
    if (slot.tap != nullptr && slot.id == id) return slot.tap.get();
  }
  return nullptr;
}

void Taps::close(std::uint32_t id) {
  for (Slot& slot : slots_) {
    if (slot.id == id) slot.tap = nullptr;
  }
  look_again();
}

// After any change of the taps: who wants what, and marks from the beginning.
void Taps::look_again() {
  points_ = 0;
  stories_ = false;
  bool on = false;
  for (const Slot& slot : slots_) {
    if (slot.tap == nullptr || slot.tap->state().done) continue;
    on = true;
    points_ |= slot.tap->spec().points;
    stories_ |= slot.tap->spec().points == 0;
  }
  c_.look = on ? this : nullptr;
  c_.stats.drop_watcher = on ? this : nullptr;
  mark_flow_ = mark_entry_ = 0;
}

bool Taps::sweep(std::size_t budget) {
  bool ended = false;
  for (Slot& slot : slots_) {
    if (slot.tap == nullptr || slot.tap->state().done) continue;
    slot.tap->end_when_due(c_.now);
    ended |= slot.tap->state().done;
  }
  if (ended) look_again();
  return mark_flows(budget) || mark_entries(budget);
}

bool Taps::mark_flows(std::size_t& budget) {
  FlowTable& flows = c_.flows;
  for (; mark_flow_ < flows.size(); mark_flow_++, budget--) {
    if (budget == 0) return true;
    vxlnat_flow& flow = flows.at(mark_flow_);
    if (!is_live(static_cast<FlowState>(flow.state))) continue;
    bool wanted = false;
    for (const Slot& slot : slots_) {
      wanted |= slot.tap != nullptr && !slot.tap->state().done &&
                vxlnat::matches(slot.tap->spec().filter, flow);
    }
    flow.flags = static_cast<std::uint8_t>((flow.flags & ~VXLNAT_FLOW_WATCHED) |
                                           (wanted ? VXLNAT_FLOW_WATCHED : 0u));
  }
  return false;
}

// Entries have no ports and no remote, so these do not count.
bool Taps::mark_entries(std::size_t& budget) {
  OneToOneTable& entries = c_.one_to_ones;
  for (; mark_entry_ < entries.size(); mark_entry_++, budget--) {
    if (budget == 0) return true;
    vxlnat_one_to_one& entry = entries.at_index(mark_entry_);
    if (entry.used == 0) continue;
    bool wanted = false;
    for (const Slot& slot : slots_) {
      if (slot.tap == nullptr || slot.tap->state().done) continue;
      const FlowFilter& want = slot.tap->spec().filter;
      wanted |= (!want.vnet || *want.vnet == entry.vni) &&
                (!want.private_ip || *want.private_ip == entry.private_ip) &&
                (!want.public_ip || *want.public_ip == entry.public_ip);
    }
    entry.flags =
        static_cast<std::uint8_t>((entry.flags & ~VXLNAT_FLOW_WATCHED) |
                                  (wanted ? VXLNAT_FLOW_WATCHED : 0u));
  }
  return false;
}

// -- the packet in hand ---------------------------------------------------

void Taps::start() {
  busy_ = true;
  number_++;
  real_ = c_.out;
  c_.out = this;
  facts_ = {};
  frames_ = 0;
  scratch_used_ = 0;
  line_.clear();
}

void Taps::begin(const Packet& p, bool underlay) {
  start();
  packet_ = &p;
  start_ = p.data;
  facts_.outbound = underlay;
  if (underlay) {
    copy_outer(p.bytes(),
               {.src_ip = p.path.peer_ip,
                .dst_ip = p.path.local_ip,
                .dst_port = c_.config.vxlan_port,
                .entropy = p.path.peer_port,
                .tos = p.path.tos},
               true);
  } else {
    copy_ethernet(Point::kTranslated, p.bytes(), 0, false);
  }
  tell_begin(p);
}

void Taps::begin_kept(const Packet& p) {
  start();
  packet_ = &p;
  start_ = nullptr;
  facts_.outbound = p.from_inside;
  facts_.vnet = p.vnet;
  facts_.parsed = true;
  facts_.proto = p.proto;
  facts_.came = facts_.went = {p.src, p.dst, p.sport, p.dport};
  facts_.turned = p.turns > 0;
  tell_begin(p);
}

void Taps::stage(const Packet& p, const char* call, bool ended) {
  const std::string_view name =
      std::string_view(call).substr(0, std::string_view(call).find('('));
  if (&p == packet_) {
    if (name == "decap" && !ended) {
      facts_.vnet = p.vnet;
      const std::uint8_t* at = start_ + wire::kVxlanSize;
      const auto size = static_cast<std::size_t>(p.data - at) + p.length;
      std::uint8_t* to = frame(Point::kInner, size, p.vnet, true);
      if (to != nullptr) std::memcpy(to, at, size);
    } else if (name == "parse" && !ended) {
      facts_.parsed = true;
      facts_.proto = p.proto;
      facts_.came = {p.src, p.dst, p.sport, p.dport};
    } else if (name == "rewrite") {
      if (!facts_.translated && facts_.outbound) facts_.public_ip = p.src;
      facts_.translated = true;
      facts_.went = {p.src, p.dst, p.sport, p.dport};
      facts_.vnet_after = p.vnet;
      if (!facts_.outbound) facts_.vnet = p.vnet;
    } else if (name == "turn_round" && !ended) {
      facts_.turned = true;
      copy_ethernet(Point::kTranslated, p.bytes(), p.vnet, true);
    }
  }
  tell_stage(p, name, ended);
}

void Taps::dropped(const Packet& p, Drop reason) {
  if (!busy_) {
    begin_kept(p);
    dropped(p, reason);
    end();
    return;
  }
  // An error message of ours that is dropped is not the packet in hand.
  if (&p == packet_) facts_.drop = reason;
  copy_drop(p, reason);
}

void Taps::end() {
  busy_ = false;
  c_.out = real_;
  packet_ = nullptr;
  tell_end();
  bool ended = false;
  for (Slot& slot : slots_) {
    Tap* tap = slot.tap.get();
    if (tap == nullptr || tap->state().done || !tap->matches(facts_)) continue;
    mark_flow();
    if (tap->spec().points == 0) tap->take_story(line_.view());
    for (std::size_t i = 0; i < frames_; i++) {
      const Pending& each = pending_[i];
      const auto point = static_cast<Point>(each.head.point);
      if ((tap->spec().points & bit(point)) == 0) continue;
      tap->take_frame(each.head, {scratch_.data() + each.at, each.head.length});
    }
    ended |= tap->state().done;
  }
  if (ended) look_again();
}

vxlnat_flow* Taps::flow_of(const Packet& p, bool inside) const {
  const bool shares = p.proto == kTcp || p.proto == kUdp ||
                      (p.proto == kIcmp && p.icmp != IcmpKind::kOther &&
                       p.icmp != IcmpKind::kError);
  if (!p.first || !shares) return nullptr;
  return inside ? c_.flows.peek_inside(inside_key(p.vnet, p.proto, p.src,
                                                  p.sport, p.dst, p.dport))
                : c_.flows.peek_outside(
                      outside_key(p.proto, p.dst, p.dport, p.src, p.sport));
}

// The flow that a matching packet belongs to or has just made.
void Taps::mark_flow() {
  const Facts::Tuple& t = facts_.came;
  if (!facts_.parsed || !facts_.vnet) return;
  vxlnat_flow* flow =
      facts_.outbound
          ? c_.flows.peek_inside(inside_key(*facts_.vnet, facts_.proto, t.src,
                                            t.sport, t.dst, t.dport))
          : c_.flows.peek_outside(
                outside_key(facts_.proto, t.dst, t.dport, t.src, t.sport));
  if (flow != nullptr) flow->flags |= VXLNAT_FLOW_WATCHED;
}

void Taps::begin_question() {
  question_ = true;
  looked_ = c_.look;
  c_.look = this;
  c_.stats.drop_watcher = this;
}

std::string_view Taps::story() {
  tell_end();
  return line_.view();
}

void Taps::end_question() {
  question_ = false;
  busy_ = false;
  packet_ = nullptr;
  number_--;
  c_.look = looked_;
}

void Taps::underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                    Offload offload) {
  facts_.sent++;
  const Vni vnet = get32(bytes.data() + 4) >> 8;
  if (!facts_.vnet) facts_.vnet = vnet;
  copy_outer(bytes, to, false);
  const auto inner = bytes.subspan(wire::kVxlanSize);
  std::uint8_t* at = frame(Point::kInner, inner.size(), vnet, false);
  if (at != nullptr) std::memcpy(at, inner.data(), inner.size());
  tell_underlay(bytes, to);
  if (real_ != nullptr) real_->underlay(bytes, to, offload);
}

void Taps::external(std::span<const std::uint8_t> bytes, Offload offload) {
  facts_.sent++;
  copy_ethernet(Point::kTranslated, bytes, facts_.vnet.value_or(0), true);
  tell_external(bytes);
  if (real_ != nullptr) real_->external(bytes, offload);
}

}  // namespace vxlnat
