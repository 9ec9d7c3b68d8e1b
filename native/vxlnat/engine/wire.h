// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Where the fields of each header are, by byte offset, and the few numbers a
// gateway knows. RFC 791, 792, 768, 9293, 826, 7348, 5880, IEEE 802.1Q.

#ifndef VXLNAT_ENGINE_WIRE_H_
#define VXLNAT_ENGINE_WIRE_H_

#include <cstddef>
#include <cstdint>

#include "engine/bytes.h"

namespace vxlnat::wire {

inline constexpr std::size_t kVxlanSize = 8;
inline constexpr std::uint8_t kVxlanHasVni = 0x08;

inline constexpr std::size_t kEthernetSize = 14;
inline constexpr std::size_t kTagSize = 4;
inline constexpr std::uint16_t kTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kTypeArp = 0x0806;
inline constexpr std::uint16_t kTypeTag = 0x8100;
inline constexpr Mac kBroadcast = 0xffffffffffff;

inline constexpr std::size_t kArpSize = 28;

namespace ip {
inline constexpr std::size_t kSize = 20;
inline constexpr std::size_t kTos = 1;
inline constexpr std::uint8_t kEcnMask = 3;  // of TOS
inline constexpr std::size_t kLength = 2;
inline constexpr std::size_t kId = 4;
inline constexpr std::size_t kFragment = 6;
inline constexpr std::size_t kTtl = 8;
inline constexpr std::size_t kProto = 9;
inline constexpr std::size_t kChecksum = 10;
inline constexpr std::size_t kSrc = 12;
inline constexpr std::size_t kDst = 16;
inline constexpr std::uint16_t kDontFragment = 0x4000;
inline constexpr std::uint16_t kMoreFragments = 0x2000;
inline constexpr std::uint16_t kOffsetMask = 0x1fff;

inline std::size_t header_size(const std::uint8_t* h) {
  return static_cast<std::size_t>(h[0] & 0x0f) * 4;
}
inline bool is_fragment(const std::uint8_t* h) {
  return (get16(h + kFragment) & (kMoreFragments | kOffsetMask)) != 0;
}
inline bool is_first(const std::uint8_t* h) {
  return (get16(h + kFragment) & kOffsetMask) == 0;
}
inline bool dont_fragment(const std::uint8_t* h) {
  return (get16(h + kFragment) & kDontFragment) != 0;
}
// 0/8, 127/8 and everything from 224/4 up belong to no host.
inline bool is_martian(std::uint32_t ip) {
  const std::uint32_t top = ip >> 24;
  return top == 0 || top == 127 || top >= 224;
}
}  // namespace ip

namespace udp {
inline constexpr std::size_t kSize = 8;
inline constexpr std::size_t kLength = 4;
inline constexpr std::size_t kChecksum = 6;
}  // namespace udp

namespace tcp {
inline constexpr std::size_t kSize = 20;
inline constexpr std::size_t kSequence = 4;
inline constexpr std::size_t kAck = 8;
inline constexpr std::size_t kOffset = 12;
inline constexpr std::size_t kFlags = 13;
inline constexpr std::size_t kChecksum = 16;
inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kAckFlag = 0x10;
}  // namespace tcp

namespace icmp {
inline constexpr std::size_t kSize = 8;
inline constexpr std::size_t kCode = 1;
inline constexpr std::size_t kChecksum = 2;
inline constexpr std::size_t kIdentifier = 4;
inline constexpr std::size_t kMtu = 6;
inline constexpr std::uint8_t kEchoReply = 0;
inline constexpr std::uint8_t kUnreachable = 3;
inline constexpr std::uint8_t kEcho = 8;
inline constexpr std::uint8_t kTimeExceeded = 11;
inline constexpr std::uint8_t kParameterProblem = 12;
inline constexpr std::uint8_t kTimestamp = 13;
inline constexpr std::uint8_t kTimestampReply = 14;
inline constexpr std::uint8_t kHostUnreachable = 1;      // code of type 3
inline constexpr std::uint8_t kFragmentationNeeded = 4;  // code of type 3
inline constexpr std::uint8_t kProhibited = 13;          // code of type 3

// Source quench, redirect, router discovery: they must not cross realms
// (facts: nat-behaviour I10).
inline bool is_local(std::uint8_t type) {
  return type == 4 || type == 5 || type == 9 || type == 10;
}
}  // namespace icmp

// Offset of the checksum in the header of a protocol with a pseudo-header, or
// 0 when the protocol has none that an address changes.
inline std::size_t checksum_offset(std::uint8_t proto) {
  switch (proto) {
    case kTcp:
      return tcp::kChecksum;
    case kUdp:
    case kUdpLite:
    case kDccp:
      return udp::kChecksum;
    default:
      return 0;
  }
}

}  // namespace vxlnat::wire

#endif  // VXLNAT_ENGINE_WIRE_H_
