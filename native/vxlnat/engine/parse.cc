// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 3: headers are sound, or the packet goes no further (RFC 1812
// section 5.2.2, RFC 1858, RFC 3128).
//
// Before: `data` is at an IPv4 header that nobody has looked at.
// After: addresses, protocol, ports (of ICMP queries and replies the
// identifier), L4 offset and fragment marks are set; `length` is what the
// header says, so that trailing padding is gone (B20). What L4 fields a
// `first` fragment has are inside the packet.
// Drops: BadHeader, BadIpChecksum, SourceRoute, MartianSource,
// MartianDestination, BadL4, TinyFragment.

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::uint8_t kLooseRoute = 131;
constexpr std::uint8_t kStrictRoute = 137;

bool has_source_route(const std::uint8_t* header, std::size_t size) {
  for (std::size_t at = wire::ip::kSize; at < size;) {
    const std::uint8_t type = header[at];
    if (type == 0) return false;
    if (type == kLooseRoute || type == kStrictRoute) return true;
    if (type == 1) {
      at++;
      continue;
    }
    if (at + 1 >= size || header[at + 1] < 2) return false;
    at += header[at + 1];
  }
  return false;
}

void parse_icmp(Packet& p) {
  const std::uint8_t* l4 = p.data + p.l4;
  const std::uint16_t id = get16(l4 + wire::icmp::kIdentifier);
  switch (l4[0]) {
    case wire::icmp::kEcho:
    case wire::icmp::kTimestamp:
      p.icmp = IcmpKind::kQuery;
      p.sport = id;
      break;
    case wire::icmp::kEchoReply:
    case wire::icmp::kTimestampReply:
      p.icmp = IcmpKind::kReply;
      p.dport = id;
      break;
    case wire::icmp::kUnreachable:
    case wire::icmp::kTimeExceeded:
    case wire::icmp::kParameterProblem:
      p.icmp = IcmpKind::kError;
      break;
    default:
      p.icmp = IcmpKind::kOther;
  }
}

// The least that a first fragment must hold of its transport header.
std::size_t l4_needed(std::uint8_t proto) {
  switch (proto) {
    case kTcp:
      return wire::tcp::kSize;
    case kUdp:
    case kUdpLite:
    case kDccp:
    case kIcmp:
      return wire::udp::kSize;
    default:
      return 0;
  }
}

Drop parse_l4(Packet& p) {
  const std::size_t left = p.length - p.l4;
  if (left < l4_needed(p.proto)) {
    return p.fragment ? Drop::kTinyFragment : Drop::kBadL4;
  }
  const std::uint8_t* l4 = p.data + p.l4;
  if (p.proto == kTcp) {
    const std::size_t size =
        static_cast<std::size_t>(l4[wire::tcp::kOffset] >> 4) * 4;
    if (size < wire::tcp::kSize) return Drop::kBadL4;
    if (size > left) return p.fragment ? Drop::kTinyFragment : Drop::kBadL4;
  } else if (p.proto == kUdp) {
    const std::uint16_t size = get16(l4 + wire::udp::kLength);
    if (size < wire::udp::kSize) return Drop::kBadL4;
    if (size > left && !p.fragment) return Drop::kBadL4;
  } else if (p.proto == kIcmp) {
    parse_icmp(p);
    return Drop::kCount;
  }
  if (p.proto == kTcp || p.proto == kUdp) {
    p.sport = get16(l4);
    p.dport = get16(l4 + 2);
  }
  return Drop::kCount;
}

Drop parse_header(Packet& p) {
  if (p.length < wire::ip::kSize || p.data[0] >> 4 != 4) {
    return Drop::kBadHeader;
  }
  const std::size_t size = wire::ip::header_size(p.data);
  const std::size_t total = get16(p.data + wire::ip::kLength);
  if (size < wire::ip::kSize || total < size || total > p.length) {
    return Drop::kBadHeader;
  }
  if (checksum(p.data, size) != 0) return Drop::kBadIpChecksum;
  if (size > wire::ip::kSize && has_source_route(p.data, size)) {
    return Drop::kSourceRoute;
  }
  p.length = total;
  p.l4 = static_cast<std::uint16_t>(size);
  p.src = get32(p.data + wire::ip::kSrc);
  p.dst = get32(p.data + wire::ip::kDst);
  if (wire::ip::is_martian(p.src)) return Drop::kMartianSource;
  if (wire::ip::is_martian(p.dst)) return Drop::kMartianDestination;
  return Drop::kCount;
}

}  // namespace

Verdict parse(Context& c, Packet& p) {
  Drop reason = parse_header(p);
  if (reason != Drop::kCount) return c.drop(p, reason);
  p.proto = p.data[wire::ip::kProto];
  p.fragment = wire::ip::is_fragment(p.data);
  p.first = wire::ip::is_first(p.data);
  p.icmp = IcmpKind::kNone;
  p.sport = p.dport = 0;
  if (p.first) {
    reason = parse_l4(p);
  } else {
    const std::size_t at =
        (get16(p.data + wire::ip::kFragment) & wire::ip::kOffsetMask) * 8u;
    const bool overlaps = at < l4_needed(p.proto);
    // Beyond 64 KB it cannot be put together (RFC 791).
    if (overlaps || at + p.length - p.l4 > 65535) reason = Drop::kTinyFragment;
  }
  return reason == Drop::kCount ? Verdict::proceed() : c.drop(p, reason);
}

}  // namespace vxlnat
