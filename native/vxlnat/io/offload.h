// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a virtual link leaves undone. Between network namespaces and virtual
// machines nothing is ever a wire: a VXLAN datagram may arrive holding a TCP
// "super-packet" of up to 64 KB that the sender's network card was supposed
// to cut up, and a TCP or UDP checksum that it was supposed to finish. The
// engine wants packets as they are on a wire, so this file finishes both.
// (facts: packet-io 6.1 and 6.2.) Super-packets of UDP do not reach a socket:
// the kernel cuts those itself.

#ifndef VXLNAT_IO_OFFLOAD_H_
#define VXLNAT_IO_OFFLOAD_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace vxlnat::io {

// The inner IPv4 header of a VXLAN datagram, when there is one.
struct InnerPacket {
  std::size_t ip = 0;         // offset of the IPv4 header
  std::size_t l4 = 0;         // offset of what follows it
  std::size_t ip_length = 0;  // total length as the header says
  std::uint8_t protocol = 0;
  bool fragment = false;
};

// Finds the inner IPv4 header behind VXLAN, Ethernet and at most one 802.1Q
// tag. Returns false when there is none or it is cut short; the engine will
// judge the packet. `packet` may be the beginning of a longer datagram.
bool find_inner(std::span<const std::uint8_t> packet, InnerPacket* inner);

// Finishes a TCP or UDP checksum that holds only the pseudo-header's sum.
// A finished one is not touched: only a corrupted packet whose checksum field
// happens to equal that sum (1 in 65,536) would be repaired by mistake.
void finish_checksum(std::span<std::uint8_t> packet);

// Cuts one TCP super-packet into packets of at most `mtu` bytes of inner IP.
// The pieces are what the sender's card would have sent: sequence numbers and
// IP identifiers advance, FIN and PSH stay on the last, CWR on the first
// (RFC 3168 section 6.1.2), all checksums are whole.
class Segmenter {
 public:
  // Begins with a datagram in two pieces, as the socket scattered it. Both
  // must stay valid until `next` returns 0. Returns false when this is not an
  // unfragmented TCP packet that is longer than `mtu`, or cannot be cut.
  bool begin(std::span<const std::uint8_t> head,
             std::span<const std::uint8_t> tail, std::size_t mtu);
  // Writes the next piece, its VXLAN header first; returns its length, or 0
  // when there is none left.
  std::size_t next(std::uint8_t* out);

 private:
  void copy(std::size_t from, std::size_t length, std::uint8_t* out) const;

  std::span<const std::uint8_t> head_;
  std::span<const std::uint8_t> tail_;
  InnerPacket inner_;
  std::size_t payload_ = 0;  // offset of the TCP payload
  std::size_t end_ = 0;      // offset behind it
  std::size_t at_ = 0;       // offset of what comes next
  std::size_t size_ = 0;     // payload bytes in each piece
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_OFFLOAD_H_
