// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 5b: a flow for the first packet of a conversation. The vnet must have
// room for it, a public port must be free towards the remote, and TCP must
// begin with a SYN and nothing else that opens or closes.
//
// Before: the source is covered by `rule`; no live flow has the packet's key.
// After: there is one.
// Drops: TcpNoFlow, TcpFlags, VnetFlowLimit, PortExhausted, FlowTableFull.
// A host that cannot get a flow is told so with host unreachable, which TCP
// takes as passing (facts: nat-behaviour I9, B36).

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

bool has_room(const Context& c, std::uint32_t vnet_slot, bool opening) {
  const FlowLoad& load = c.flows.load(vnet_slot);
  const auto share = static_cast<std::uint32_t>(
      std::uint64_t{c.config.max_flows} * c.config.vnet_share_percent / 100);
  return load.flows < share && (!opening || load.opening < (share + 1) / 2);
}

Verdict refuse(Context& c, Packet& p, Drop reason) {
  report_inside(c, p,
                {wire::icmp::kUnreachable, wire::icmp::kHostUnreachable, 0});
  return c.drop(p, reason);
}

FlowState first_state(std::uint8_t proto) {
  if (proto == kTcp) return FlowState::kTcpOpening;
  return proto == kUdp ? FlowState::kUdpFlow : FlowState::kIcmpFlow;
}

std::uint16_t preferred_port(const Context& c, const Packet& p, Ip4 public_ip) {
  const std::uint32_t range =
      std::uint32_t{c.config.port_high} - c.config.port_low + 1;
  const std::uint64_t hash =
      hash16(c.key, std::uint64_t{p.vnet << 8 | p.proto} << 32 | p.src,
             std::uint64_t{p.sport} << 32 | public_ip);
  return static_cast<std::uint16_t>(c.config.port_low + hash % range);
}

}  // namespace

Verdict new_flow(Context& c, Packet& p, std::uint32_t rule) {
  p.rule = rule;
  if (p.proto == kTcp) {
    const Drop reason = check_tcp(p);
    if (reason == Drop::kTcpNoFlow && c.config.rst_on_unknown) {
      reset_inside(c, p);
    }
    if (reason != Drop::kCount) return c.drop(p, reason);
  }
  if (!has_room(c, p.vnet_slot, p.proto == kTcp)) {
    return refuse(c, p, Drop::kVnetFlowLimit);
  }
  // An ended flow of the same endpoint still holds its tuple: go on with it.
  vxlnat_flow* old = c.flows.find_inside(
      inside_key(p.vnet, p.proto, p.src, p.sport, p.dst, p.dport), c.now);
  const Ip4 public_ip = c.rules.at(rule).public_ip;
  if (old != nullptr && old->public_ip == public_ip && old->rule == rule) {
    c.flows.set_state(*old, first_state(p.proto));
    c.flows.seen(*old, c.now);
    return Verdict::proceed();
  }
  if (old != nullptr) c.flows.forget(*old);
  const std::optional<std::uint16_t> port =
      c.flows.choose_port({public_ip, p.dst, p.dport, p.proto},
                          preferred_port(c, p, public_ip), c.random, c.now);
  if (!port) return refuse(c, p, Drop::kPortExhausted);
  vxlnat_flow flow{};
  flow.vni_proto = p.vnet << 8 | p.proto;
  flow.private_ip = p.src;
  flow.private_port = p.sport;
  flow.remote_ip = p.dst;
  flow.remote_port = p.dport;
  flow.public_ip = public_ip;
  flow.public_port = *port;
  flow.rule = rule;
  flow.public_slot = c.rules.at(rule).public_slot;
  flow.state = static_cast<std::uint8_t>(first_state(p.proto));
  if (c.flows.add(flow, c.now) == nullptr) {
    return refuse(c, p, Drop::kFlowTableFull);
  }
  return Verdict::proceed();
}

}  // namespace vxlnat
