// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the worker needs of a way in and out: a burst of packets to read, a
// place to put packets to send, and a descriptor to sleep on. Both the VXLAN
// socket and the TUN device are one, and so is the pair of queues that tests
// use. A port owns its buffers: what `receive` gives stays valid until the
// next `receive`, has kHeadroom writable bytes in front so that the engine
// encapsulates in place, and no packet costs an allocation.
//
// Threads: after opening, a port belongs to the worker thread alone; only its
// counters may be read by others.

#ifndef VXLNAT_IO_PORT_H_
#define VXLNAT_IO_PORT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/packet.h"

namespace vxlnat::io {

// The longest packet that a port passes on: a jumbo frame and its tunnel.
inline constexpr std::size_t kRoom = 9216;
// The same of a TCP super-packet.
inline constexpr std::size_t kSuperRoom = 65536;
// A burst is cut short when it holds so much: more falls out of the cache.
inline constexpr std::size_t kBurstBytes = 512 * 1024;

// Written by the worker, read by anyone.
struct PortCounters {
  std::atomic<std::uint64_t> rx_packets{0};
  std::atomic<std::uint64_t> tx_packets{0};
  std::atomic<std::uint64_t> rx_overflow{0};  // came faster than we took them
  std::atomic<std::uint64_t> rx_oversize{0};  // longer than kRoom, not TCP
  std::atomic<std::uint64_t> tx_refused{0};   // the kernel did not take it
  std::atomic<std::uint64_t> rx_invalid{0};   // not for us, or damaged
};

// One writer: a plain add is enough, and it costs no locked instruction.
inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + by,
                std::memory_order_relaxed);
}

class Port {
 public:
  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  virtual ~Port() = default;

  // Readable when `receive` would give something; -1 when there is nothing to
  // sleep on (tests).
  virtual int fd() const = 0;
  // Fills at most out.size() entries without blocking; returns how many.
  // Whoever got any must call again before sleeping: a port may hold more.
  virtual std::size_t receive(std::span<Packet> out) = 0;
  // Takes a copy, or sends at once; the bytes are free afterwards. An external
  // port has no use for `to`. What `offload` tells never goes out on a wire
  // undone; it is not zero only when a port has handed in such a packet.
  virtual void send(std::span<const std::uint8_t> bytes, const Underlay& to,
                    Offload offload) = 0;
  // Sends what `send` has kept.
  virtual void flush() = 0;

  // Brings the counters of what the kernel lost up to date; not for each pass.
  virtual void count_losses() {}

  const PortCounters& counters() const { return counters_; }

 protected:
  PortCounters counters_;
};

// `count` packet buffers in one piece of memory, each with its headroom.
class Buffers {
 public:
  Buffers(std::size_t count, std::size_t headroom, std::size_t room)
      : headroom_(headroom),
        stride_((headroom + room + 63) / 64 * 64),
        memory_(
            std::make_unique_for_overwrite<std::uint8_t[]>(count * stride_)) {}
  std::uint8_t* data(std::size_t i) const {
    return memory_.get() + i * stride_ + headroom_;
  }

 private:
  std::size_t headroom_;
  std::size_t stride_;
  std::unique_ptr<std::uint8_t[]> memory_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_PORT_H_
