// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Copies of packets for taps. They are Ethernet frames whatever the point is,
// so that one kind of reader reads all. Headers that the engine never sees are
// made up: outer Ethernet, IPv4 and UDP from what the port said, Ethernet with
// addresses of zero on the external side.

#include <cstring>

#include "engine/checksum.h"
#include "engine/context.h"
#include "engine/tap.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::size_t kOuterSize =
    wire::kEthernetSize + wire::ip::kSize + wire::udp::kSize;

}  // namespace

// Room for a copy of `size` bytes, or null when nobody wants one. What does
// not fit in the scratch memory is cut.
std::uint8_t* Taps::frame(Point point, std::size_t size, Vni vnet,
                          bool outbound) {
  if ((points_ & bit(point)) == 0 || question_ || frames_ == kMostFrames ||
      size > kScratch - scratch_used_) {
    return nullptr;
  }
  Pending& made = pending_[frames_++];
  made.at = scratch_used_;
  made.head = {.time_ms = c_.now,
               .length = static_cast<std::uint32_t>(size),
               .original = static_cast<std::uint32_t>(size),
               .packet = number_,
               .vnet = vnet,
               .point = static_cast<std::uint8_t>(point),
               .outbound = outbound};
  scratch_used_ += size;
  return scratch_.data() + made.at;
}

void Taps::copy_ethernet(Point point, std::span<const std::uint8_t> payload,
                         Vni vnet, bool outbound) {
  std::uint8_t* at =
      frame(point, wire::kEthernetSize + payload.size(), vnet, outbound);
  if (at == nullptr) return;
  std::memset(at, 0, wire::kEthernetSize);
  put16(at + 12, wire::kTypeIpv4);
  std::memcpy(at + wire::kEthernetSize, payload.data(), payload.size());
}

void Taps::copy_outer(std::span<const std::uint8_t> bytes, const Underlay& to,
                      bool outbound) {
  const Vni vnet = bytes.size() < 8 ? 0 : get32(bytes.data() + 4) >> 8;
  put_outer(frame(Point::kOuter, kOuterSize + bytes.size(), vnet, outbound),
            bytes, to);
}

void Taps::put_outer(std::uint8_t* at, std::span<const std::uint8_t> bytes,
                     const Underlay& to) {
  if (at == nullptr) return;
  std::memset(at, 0, kOuterSize);
  put16(at + 12, wire::kTypeIpv4);
  std::uint8_t* ip = at + wire::kEthernetSize;
  ip[0] = 0x45;
  ip[wire::ip::kTos] = to.tos;
  put16(ip + wire::ip::kLength,
        static_cast<std::uint16_t>(wire::ip::kSize + wire::udp::kSize +
                                   bytes.size()));
  put16(ip + wire::ip::kFragment, wire::ip::kDontFragment);
  ip[wire::ip::kTtl] = 64;
  ip[wire::ip::kProto] = kUdp;
  put32(ip + wire::ip::kSrc, to.src_ip);
  put32(ip + wire::ip::kDst, to.dst_ip);
  put16(ip + wire::ip::kChecksum, checksum(ip, wire::ip::kSize));
  std::uint8_t* udp = ip + wire::ip::kSize;
  put16(udp, to.entropy);
  put16(udp + 2, to.dst_port);
  put16(udp + wire::udp::kLength,
        static_cast<std::uint16_t>(wire::udp::kSize + bytes.size()));
  std::memcpy(at + kOuterSize, bytes.data(), bytes.size());
}

// The packet as it is now: with its fabric's Ethernet header as long as that
// is there, as a datagram when it was never opened.
void Taps::copy_drop(const Packet& p, Drop reason) {
  const std::size_t before = frames_;
  const bool ours = &p == packet_ && start_ != nullptr;
  const Vni vnet = facts_.vnet.value_or(0);
  if (ours && facts_.outbound && p.data == start_) {
    put_outer(frame(Point::kDrop, kOuterSize + p.length, vnet, true), p.bytes(),
              {.src_ip = p.path.peer_ip,
               .dst_ip = p.path.local_ip,
               .dst_port = c_.config.vxlan_port,
               .entropy = p.path.peer_port,
               .tos = p.path.tos});
  } else if (ours && facts_.outbound) {
    const std::uint8_t* at = start_ + wire::kVxlanSize;
    const auto size = static_cast<std::size_t>(p.data - at) + p.length;
    std::uint8_t* to = frame(Point::kDrop, size, vnet, true);
    if (to != nullptr) std::memcpy(to, at, size);
  } else {
    copy_ethernet(Point::kDrop, p.bytes(), vnet, facts_.outbound);
  }
  if (frames_ > before) {
    pending_[before].head.drop = static_cast<std::uint8_t>(reason);
  }
}

}  // namespace vxlnat
