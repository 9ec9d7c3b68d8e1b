// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Ethernet frames as a ring shows them: finding the engine's packet in one,
// and building one around what the engine sends. Pure.

#ifndef VXLNAT_IO_FRAME_H_
#define VXLNAT_IO_FRAME_H_

#include <cstddef>
#include <cstdint>

#include "engine/packet.h"

namespace vxlnat::io {

enum class FrameKind {
  kUnderlay,     // a VXLAN datagram; `packet` begins at its VXLAN header
  kExternal,     // a bare IPv4 packet
  kForeign,      // nothing for us, or cut short
  kBadChecksum,  // of the outer IPv4 or UDP header
};

// What a ring of one interface carries.
struct FrameRules {
  bool underlay = false;
  bool external = false;
  std::uint16_t vlan = 0;  // the tag that each frame has; 0: none
  std::uint16_t vxlan_port = 4789;
};

// Finds the packet. On a virtual link the sender may have left TCP and UDP
// checksums to a card that does not exist; they are finished here, the inner
// ones too. A finished one is left alone (RFC 768: nor is a UDP checksum of
// zero touched, which means none).
FrameKind read_frame(std::uint8_t* frame, std::size_t length,
                     const FrameRules& rules, Packet* packet);

// Finishes a TCP or UDP checksum that holds only the pseudo-header's sum.
// `ip` is an IPv4 packet of `length` bytes.
void finish_ip_checksum(std::uint8_t* ip, std::size_t length);

// Addresses of one link.
struct LinkAddresses {
  std::uint8_t dst_mac[6] = {};
  std::uint8_t src_mac[6] = {};
  std::uint16_t vlan = 0;  // 0: no tag
};

// Bytes that the functions below put in front of a packet at most.
inline constexpr std::size_t kMostOuter = 14 + 4 + 20 + 8;

// Puts Ethernet in front of an IPv4 packet; returns where the frame begins.
std::uint8_t* put_ethernet(std::uint8_t* ip, const LinkAddresses& link);

// Puts UDP and IPv4 in front of a VXLAN datagram: no UDP checksum (RFC 7348
// section 5), DF set (section 4.3), and no identifier, which a datagram that
// is never fragmented needs not (RFC 6864). Returns where the packet begins.
std::uint8_t* put_tunnel(std::uint8_t* vxlan, std::size_t length,
                         const Underlay& to);

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_FRAME_H_
