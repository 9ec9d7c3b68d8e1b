// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The short way; see established.h. Each condition names the stage that would
// ask the same. What a flow's key says needs no other check: the flow was made
// for a packet that passed them all, and a public address of a live rule is no
// 1:1 entry's.

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

// One address, at `address`, and what depends on it; what else changes in the
// IPv4 header is in `header`, in the transport header in `transport`.
inline void replace(std::uint8_t* ip, std::uint8_t* address, Ip4 new_address,
                    Delta header, Delta transport) {
  std::uint8_t* l4 = ip + wire::ip::kSize;
  Delta change;
  change.address(get32(address), new_address);
  header.add(change);
  transport.add(change);
  put32(address, new_address);
  if (ip[wire::ip::kProto] == kUdp) {
    transport.update_udp_at(l4 + wire::udp::kChecksum);
  } else {
    transport.update_at(l4 + wire::tcp::kChecksum);
  }
  ip[wire::ip::kTtl]--;
  header.word(0x100, 0);
  header.update_at(ip + wire::ip::kChecksum);
}

inline Delta replace_port(std::uint8_t* port, std::uint16_t new_port) {
  Delta change;
  change.word(get16(port), new_port);
  put16(port, new_port);
  return change;
}

inline void translate_inbound(Context& c, std::uint8_t* ip, vxlnat_flow& flow) {
  const std::size_t length = get16(ip + wire::ip::kLength);
  std::uint8_t* const l4 = ip + wire::ip::kSize;
  note(c, flow, l4, flow.packets_in, flow.ack_in);
  c.count_in(c.rules.at(flow.rule).vnet_slot, flow.public_slot, length);
  const Delta port = replace_port(l4 + 2, flow.private_port);
  replace(ip, ip + wire::ip::kDst, flow.private_ip, {}, port);
}

// The 1:1 entry of a quiet packet that has no flow, which a hairpin earlier in
// the burst may have made (accept_inbound). parse: the peer's address.
inline vxlnat_one_to_one* quiet_entry(const Context& c, const LookAhead& seen,
                                      std::size_t i, Ip4 peer) {
  vxlnat_one_to_one* const entry = seen.entry(i);
  return entry != nullptr && seen.quiet_in(i) != FlowState::kFree &&
                 entry->used != 0 && c.rules.is_live(entry->rule) &&
                 !wire::ip::is_martian(entry->private_ip) &&
                 !wire::ip::is_martian(peer) &&
                 c.flows.candidate(seen.hash(i)) == nullptr
             ? entry
             : nullptr;
}

// The 1:1 entry when it takes a packet from its host as it is, or null.
inline vxlnat_one_to_one* outbound_entry(const Context& c, const Packet& p,
                                         const LookAhead& seen, std::size_t i) {
  const std::uint8_t* const ip = seen.header(i);
  if (seen.entry(i) == nullptr) return nullptr;
  const Ip4 src = get32(ip + wire::ip::kSrc);
  const Ip4 dst = get32(ip + wire::ip::kDst);
  const Vni vnet = get32(p.data + 4) >> 8;
  vxlnat_one_to_one* const entry = quiet_entry(c, seen, i, dst);
  if (entry == nullptr || entry->private_ip != src || entry->vni != vnet) {
    return nullptr;
  }
  const vxlnat_rule& rule = c.rules.at(entry->rule);
  if (vnet == c.config.probe_vnet ||                            // reflect_probe
      get_mac(p.data + wire::kVxlanSize) != rule.router_mac ||  // find_vnet
      c.rules.may_be_router(rule, dst) ||               // answer_gateway
      c.rules.match(rule.vnet_slot, dst) != kNoSlot ||  // choose_outbound
      c.maybe_ours(dst)) {                              // depart
    return nullptr;
  }
  if (!c.config.check_senders) return entry;
  const vxlnat_remote* sender =
      c.remotes.known(vnet, src, entry->host, seen.host_hash(i));
  return sender != nullptr && sender->ul3_ip == p.path.peer_ip ? entry
                                                               : nullptr;
}

// What leaves, `length` bytes at `ip`.
inline void leave(Context& c, const std::uint8_t* ip, std::size_t length) {
  c.stats.tx_external_packets.add();
  c.stats.tx_external_bytes.add(length);
  c.out->external({ip, length}, {});
}

bool pass_outbound_entry(Context& c, const Packet& p, const LookAhead& seen,
                         std::size_t i) {
  vxlnat_one_to_one* const entry = outbound_entry(c, p, seen, i);
  if (entry == nullptr) return false;
  std::uint8_t* const ip = seen.header(i);
  const std::size_t length = get16(ip + wire::ip::kLength);
  c.count_out(c.rules.at(entry->rule).vnet_slot, *entry, length);
  replace(ip, ip + wire::ip::kSrc, entry->public_ip, {}, {});
  leave(c, ip, length);
  return true;
}

// A translated packet of `vnet`, whose header is at `ip`, into its fabric.
inline void enter(Context& c, Packet& p, const std::uint8_t* ip, Vni vnet,
                  Mac router, const vxlnat_remote& remote) {
  const std::uint8_t* const l4 = ip + wire::ip::kSize;
  p.vnet = vnet;
  p.length = get16(ip + wire::ip::kLength);
  p.fragment = false;
  p.proto = ip[wire::ip::kProto];
  p.src = get32(ip + wire::ip::kSrc);
  p.dst = get32(ip + wire::ip::kDst);
  p.sport = get16(l4);
  p.dport = get16(l4 + 2);
  const Underlay to = {.src_ip = c.first_ul3(),
                       .dst_ip = remote.ul3_ip,
                       .dst_port = remote.ul3_port,
                       .entropy = entropy_of(p),
                       .tos = ip[wire::ip::kTos]};
  send_frame(c, p, {remote.mac, router, wire::kTypeIpv4}, to);
}

bool pass_inbound_entry(Context& c, Packet& p, const LookAhead& seen,
                        std::size_t i) {
  std::uint8_t* const ip = seen.header(i);
  if (seen.entry(i) == nullptr) return false;
  vxlnat_one_to_one* const entry =
      quiet_entry(c, seen, i, get32(ip + wire::ip::kSrc));
  const std::size_t length = get16(ip + wire::ip::kLength);
  if (entry == nullptr || entry->public_ip != get32(ip + wire::ip::kDst) ||
      length > c.layout.inner_mtu) {
    return false;
  }
  const vxlnat_remote* remote =
      c.remotes.known(entry->vni, entry->private_ip, entry->host);
  if (remote == nullptr) return false;
  const vxlnat_rule& rule = c.rules.at(entry->rule);
  c.count_in(rule.vnet_slot, *entry, length);
  replace(ip, ip + wire::ip::kDst, entry->private_ip, {}, {});
  p.vlan = entry->vlan;
  enter(c, p, ip, entry->vni, rule.router_mac, *remote);
  return true;
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
  const Delta port = replace_port(l4, flow.public_port);
  replace(ip, ip + wire::ip::kSrc, flow.public_ip, header, port);
  return length;
}

[[gnu::flatten]] bool pass_outbound(Context& c, Packet& p,
                                    const LookAhead& seen, std::size_t i) {
  vxlnat_flow* const flow = outbound_flow(c, p, seen, i);
  if (flow == nullptr) return pass_outbound_entry(c, p, seen, i);
  std::uint8_t* const ip = seen.header(i);
  leave(c, ip, translate_outbound(c, ip, *flow));
  return true;
}

[[gnu::flatten]] bool pass_inbound(Context& c, Packet& p, const LookAhead& seen,
                                   std::size_t i) {
  vxlnat_flow* const flow = quiet_flow(c, seen, i, outside_key);
  if (flow == nullptr) return pass_inbound_entry(c, p, seen, i);
  std::uint8_t* const ip = seen.header(i);
  if (get16(ip + wire::ip::kLength) > c.layout.inner_mtu) return false;
  const Vni vnet = flow->vni_proto >> 8;
  const vxlnat_remote* remote =
      c.remotes.guess(vnet, flow->private_ip, flow->host);
  if (remote == nullptr) return false;
  translate_inbound(c, ip, *flow);
  const vxlnat_rule& rule = c.rules.at(flow->rule);
  p.vlan = rule.vlan;
  enter(c, p, ip, vnet, rule.router_mac, *remote);
  return true;
}

}  // namespace vxlnat
