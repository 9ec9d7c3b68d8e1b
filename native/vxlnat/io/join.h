// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Many packets of one TCP flow become one super-packet, before the engine
// sees them; what a kernel calls generic receive offload. The packets of a
// burst are added in the order in which they came, and each becomes a packet
// of its own or grows an earlier one. Only what a Segmenter would cut into the
// very same packets again is joined, and packets of one flow never change
// places. Pure, like offload.h.

#ifndef VXLNAT_IO_JOIN_H_
#define VXLNAT_IO_JOIN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/packet.h"
#include "io/offload.h"

namespace vxlnat::io {

// One TCP packet to which the next ones of its flow can be joined.
class Joiner {
 public:
  // Begins with a packet in a buffer of `room` bytes.
  void begin(std::span<std::uint8_t> packet, const Headers& headers,
             std::size_t room);
  // Whether a packet is of the same flow, joined or not.
  bool same_flow(std::span<const std::uint8_t> packet, const Headers& h) const;
  // Appends the packet's payload. False: not possible, and nothing more may
  // be joined, or the flow's packets would change places. Checksums that are
  // not partial are verified, for nobody looks at them again.
  bool join(std::span<const std::uint8_t> packet, const Headers& h);
  void close() { open_ = false; }
  // Makes the headers and what is said about the packet true.
  void finish(Packet* packet);

 private:
  bool verified(std::span<const std::uint8_t> packet, const Headers& h) const;

  std::span<std::uint8_t> first_;
  std::size_t room_ = 0;
  Headers h_;
  std::size_t segment_ = 0;
  std::size_t joined_ = 0;  // packets
  bool open_ = false;
};

// The packets of one burst from the underlay.
class BurstJoiner {
 public:
  explicit BurstJoiner(std::size_t inner_mtu) : inner_mtu_(inner_mtu) {}

  // Where a datagram lies: `room` bytes from its beginning on may be written.
  // Datagrams of one `buffer` lie one behind the other.
  struct Place {
    std::size_t room = 0;
    std::size_t buffer = 0;
  };
  // Makes `datagram` out[n], or a part of an earlier one. Returns how many
  // there are now.
  std::size_t add(std::span<std::uint8_t> datagram, const Place& place,
                  const Path& path, std::span<Packet> out, std::size_t n);
  // Ends the burst; the packets are true from now on.
  void finish(std::span<Packet> out);

 private:
  struct Train {
    Joiner joiner;
    std::size_t packet = 0;  // index in `out`
    std::size_t buffer = 0;
  };
  // More flows than these are seldom mixed in one burst.
  static constexpr std::size_t kTrains = 8;

  bool ride(std::span<const std::uint8_t> datagram, const Headers& h,
            const Path& path, std::span<const Packet> out);

  std::size_t inner_mtu_;
  std::array<Train, kTrains> trains_;
  std::size_t begun_ = 0;  // since the burst began
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_JOIN_H_
