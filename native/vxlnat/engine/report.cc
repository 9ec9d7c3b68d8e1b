// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// ICMP errors and TCP resets of the engine's own (RFC 792, RFC 1812 section
// 4.3.2, RFC 9293 section 3.10.7.1). Made in the scratch buffer, limited for
// each destination, never about an ICMP error or a later fragment (I11). They
// quote the packet as it came, up to 576 bytes in all.

#include <algorithm>
#include <cstring>

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::size_t kMostBytes = 576;

void put_header(std::uint8_t* at, std::size_t length, std::uint8_t tos,
                std::uint8_t proto, Ip4 src, Ip4 dst) {
  std::memset(at, 0, wire::ip::kSize);
  at[0] = 0x45;
  at[wire::ip::kTos] = tos;
  put16(at + wire::ip::kLength, static_cast<std::uint16_t>(length));
  put16(at + wire::ip::kFragment, wire::ip::kDontFragment);
  at[wire::ip::kTtl] = 64;
  at[wire::ip::kProto] = proto;
  put32(at + wire::ip::kSrc, src);
  put32(at + wire::ip::kDst, dst);
  put16(at + wire::ip::kChecksum, checksum(at, wire::ip::kSize));
}

bool may_report(const Packet& p) {
  return p.first && p.icmp != IcmpKind::kError && p.icmp != IcmpKind::kOther;
}

Packet make_error(Context& c, const Packet& p, const IcmpError& error, Ip4 src,
                  Ip4 dst) {
  Packet e;
  e.data = c.scratch.data() + kHeadroom;
  const std::size_t quote =
      std::min(p.length, kMostBytes - wire::ip::kSize - wire::icmp::kSize);
  e.length = wire::ip::kSize + wire::icmp::kSize + quote;
  // Its DS field, and never a congestion mark (I11).
  put_header(e.data, e.length, p.data[wire::ip::kTos] & 0xfc, kIcmp, src, dst);
  std::uint8_t* icmp = e.data + wire::ip::kSize;
  icmp[0] = error.type;
  icmp[wire::icmp::kCode] = error.code;
  put16(icmp + wire::icmp::kChecksum, 0);
  put32(icmp + 4, error.rest);
  std::memcpy(icmp + wire::icmp::kSize, p.data, quote);
  put16(icmp + wire::icmp::kChecksum,
        checksum(icmp, e.length - wire::ip::kSize));
  e.src = src;
  e.dst = dst;
  e.proto = kIcmp;
  return e;
}

}  // namespace

void report_inside(Context& c, const Packet& p, const IcmpError& error) {
  if (!may_report(p) || !c.icmp_limit.allow(p.vnet, p.src, c.now)) return;
  Packet e = make_error(c, p, error, c.rules.at(p.rule).router_ip, p.src);
  c.stats.icmp_errors_sent.add();
  bounce(c, p, e);
}

void report_outside(Context& c, const Packet& p, const IcmpError& error) {
  if (!may_report(p) || !c.icmp_limit.allow(kOutside, p.src, c.now)) return;
  Packet e = make_error(c, p, error, p.dst, p.src);
  c.stats.icmp_errors_sent.add();
  // The sender may be a host of ours, which sent it round a hairpin.
  e.l4 = wire::ip::kSize;
  e.icmp = IcmpKind::kError;
  (void)depart(c, e);
}

void reset_inside(Context& c, const Packet& p) {
  const std::uint8_t* l4 = p.data + p.l4;
  const std::uint8_t flags = l4[wire::tcp::kFlags];
  if ((flags & wire::tcp::kRst) != 0 || (flags & wire::tcp::kAckFlag) == 0 ||
      !c.icmp_limit.allow(p.vnet, p.src, c.now)) {
    return;
  }
  Packet r;
  r.data = c.scratch.data() + kHeadroom;
  r.length = wire::ip::kSize + wire::tcp::kSize;
  put_header(r.data, r.length, 0, kTcp, p.dst, p.src);
  std::uint8_t* tcp = r.data + wire::ip::kSize;
  std::memset(tcp, 0, wire::tcp::kSize);
  put16(tcp, p.dport);
  put16(tcp + 2, p.sport);
  put32(tcp + wire::tcp::kSequence, get32(l4 + wire::tcp::kAck));
  tcp[wire::tcp::kOffset] = 0x50;
  tcp[wire::tcp::kFlags] = wire::tcp::kRst;
  put16(tcp + wire::tcp::kChecksum,
        checksum(tcp, wire::tcp::kSize,
                 pseudo_sum(p.dst, p.src, kTcp, wire::tcp::kSize)));
  r.src = p.dst;
  r.dst = p.src;
  r.proto = kTcp;
  bounce(c, p, r);
}

}  // namespace vxlnat
