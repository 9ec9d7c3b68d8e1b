// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 5b: a flow for the first packet of a conversation. The vnet must have
// room for it, a public port must be free towards the remote, and TCP must
// begin with a SYN and nothing else that opens or closes.
//
// Before: the source is covered by `rule`; no live flow has the packet's key.
// After: there is one.
// Drops: Exempt, TcpNoFlow, TcpFlags, FlowTableFull, and what admit and
// find_place (place.h) give as reason.
//
// What a rule exempts is not passed on untranslated: nothing private leaves.
// The host is told that it is prohibited. A host that cannot get a flow is told
// so with host unreachable, which TCP takes as passing (facts: nat-behaviour
// I9, B36).

#include "engine/place.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

Drop check_tcp(const Packet& p) {
  using namespace wire::tcp;
  const std::uint8_t flags = p.data[p.l4 + kFlags];
  if ((flags & kSyn) == 0) return Drop::kTcpNoFlow;
  if ((flags & (kFin | kRst)) != 0) return Drop::kTcpFlags;
  if ((flags & kAckFlag) != 0) return Drop::kTcpNoFlow;
  return Drop::kCount;
}

Verdict refuse(Context& c, Packet& p, const Wish& wish, Drop reason) {
  report_inside(c, p,
                {wire::icmp::kUnreachable, wire::icmp::kHostUnreachable, 0});
  return c.drop(p, refused(c, wish, p.proto == kTcp, reason));
}

FlowState first_state(std::uint8_t proto) {
  if (proto == kTcp) return FlowState::kTcpOpening;
  return proto == kUdp ? FlowState::kUdpFlow : FlowState::kIcmpFlow;
}

}  // namespace

Verdict new_flow(Context& c, Packet& p, std::uint32_t rule) {
  p.rule = rule;
  if (c.rules.options(rule).exempts(p.dst)) {
    report_inside(c, p, {wire::icmp::kUnreachable, wire::icmp::kProhibited, 0});
    return c.drop(p, Drop::kExempt);
  }
  if (p.proto == kTcp) {
    const Drop reason = check_tcp(p);
    if (reason == Drop::kTcpNoFlow && c.config.rst_on_unknown) {
      reset_inside(c, p);
    }
    if (reason != Drop::kCount) return c.drop(p, reason);
  }
  const Wish wish = {.vnet_slot = p.vnet_slot,
                     .rule = rule,
                     .vni_proto = p.vnet << 8 | p.proto,
                     .private_ip = p.src,
                     .remote_ip = p.dst,
                     .private_port = p.sport,
                     .remote_port = p.dport,
                     .host = p.sender,
                     .inside_hash = p.flow_hash};
  const Drop refusal = admit(c, wish, p.proto == kTcp);
  if (refusal != Drop::kCount) return refuse(c, p, wish, refusal);
  const FlowState state = first_state(p.proto);
  if (go_on(c, wish, state) != nullptr) return Verdict::proceed();
  if (!c.flows.make_room(c.now)) {
    return refuse(c, p, wish, Drop::kFlowTableFull);
  }
  Place place;
  const Drop reason = find_place(c, wish, place);
  if (reason != Drop::kCount) return refuse(c, p, wish, reason);
  make_flow(c, wish, place, state);
  return Verdict::proceed();
}

vxlnat_flow* go_on(Context& c, const Wish& wish, FlowState state) {
  vxlnat_flow* old = c.flows.find_inside(wish.key(), c.now, wish.inside_hash);
  if (old == nullptr) return nullptr;
  if (!may_go_on(c, wish, *old)) {
    c.flows.forget(*old);
    return nullptr;
  }
  c.flows.set_state(*old, state);
  c.flows.seen(*old, c.now);
  return old;
}

vxlnat_flow* make_flow(Context& c, const Wish& wish, const Place& place,
                       FlowState state) {
  const vxlnat_rule& rule = c.rules.at(place.rule);
  vxlnat_flow flow{};
  flow.vni_proto = wish.vni_proto;
  flow.private_ip = wish.private_ip;
  flow.private_port = wish.private_port;
  flow.remote_ip = wish.remote_ip;
  flow.remote_port = wish.remote_port;
  flow.public_ip = rule.public_ip;
  flow.public_port = place.port;
  flow.rule = place.rule;
  flow.public_slot = rule.public_slot;
  flow.flags = place.flags;
  flow.host = wish.host;
  flow.state = static_cast<std::uint8_t>(state);
  return c.flows.add(flow, c.now, wish.inside_hash);
}

}  // namespace vxlnat
