// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 7b: into a fabric. Where the address lives is looked up now, not when
// the flow began, so that a moved instance is found (X10); what nobody has
// told yet waits. A packet longer than the inner MTU is fragmented before it
// is put into the tunnel, for the tunnel's own packets never are (RFC 7348
// section 4.3).
//
// Before: rewritten; vnet, rule and vlan are those of the receiver; too long
// only when it may be fragmented.
// After: sent, or kept.
// Drops: RemoteQueueFull, RemoteTableFull, RemoteNotFound, NoRule.

#include <algorithm>
#include <cstring>

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

std::uint16_t entropy_of(const Packet& p) {
  std::uint64_t mix = std::uint64_t{p.src} << 32 | p.dst;
  // All fragments of a datagram go one way, so they count no ports.
  if (!p.fragment) {
    mix ^= std::uint64_t{p.sport} << 40 ^ std::uint64_t{p.dport} << 8;
  }
  mix = (mix ^ p.proto) * 0x9e3779b97f4a7c15;
  return static_cast<std::uint16_t>(49152 + (mix >> 50));
}

void send_frame(Context& c, Packet& p, const Frame& frame, const Underlay& to) {
  const std::size_t tag = p.vlan == 0 ? 0 : wire::kTagSize;
  const std::size_t size = wire::kVxlanSize + wire::kEthernetSize + tag;
  p.data -= size;
  p.length += size;
  put32(p.data, std::uint32_t{wire::kVxlanHasVni} << 24);
  put32(p.data + 4, p.vnet << 8);
  std::uint8_t* ethernet = p.data + wire::kVxlanSize;
  put_mac(ethernet, frame.dst);
  put_mac(ethernet + 6, frame.src);
  if (tag != 0) {
    put16(ethernet + 12, wire::kTypeTag);
    put16(ethernet + 14, p.vlan);
  }
  put16(ethernet + 12 + tag, frame.type);
  c.stats.tx_underlay_packets.add();
  c.stats.tx_underlay_bytes.add(p.length);
  c.out->underlay(p.bytes(), to, p.offload);
}

void bounce(Context& c, const Packet& cause, Packet& reply) {
  const Underlay to = {.src_ip = cause.path.local_ip,
                       .dst_ip = cause.path.peer_ip,
                       .dst_port = c.config.vxlan_port,
                       .entropy = entropy_of(reply)};
  reply.vnet = cause.vnet;
  reply.rule = cause.rule;
  const vxlnat_rule& rule = c.rules.at(cause.rule);
  reply.vlan = rule.vlan;
  send_frame(c, reply,
             {cause.inner_src, rule.router_mac,
              cause.arp ? wire::kTypeArp : wire::kTypeIpv4},
             to);
}

namespace {

Verdict encap_one(Context& c, Packet& p) {
  // What waited for its host may come after the last UL3 has gone.
  if (c.is_shut()) return c.drop(p, Drop::kNoUl3);
  const vxlnat_remote* remote = p.host == nullptr
                                    ? c.remotes.known(p.vnet, p.dst)
                                    : c.remotes.known(p.vnet, p.dst, *p.host);
  if (remote == nullptr) {
    p.rule_generation = c.rules.id(p.rule).generation;
    return c.remotes.wait(p, p.dst, c.now);
  }
  const Underlay to = {.src_ip = c.first_ul3(),
                       .dst_ip = remote->ul3_ip,
                       .dst_port = remote->ul3_port,
                       .entropy = entropy_of(p),
                       .tos = p.data[wire::ip::kTos]};
  send_frame(c, p,
             {remote->mac, c.rules.at(p.rule).router_mac, wire::kTypeIpv4}, to);
  return Verdict::proceed();
}

// Options without the copied flag belong to the first fragment only
// (RFC 791 section 3.1); elsewhere they become no-operations.
void blank_options(std::uint8_t* header, std::size_t size) {
  for (std::size_t at = wire::ip::kSize; at < size;) {
    const std::uint8_t type = header[at];
    if (type == 0) return;
    const std::size_t length =
        type == 1 || at + 1 >= size || header[at + 1] < 2 ? 1 : header[at + 1];
    const std::size_t end = std::min(at + length, size);
    if ((type & 0x80) == 0) std::memset(header + at, 1, end - at);
    at = end;
  }
}

// A checksum that was left to a card counts the whole packet.
void finish(Packet& p) {
  if (!p.offload.partial) return;
  p.offload.partial = false;
  std::uint8_t* l4 = p.data + p.l4;
  std::uint8_t* field = l4 + wire::checksum_offset(p.proto);
  const std::size_t length = p.length - p.l4;
  put16(field, 0);
  const std::uint16_t sum =
      checksum(l4, length, pseudo_sum(p.src, p.dst, p.proto, length));
  put16(field, sum == 0 ? 0xffff : sum);
}

// One piece of `p` in the scratch buffer.
Packet make_piece(Context& c, const Packet& p, std::size_t at,
                  std::size_t size) {
  Packet piece = p;
  piece.data = c.scratch.data() + kHeadroom;
  piece.length = p.l4 + size;
  piece.fragment = true;
  piece.first = p.first && at == 0;
  std::memcpy(piece.data, p.data, p.l4);
  std::memcpy(piece.data + p.l4, p.data + p.l4 + at, size);
  const std::uint16_t field = get16(p.data + wire::ip::kFragment);
  const bool last = p.l4 + at + size == p.length;
  std::uint16_t place =
      static_cast<std::uint16_t>((field & wire::ip::kOffsetMask) + at / 8);
  if (!last || (field & wire::ip::kMoreFragments) != 0) {
    place |= wire::ip::kMoreFragments;
  }
  if (at > 0) blank_options(piece.data, p.l4);
  put16(piece.data + wire::ip::kLength,
        static_cast<std::uint16_t>(piece.length));
  put16(piece.data + wire::ip::kFragment, place);
  put16(piece.data + wire::ip::kChecksum, 0);
  put16(piece.data + wire::ip::kChecksum, checksum(piece.data, p.l4));
  return piece;
}

}  // namespace

Verdict encap(Context& c, Packet& p) {
  if (wire_length(p) <= c.layout.inner_mtu) return encap_one(c, p);
  const std::size_t most = inner_mtu_to(c, p, p.dst);
  if (wire_length(p) <= most) return encap_one(c, p);
  finish(p);
  const std::size_t step = (most - p.l4) / 8u * 8u;
  const std::size_t total = p.length - p.l4;
  for (std::size_t at = 0; at < total; at += step) {
    Packet piece = make_piece(c, p, at, std::min(step, total - at));
    (void)encap_one(c, piece);
  }
  return Verdict::proceed();
}

Verdict encap_waited(Context& c, Packet& p) {
  if (!c.rules.is_live(RuleId{p.rule, p.rule_generation})) {
    return c.drop(p, Drop::kNoRule);
  }
  return encap(c, p);
}

}  // namespace vxlnat
