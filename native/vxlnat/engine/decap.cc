// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 1: VXLAN and inner Ethernet off (RFC 7348), congestion marks of the
// tunnel carried over (RFC 6040 section 4.2).
//
// Before: `data` is at the VXLAN header, `path` says how it came.
// After: `data` is at the inner IPv4 header or ARP message; vnet,
// inner_src, inner_dst and arp are set.
// Drops: TooShort, NotOurUl3, VxlanFlags, InnerEthertype, TunnelEcn.

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::uint8_t kNotCapable = 0;
constexpr std::uint8_t kEct1 = 1;
constexpr std::uint8_t kCongested = 3;

void set_ecn(std::uint8_t* ip, std::uint8_t ecn) {
  const std::uint16_t before = get16(ip);
  ip[wire::ip::kTos] = static_cast<std::uint8_t>(
      (ip[wire::ip::kTos] & ~wire::ip::kEcnMask) | ecn);
  Delta change;
  change.word(before, get16(ip));
  change.update_at(ip + wire::ip::kChecksum);
}

// False when the mark cannot be carried over.
bool carry_ecn(std::uint8_t* ip, std::uint8_t outer) {
  const std::uint8_t inner = ip[wire::ip::kTos] & wire::ip::kEcnMask;
  if (outer == kNotCapable || inner == outer || inner == kCongested) {
    return true;
  }
  if (inner == kNotCapable) return outer != kCongested;
  if (outer == kCongested || outer == kEct1) set_ecn(ip, outer);
  return true;
}

}  // namespace

Verdict decap(Context& c, Packet& p) {
  if (p.length < wire::kVxlanSize + wire::kEthernetSize) {
    return c.drop(p, Drop::kTooShort);
  }
  if (!c.serves(p.path.local_ip)) return c.drop(p, Drop::kNotOurUl3);
  if ((p.data[0] & wire::kVxlanHasVni) == 0) {
    return c.drop(p, Drop::kVxlanFlags);
  }
  p.vnet = get32(p.data + 4) >> 8;
  const std::uint8_t* ethernet = p.data + wire::kVxlanSize;
  p.inner_dst = get_mac(ethernet);
  p.inner_src = get_mac(ethernet + 6);
  std::size_t skip = wire::kVxlanSize + wire::kEthernetSize;
  std::uint16_t type = get16(ethernet + 12);
  if (type == wire::kTypeTag) {
    if (p.length < skip + wire::kTagSize) return c.drop(p, Drop::kTooShort);
    type = get16(ethernet + 16);
    skip += wire::kTagSize;
  }
  p.arp = type == wire::kTypeArp;
  if (!p.arp && type != wire::kTypeIpv4) {
    return c.drop(p, Drop::kInnerEthertype);
  }
  p.from_inside = true;
  p.data += skip;
  p.length -= skip;
  if (!p.arp && p.length >= wire::ip::kSize &&
      !carry_ecn(p.data, p.path.tos & wire::ip::kEcnMask)) {
    return c.drop(p, Drop::kTunnelEcn);
  }
  return Verdict::proceed();
}

}  // namespace vxlnat
