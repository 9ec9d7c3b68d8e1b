// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The short way; see established.h. Each condition names the stage that would
// ask the same. What the key says needs no other check: a flow was made for a
// packet that passed them all, and a public address of a live rule is no 1:1
// entry's.

#include "engine/established.h"

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

// The flow, when the packet leaves its state as it is. A record that an earlier
// packet of the burst has freed still has its key.
inline vxlnat_flow* quiet_flow(const Context& c, const LookAhead& seen,
                               std::size_t i,
                               FlowKey (*key_of)(const vxlnat_flow&)) {
  const FlowState state = seen.quiet_in(i);
  vxlnat_flow* const flow = seen.flow(i);
  if (flow == nullptr || state == FlowState::kFree ||
      flow->state != static_cast<std::uint8_t>(state) ||
      key_of(*flow) != seen.key(i) || !c.flows.is_current(*flow, c.now)) {
    return nullptr;
  }
  return flow;
}

// What `track` does for a packet that leaves the state as it is.
inline void note(Context& c, vxlnat_flow& flow, const std::uint8_t* l4,
                 std::uint64_t& packets, std::uint32_t& ack) {
  packets++;
  c.flows.seen(flow, c.now);
  if (flow.state == static_cast<std::uint8_t>(FlowState::kTcpEstablished) &&
      (l4[wire::tcp::kFlags] & wire::tcp::kAckFlag) != 0) {
    ack = get32(l4 + wire::tcp::kAck);
  }
}

// One address and port, at `address` and `port`, and what depends on them.
void replace(std::uint8_t* ip, std::uint8_t* address, Ip4 new_address,
             std::uint8_t* port, std::uint16_t new_port, Delta header) {
  std::uint8_t* l4 = ip + wire::ip::kSize;
  Delta transport;
  transport.address(get32(address), new_address);
  header.add(transport);
  transport.word(get16(port), new_port);
  put32(address, new_address);
  put16(port, new_port);
  if (ip[wire::ip::kProto] == kUdp) {
    transport.update_udp_at(l4 + wire::udp::kChecksum);
  } else {
    transport.update_at(l4 + wire::tcp::kChecksum);
  }
  ip[wire::ip::kTtl]--;
  header.word(0x100, 0);
  header.update_at(ip + wire::ip::kChecksum);
}

inline std::size_t translate_inbound(Context& c, std::uint8_t* ip,
                                     vxlnat_flow& flow) {
  const std::size_t length = get16(ip + wire::ip::kLength);
  std::uint8_t* const l4 = ip + wire::ip::kSize;
  note(c, flow, l4, flow.packets_in, flow.ack_in);
  c.count_in(c.rules.at(flow.rule).vnet_slot, flow.public_slot, length);
  replace(ip, ip + wire::ip::kDst, flow.private_ip, l4 + 2, flow.private_port,
          {});
  return length;
}

}  // namespace

[[gnu::flatten]] vxlnat_flow* outbound_flow(const Context& c, const Packet& p,
                                            const LookAhead& seen,
                                            std::size_t i) {
  vxlnat_flow* const flow = quiet_flow(c, seen, i, inside_key);
  if (flow == nullptr) return nullptr;
  const vxlnat_rule& rule = c.rules.at(flow->rule);
  const Vni vnet = flow->vni_proto >> 8;
  if (vnet == c.config.probe_vnet ||                            // reflect_probe
      get_mac(p.data + wire::kVxlanSize) != rule.router_mac ||  // find_vnet
      c.rules.may_be_router(rule, flow->remote_ip) ||  // answer_gateway
      c.maybe_ours(flow->remote_ip) || rule.public_ip != flow->public_ip) {
    return nullptr;  // depart
  }
  if (!c.config.check_senders) return flow;
  const vxlnat_remote* sender =
      c.remotes.guess(vnet, flow->private_ip, flow->host);
  return sender != nullptr && sender->ul3_ip == p.path.peer_ip ? flow : nullptr;
}

[[gnu::flatten]] std::size_t translate_outbound(Context& c, std::uint8_t* ip,
                                                vxlnat_flow& flow) {
  const std::size_t length = get16(ip + wire::ip::kLength);
  std::uint8_t* const l4 = ip + wire::ip::kSize;
  note(c, flow, l4, flow.packets_out, flow.ack_out);
  c.count_out(c.rules.at(flow.rule).vnet_slot, flow.public_slot, length);
  Delta header;
  if (!wire::ip::dont_fragment(ip)) {
    const std::uint16_t id =
        c.next_ip_id(flow.public_ip, flow.remote_ip,
                     static_cast<std::uint8_t>(flow.vni_proto));
    header.word(get16(ip + wire::ip::kId), id);
    put16(ip + wire::ip::kId, id);
  }
  replace(ip, ip + wire::ip::kSrc, flow.public_ip, l4, flow.public_port,
          header);
  return length;
}

[[gnu::flatten]] bool pass_outbound(Context& c, Packet& p,
                                    const LookAhead& seen, std::size_t i) {
  vxlnat_flow* const flow = outbound_flow(c, p, seen, i);
  if (flow == nullptr) return false;
  std::uint8_t* const ip = seen.header(i);
  const std::size_t length = translate_outbound(c, ip, *flow);
  c.stats.tx_external_packets.add();
  c.stats.tx_external_bytes.add(length);
  c.out->external({ip, length}, {});
  return true;
}

[[gnu::flatten]] bool pass_inbound(Context& c, Packet& p, const LookAhead& seen,
                                   std::size_t i) {
  vxlnat_flow* const flow = quiet_flow(c, seen, i, outside_key);
  if (flow == nullptr) return false;
  std::uint8_t* const ip = seen.header(i);
  if (get16(ip + wire::ip::kLength) > c.layout.inner_mtu) return false;
  p.vnet = flow->vni_proto >> 8;
  const vxlnat_remote* remote =
      c.remotes.guess(p.vnet, flow->private_ip, flow->host);
  if (remote == nullptr) return false;
  p.length = translate_inbound(c, ip, *flow);
  p.fragment = false;
  p.proto = static_cast<std::uint8_t>(flow->vni_proto);
  p.src = flow->remote_ip;
  p.dst = flow->private_ip;
  p.sport = flow->remote_port;
  p.dport = flow->private_port;
  const vxlnat_rule& rule = c.rules.at(flow->rule);
  p.vlan = rule.vlan;
  const Underlay to = {.src_ip = c.first_ul3(),
                       .dst_ip = remote->ul3_ip,
                       .dst_port = remote->ul3_port,
                       .entropy = entropy_of(p),
                       .tos = ip[wire::ip::kTos]};
  send_frame(c, p, {remote->mac, rule.router_mac, wire::kTypeIpv4}, to);
  return true;
}

}  // namespace vxlnat
