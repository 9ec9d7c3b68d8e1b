// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 5, outbound: what becomes of the source. A live flow first, for the
// flows that a host had before it got a 1:1 entry stay on their old tuple
// (facts: nat-behaviour A3); then the 1:1 entry; then the rule, which makes a
// new flow.
//
// Before: parsed, not for the router, source not yet believed.
// After: `translation` and `rule` are set, and the source is known to belong
// to the vnet.
// Drops: SpoofedSource, DestinationInside, NoRule, IcmpType, Protocol,
// TcpNoFlow, TcpFlags, what new_flow drops, what ICMP errors drop.

#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

bool may_share(const Packet& p) {
  return p.proto == kTcp || p.proto == kUdp ||
         (p.proto == kIcmp && p.icmp == IcmpKind::kQuery);
}

Verdict by_flow(Context& c, Packet& p, vxlnat_flow& flow) {
  track(c, p, flow, true);
  c.count_out(p.vnet_slot, flow.public_slot, p.length);
  p.rule = flow.rule;
  p.translation = {.src = flow.public_ip,
                   .dst = p.dst,
                   .src_port = flow.public_port,
                   .dst_port = p.dport,
                   .mss = mss_for(c, p, flow.rule),
                   .ports = true};
  if (!wire::ip::dont_fragment(p.data) || p.fragment) {
    p.translation.new_id = true;
    p.translation.ip_id = c.next_ip_id(flow.public_ip, p.dst, p.proto);
  }
  return Verdict::proceed();
}

Verdict by_entry(Context& c, Packet& p, vxlnat_one_to_one& entry) {
  if (!c.rules.is_live(entry.rule)) return c.drop(p, Drop::kNoRule);
  if (p.icmp == IcmpKind::kOther && wire::icmp::is_local(p.data[p.l4])) {
    return c.drop(p, Drop::kIcmpType);
  }
  if (c.rules.match(p.vnet_slot, p.dst) != kNoSlot) {
    return c.drop(p, Drop::kDestinationInside);
  }
  c.count_out(p.vnet_slot, entry, p.length);
  p.rule = entry.rule;
  p.translation = {.src = entry.public_ip,
                   .dst = p.dst,
                   .src_port = p.sport,
                   .dst_port = p.dport,
                   .mss = mss_for(c, p, entry.rule)};
  return Verdict::proceed();
}

// Whether a host with a 1:1 entry leaves this flow with the packet: a new
// connection takes the place of one that has ended.
bool begins_anew(const Packet& p, const vxlnat_flow& flow) {
  if (p.proto != kTcp) return false;
  const auto state = static_cast<FlowState>(flow.state);
  return timer_class(state) == TimerClass::kClosing &&
         (p.data[p.l4 + wire::tcp::kFlags] & wire::tcp::kSyn) != 0;
}

Verdict later_fragment(Context& c, Packet& p) {
  if (recall_fragment(c, p, p.vnet)) return Verdict::proceed();
  vxlnat_one_to_one* entry = c.one_to_ones.find_private(p.vnet, p.src);
  if (entry != nullptr && !waits_for_first(c, p)) return by_entry(c, p, *entry);
  if (c.rules.match(p.vnet_slot, p.src) == kNoSlot) {
    return c.drop(p, Drop::kSpoofedSource);
  }
  return hold_fragment(c, p, p.vnet);
}

Verdict by_rule(Context& c, Packet& p) {
  const std::uint32_t rule = c.rules.match(p.vnet_slot, p.src);
  if (rule == kNoSlot) return c.drop(p, Drop::kSpoofedSource);
  if (c.rules.match(p.vnet_slot, p.dst) != kNoSlot) {
    return c.drop(p, Drop::kDestinationInside);
  }
  if (!may_share(p)) {
    return c.drop(p, p.proto == kIcmp ? Drop::kIcmpType : Drop::kProtocol);
  }
  return new_flow(c, p, rule);
}

}  // namespace

Verdict choose_outbound(Context& c, Packet& p) {
  if (!p.first) return later_fragment(c, p);
  if (p.icmp == IcmpKind::kError) {
    const Drop reason = resolve_error_outbound(c, p);
    return reason == Drop::kCount ? Verdict::proceed() : c.drop(p, reason);
  }
  vxlnat_flow* flow = nullptr;
  if (may_share(p)) {
    flow = c.flows.live_inside(
        inside_key(p.vnet, p.proto, p.src, p.sport, p.dst, p.dport), c.now,
        p.flow_hash);
    if (flow != nullptr && !begins_anew(p, *flow)) return by_flow(c, p, *flow);
  }
  vxlnat_one_to_one* entry =
      c.one_to_ones.find_private(p.vnet, p.src, p.host_hash);
  if (entry != nullptr) return by_entry(c, p, *entry);
  if (flow != nullptr) return by_flow(c, p, *flow);
  STAGE(by_rule(c, p));
  flow = c.flows.live_inside(
      inside_key(p.vnet, p.proto, p.src, p.sport, p.dst, p.dport), c.now,
      p.flow_hash);
  return by_flow(c, p, *flow);
}

}  // namespace vxlnat
