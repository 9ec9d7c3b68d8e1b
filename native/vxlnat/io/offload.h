// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a virtual link leaves undone. Between network namespaces and virtual
// machines nothing is ever a wire: a VXLAN datagram may hold a TCP
// "super-packet" of up to 64 KB that the sender's network card was supposed
// to cut up, and a TCP or UDP checksum that it was supposed to finish.
// (facts: packet-io 6.1 and 6.2.)
//
// A super-packet costs little more than a packet, so the ports keep it whole
// from one side to the other and tell the kernel what is left to do. What
// they cannot pass on they do themselves, with what is in this file: finish a
// checksum, cut a super-packet, and join the packets of a burst into one.
//
// All of it is pure. Super-packets of UDP do not reach a socket: the kernel
// cuts those itself.

#ifndef VXLNAT_IO_OFFLOAD_H_
#define VXLNAT_IO_OFFLOAD_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/packet.h"

namespace vxlnat::io {

// Where things are in a packet that holds an unfragmented TCP or UDP packet.
struct Headers {
  std::size_t ip = 0;       // offset of the IPv4 header
  std::size_t l4 = 0;       // of the TCP or UDP header
  std::size_t payload = 0;  // of what follows it
  std::size_t end = 0;      // behind the last byte
  std::uint8_t protocol = 0;
};

// Offset of the inner IPv4 header behind VXLAN, Ethernet and at most one
// 802.1Q tag; 0 when there is none.
std::size_t find_inner(std::span<const std::uint8_t> datagram);

// Reads the headers of the IPv4 packet at `ip`. False when it is not a whole,
// unfragmented TCP or UDP packet; the engine will judge it.
bool read_headers(std::span<const std::uint8_t> packet, std::size_t ip,
                  Headers* headers);

// Whether a checksum holds only the pseudo-header's sum. Of the corrupted
// packets, one in 65,536 looks like that, and would be repaired by mistake.
bool is_partial(std::span<const std::uint8_t> packet, const Headers& h);
void finish_checksum(std::span<std::uint8_t> packet, const Headers& h);
// Whether a finished one is right.
bool is_right(std::span<const std::uint8_t> packet, const Headers& h);
// Makes the IPv4 header true to `h`, and the checksum a partial one.
void seal_partial(std::uint8_t* packet, const Headers& h);
// The same as finish_checksum for a checksum of any kind: over all from `start`
// on, at `offset` behind it, where the sum of the pseudo-header is.
void finish_checksum_at(std::span<std::uint8_t> packet, std::size_t start,
                        std::size_t offset);

// Decides what of a received packet is left to the port that will send it,
// and does the rest: short packets are finished, so that the engine may change
// their TCP options; so are those that the engine may have to fragment.
// `segment` is what the kernel told of a super-packet, or 0 when unknown.
Offload take_over(std::span<std::uint8_t> packet, std::size_t ip,
                  std::size_t inner_mtu, std::uint16_t segment = 0);

// What is left to do, in the kernel's words: its virtio_net_hdr, whose header
// file is not C++.
struct VnetHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;  // of `flags`
  static constexpr std::uint8_t kTcp4 = 1;           // of `kind`
  static constexpr std::uint8_t kEcn = 0x80;
  std::uint8_t flags;
  std::uint8_t kind;  // gso_type; 0: one packet
  std::uint16_t header_length;
  std::uint16_t segment;
  std::uint16_t checksum_start;
  std::uint16_t checksum_offset;
};
static_assert(sizeof(VnetHeader) == 10);

// Tells what is left to do; offsets count from the packet's beginning.
VnetHeader describe(std::span<const std::uint8_t> packet, std::size_t ip,
                    Offload offload);

// Cuts a TCP super-packet into pieces of `segment` bytes of payload, with
// whatever lies in front of the IPv4 header in front of each. The pieces are
// what the sender's card would have sent: sequence numbers and IP identifiers
// advance, FIN and PSH stay on the last, CWR on the first (RFC 3168 section
// 6.1.2), all checksums are whole.
class Segmenter {
 public:
  // The packet must stay valid until `next` returns 0.
  Segmenter(std::span<const std::uint8_t> packet, const Headers& headers,
            std::size_t segment);
  // Length of the next piece; 0 when there is none left.
  std::size_t next_length() const;
  // Writes it.
  void next(std::uint8_t* out);

 private:
  std::span<const std::uint8_t> packet_;
  Headers h_;
  std::size_t segment_;
  std::size_t at_;  // offset of what comes next
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_OFFLOAD_H_
