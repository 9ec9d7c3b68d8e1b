// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 5, inbound: whom a public address and port belong to. A 1:1 entry
// takes everything sent to its address; a rule's address only what belongs to
// a live flow.
//
// Before: parsed; the packet is in the form the outside knows.
// After: vnet, vnet_slot, rule, vlan and translation are set.
// Drops: UnknownPublic, NoFlow, NoRule, IcmpType, what accept_inbound and ICMP
// errors drop. A
// segment that belongs to nobody is not answered (facts: nat-behaviour T5).

#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

Drop by_entry(Context& c, Packet& p, vxlnat_one_to_one& entry) {
  if (!c.rules.is_live(entry.rule)) return Drop::kNoRule;
  if (p.icmp == IcmpKind::kOther && wire::icmp::is_local(p.data[p.l4])) {
    return Drop::kIcmpType;
  }
  c.count_in(c.rules.at(entry.rule).vnet_slot, entry, p.length);
  p.vnet = entry.vni;
  p.vnet_slot = c.rules.at(entry.rule).vnet_slot;
  p.rule = entry.rule;
  p.vlan = entry.vlan;
  p.host = &entry.host;
  p.translation = {.src = p.src,
                   .dst = entry.private_ip,
                   .src_port = p.sport,
                   .dst_port = p.dport,
                   .mss = mss_for(c, p, entry.rule)};
  return Drop::kCount;
}

Drop by_flow(Context& c, Packet& p, vxlnat_flow& flow) {
  track(c, p, flow, false);
  c.count_in(c.rules.at(flow.rule).vnet_slot, flow.public_slot, p.length);
  const vxlnat_rule& rule = c.rules.at(flow.rule);
  p.vnet = flow.vni_proto >> 8;
  p.vnet_slot = rule.vnet_slot;
  p.rule = flow.rule;
  p.vlan = rule.vlan;
  p.host = &flow.host;
  p.translation = {.src = p.src,
                   .dst = flow.private_ip,
                   .src_port = p.sport,
                   .dst_port = flow.private_port,
                   .mss = mss_for(c, p, flow.rule),
                   .ports = true};
  return Drop::kCount;
}

}  // namespace

Drop resolve_inbound(Context& c, Packet& p) {
  if (p.first && p.icmp == IcmpKind::kError) {
    return resolve_error_inbound(c, p);
  }
  // What was looked ahead of a packet from inside is of its inside key.
  const bool ahead = !p.from_inside;
  vxlnat_one_to_one* entry =
      c.one_to_ones.find_public(p.dst, ahead ? p.host_hash : 0);
  if (entry != nullptr) return by_entry(c, p, *entry);
  if (!p.first) {
    return recall_fragment(c, p, kOutside) ? Drop::kCount : Drop::kNoFlow;
  }
  const bool shares = p.proto == kTcp || p.proto == kUdp ||
                      (p.proto == kIcmp && p.icmp == IcmpKind::kReply);
  vxlnat_flow* flow =
      shares ? c.flows.live_outside(
                   outside_key(p.proto, p.dst, p.dport, p.src, p.sport), c.now,
                   ahead ? p.flow_hash : 0)
             : nullptr;
  if (flow != nullptr) return by_flow(c, p, *flow);
  const Drop reason = accept_inbound(c, p, flow);
  if (flow != nullptr) return by_flow(c, p, *flow);
  return c.rules.is_public(p.dst) ? reason : Drop::kUnknownPublic;
}

Verdict choose_inbound(Context& c, Packet& p) {
  const Drop reason = resolve_inbound(c, p);
  if (reason == Drop::kCount) return Verdict::proceed();
  if (!p.first && reason == Drop::kNoFlow && c.rules.is_public(p.dst)) {
    return hold_fragment(c, p, kOutside);
  }
  return c.drop(p, reason);
}

}  // namespace vxlnat
