// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 4: what is for the router itself. It answers ARP requests, unicast as
// an instance sends them to check its neighbour, or broadcast, and echo
// requests; nothing else. The answer goes back the way the question came.
//
// Before: vnet_slot is set; for IPv4 the packet is parsed.
// After: the packet is not for a router of the vnet.
// Drops: BadArp, GatewayOther.

#include <cstring>

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::uint8_t kArpRequest[] = {0, 1, 8, 0, 6, 4, 0, 1};

}  // namespace

Verdict answer_arp(Context& c, Packet& p) {
  if (p.length < wire::kArpSize ||
      std::memcmp(p.data, kArpRequest, sizeof kArpRequest) != 0 ||
      get_mac(p.data + 8) != p.inner_src) {
    return c.drop(p, Drop::kBadArp);
  }
  const Ip4 sender = get32(p.data + 14);
  const Ip4 target = get32(p.data + 24);
  p.rule = c.rules.router(p.vnet_slot, target);
  if (p.rule == kNoSlot || sender == target) return c.drop(p, Drop::kBadArp);
  p.length = wire::kArpSize;
  put16(p.data + 6, 2);
  put_mac(p.data + 18, p.inner_src);
  put32(p.data + 24, sender);
  put_mac(p.data + 8, c.rules.at(p.rule).router_mac);
  put32(p.data + 14, target);
  c.stats.gateway_replies.add();
  bounce(c, p, p);
  return Verdict::done();
}

Verdict answer_gateway(Context& c, Packet& p) {
  const std::uint32_t rule = c.rules.router(p.vnet_slot, p.dst);
  if (rule == kNoSlot) return Verdict::proceed();
  if (p.proto != kIcmp || p.fragment || p.data[p.l4] != wire::icmp::kEcho) {
    return c.drop(p, Drop::kGatewayOther);
  }
  if (c.rules.match(p.vnet_slot, p.src) == kNoSlot) {
    return c.drop(p, Drop::kSpoofedSource);
  }
  p.rule = rule;
  std::uint8_t* l4 = p.data + p.l4;
  Delta kind;
  kind.word(get16(l4), wire::icmp::kEchoReply);
  put16(l4, wire::icmp::kEchoReply);
  kind.update_at(l4 + wire::icmp::kChecksum);
  const std::uint16_t life = get16(p.data + wire::ip::kTtl);
  p.data[wire::ip::kTtl] = 64;
  Delta time;
  time.word(life, get16(p.data + wire::ip::kTtl));
  time.update_at(p.data + wire::ip::kChecksum);
  put32(p.data + wire::ip::kSrc, p.dst);
  put32(p.data + wire::ip::kDst, p.src);
  c.stats.gateway_replies.add();
  bounce(c, p, p);
  return Verdict::done();
}

}  // namespace vxlnat
