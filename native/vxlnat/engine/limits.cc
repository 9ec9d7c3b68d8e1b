// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stages 4b and 5b: packets whose time has run out, and packets that are too
// long for the fabric. The sender is told: from inside by the router's
// address, from outside by the public address it sent to (facts:
// nat-behaviour I12, L1, M2; RFC 1812 sections 5.3.1 and 4.3.2).
//
// Before: parsed; inbound also chosen, so that nobody is told anything about
// an address that is not ours.
// After: TTL is at least 2 on the first pass; what exceeds the inner MTU may
// be fragmented.
// Drops: TtlExceeded, TooBig, SpoofedSource.

#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {
constexpr IcmpError kExpired = {wire::icmp::kTimeExceeded, 0, 0};
}

Verdict check_ttl_inside(Context& c, Packet& p) {
  if (p.data[wire::ip::kTtl] > 1) return Verdict::proceed();
  p.rule = c.rules.match(p.vnet_slot, p.src);
  if (p.rule == kNoSlot) return c.drop(p, Drop::kSpoofedSource);
  report_inside(c, p, kExpired);
  return c.drop(p, Drop::kTtlExceeded);
}

Verdict check_ttl_outside(Context& c, Packet& p) {
  if (p.turns > 0 || p.data[wire::ip::kTtl] > 1) return Verdict::proceed();
  report_outside(c, p, kExpired);
  return c.drop(p, Drop::kTtlExceeded);
}

std::size_t wire_length(const Packet& p) {
  if (p.offload.segment == 0) return p.length;
  const std::uint8_t offset = p.data[p.l4 + wire::tcp::kOffset];
  return std::size_t{p.l4} + (offset >> 4) * 4u + p.offload.segment;
}

Verdict check_size(Context& c, Packet& p) {
  const std::size_t length = wire_length(p);
  if (length <= c.layout.inner_mtu) return Verdict::proceed();
  const std::uint16_t most = inner_mtu_to(c, p, p.translation.dst);
  if (length <= most) return Verdict::proceed();
  if (!wire::ip::dont_fragment(p.data)) {
    // Whoever cuts a super-packet may cut it smaller.
    const std::size_t headers = length - p.offload.segment;
    if (p.offload.segment != 0) {
      p.offload.segment = static_cast<std::uint16_t>(most - headers);
    }
    return Verdict::proceed();
  }
  report_outside(
      c, p, {wire::icmp::kUnreachable, wire::icmp::kFragmentationNeeded, most});
  return c.drop(p, Drop::kTooBig);
}

}  // namespace vxlnat
