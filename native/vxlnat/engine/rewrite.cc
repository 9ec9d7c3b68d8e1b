// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 6: the translation is done to the bytes, and to what the packet says
// about itself. Checksums are updated, never computed anew, so a corrupt
// packet stays corrupt (K4). Time to live falls by one on the first pass only:
// a hairpin is one hop (L1).
//
// Before: `translation` is chosen; TTL is more than 1 on the first pass.
// After: src, dst, ports and bytes are as they leave.
// Drops: none.

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

void rewrite_header(Packet& p, const Delta& addresses) {
  Delta change = addresses;
  std::uint8_t* header = p.data;
  put32(header + wire::ip::kSrc, p.translation.src);
  put32(header + wire::ip::kDst, p.translation.dst);
  if (p.turns == 0) {
    const std::uint16_t before = get16(header + wire::ip::kTtl);
    const auto after = static_cast<std::uint16_t>(before - 0x100);
    put16(header + wire::ip::kTtl, after);
    change.word(before, after);
  }
  if (p.translation.new_id) {
    change.word(get16(header + wire::ip::kId), p.translation.ip_id);
    put16(header + wire::ip::kId, p.translation.ip_id);
  }
  change.update_at(header + wire::ip::kChecksum);
}

void rewrite_query(Packet& p) {
  std::uint8_t* l4 = p.data + p.l4;
  const bool query = p.icmp == IcmpKind::kQuery;
  const std::uint16_t id =
      query ? p.translation.src_port : p.translation.dst_port;
  (query ? p.sport : p.dport) = id;
  Delta change;
  change.word(get16(l4 + wire::icmp::kIdentifier), id);
  put16(l4 + wire::icmp::kIdentifier, id);
  change.update_at(l4 + wire::icmp::kChecksum);
  // A message of nothing but zeros has the checksum 0xffff, and an update
  // cannot tell it from 0.
  if (get16(l4 + wire::icmp::kChecksum) == 0 && !p.fragment &&
      sum_bytes(l4, p.length - p.l4) == 0) {
    put16(l4 + wire::icmp::kChecksum, 0xffff);
  }
}

void rewrite_transport(Packet& p, const Delta& addresses) {
  std::uint8_t* l4 = p.data + p.l4;
  Delta change = addresses;
  if (p.translation.ports) {
    change.word(p.sport, p.translation.src_port);
    change.word(p.dport, p.translation.dst_port);
    put16(l4, p.translation.src_port);
    put16(l4 + 2, p.translation.dst_port);
    p.sport = p.translation.src_port;
    p.dport = p.translation.dst_port;
  }
  const std::size_t offset = wire::checksum_offset(p.proto);
  if (p.offload.partial) {
    // Not complemented, and without the ports: whoever finishes it adds them.
    put16(l4 + offset, fold(pseudo_sum(p.translation.src, p.translation.dst,
                                       p.proto, p.length - p.l4)));
  } else if (p.proto == kUdp) {
    change.update_udp_at(l4 + offset);
  } else if (offset != 0) {
    change.update_at(l4 + offset);
  }
}

}  // namespace

Verdict rewrite(Context& c, Packet& p) {
  Delta addresses;
  addresses.address(p.src, p.translation.src);
  addresses.address(p.dst, p.translation.dst);
  if (p.first) {
    if (p.icmp == IcmpKind::kError) {
      rewrite_quote(c, p);
    } else if (p.proto == kIcmp) {
      if (p.translation.ports) rewrite_query(p);
    } else {
      rewrite_transport(p, addresses);
      if (p.translation.mss != 0) clamp_mss(p);
    }
  }
  rewrite_header(p, addresses);
  p.src = p.translation.src;
  p.dst = p.translation.dst;
  return Verdict::proceed();
}

}  // namespace vxlnat
