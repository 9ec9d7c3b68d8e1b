// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Packets that the engine keeps for a while: a fixed number of buffers, each
// with headroom, in one piece of memory. A slot also links to the next one,
// so that its keeper can make queues of slots.

#ifndef VXLNAT_ENGINE_PACKET_POOL_H_
#define VXLNAT_ENGINE_PACKET_POOL_H_

#include <cstring>
#include <vector>

#include "engine/packet.h"

namespace vxlnat {

class PacketPool {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  PacketPool(std::uint32_t count, std::size_t room)
      : room_(room),
        memory_((kHeadroom + room) * count),
        packets_(count),
        next_(count) {
    for (std::uint32_t i = count; i-- > 0;) {
      next_[i] = free_;
      free_ = i;
    }
  }

  // Copies a packet; kNone when all slots are taken or it is too long.
  std::uint32_t keep(const Packet& packet) {
    if (free_ == kNone || packet.length > room_) return kNone;
    const std::uint32_t slot = free_;
    free_ = next_[slot];
    next_[slot] = kNone;
    packets_[slot] = packet;
    packets_[slot].data =
        memory_.data() + (kHeadroom + room_) * slot + kHeadroom;
    std::memcpy(packets_[slot].data, packet.data, packet.length);
    return slot;
  }

  void release(std::uint32_t slot) {
    next_[slot] = free_;
    free_ = slot;
  }

  Packet& at(std::uint32_t slot) { return packets_[slot]; }
  std::uint32_t& next(std::uint32_t slot) { return next_[slot]; }

 private:
  std::size_t room_;
  std::vector<std::uint8_t> memory_;
  std::vector<Packet> packets_;
  std::vector<std::uint32_t> next_;
  std::uint32_t free_ = kNone;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_PACKET_POOL_H_
