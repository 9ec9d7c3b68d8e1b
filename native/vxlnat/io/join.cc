// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Joins the packets of a burst; see join.h.

#include "io/join.h"

#include <algorithm>
#include <cstring>

#include "engine/wire.h"

namespace vxlnat::io {

namespace {

constexpr std::uint8_t kPsh = 0x08;
// IPv4 has 16 bits for a length, and the tunnel's headers come on top.
constexpr std::size_t kLongest = 65'400;

bool same_path(const Path& a, const Path& b) {
  return a.peer_ip == b.peer_ip && a.peer_port == b.peer_port &&
         a.local_ip == b.local_ip && a.tos == b.tos;
}

}  // namespace

void Joiner::begin(std::span<std::uint8_t> packet, const Headers& headers,
                   std::size_t room) {
  first_ = packet;
  h_ = headers;
  room_ = std::min(room, h_.ip + kLongest);
  segment_ = h_.end - h_.payload;
  joined_ = 1;
  const std::uint8_t* ip = packet.data() + h_.ip;
  open_ = segment_ > 0 && h_.end == packet.size() &&
          h_.l4 - h_.ip == wire::ip::kSize &&
          get16(ip + wire::ip::kFragment) == wire::ip::kDontFragment &&
          packet[h_.l4 + wire::tcp::kFlags] == wire::tcp::kAckFlag;
}

bool Joiner::same_flow(std::span<const std::uint8_t> packet,
                       const Headers& h) const {
  const std::uint8_t* mine = first_.data();
  // VXLAN and Ethernet; addresses and ports.
  return h.ip == h_.ip && h.l4 == h_.l4 &&
         std::memcmp(mine, packet.data(), h.ip) == 0 &&
         std::memcmp(mine + h.ip + wire::ip::kSrc,
                     packet.data() + h.ip + wire::ip::kSrc, 8) == 0 &&
         std::memcmp(mine + h.l4, packet.data() + h.l4, 4) == 0;
}

bool Joiner::verified(std::span<const std::uint8_t> packet,
                      const Headers& h) const {
  // The first one was not looked at until there was a second.
  return (joined_ > 1 || is_partial(first_, h_) || is_right(first_, h_)) &&
         (is_partial(packet, h) || is_right(packet, h));
}

bool Joiner::join(std::span<const std::uint8_t> packet, const Headers& h) {
  if (!open_) return false;
  open_ = false;
  std::uint8_t* mine = first_.data();
  const std::uint8_t* its = packet.data();
  const std::size_t length = h.end - h.payload;
  const std::uint8_t flags = its[h.l4 + wire::tcp::kFlags];
  const auto id =
      static_cast<std::uint16_t>(get16(mine + h_.ip + wire::ip::kId) + joined_);
  const auto sequence = static_cast<std::uint32_t>(
      get32(mine + h_.l4 + wire::tcp::kSequence) + (h_.end - h_.payload));
  const auto equal = [mine, its](std::size_t from, std::size_t to) {
    return std::memcmp(mine + from, its + from, to - from) == 0;
  };
  const bool next =
      h.payload == h_.payload && h.end == packet.size() && length > 0 &&
      length <= segment_ && h_.end + length <= room_ &&
      (flags & ~(kPsh | wire::tcp::kFin)) == wire::tcp::kAckFlag &&
      get16(its + h.ip + wire::ip::kId) == id &&
      get32(its + h.l4 + wire::tcp::kSequence) == sequence &&
      // Type of service; DF, time to live, protocol; acknowledgement and data
      // offset; window; urgent pointer and options.
      equal(h.ip, h.ip + wire::ip::kLength) &&
      equal(h.ip + wire::ip::kFragment, h.ip + wire::ip::kChecksum) &&
      equal(h.l4 + wire::tcp::kAck, h.l4 + wire::tcp::kFlags) &&
      equal(h.l4 + wire::tcp::kFlags + 1, h.l4 + wire::tcp::kChecksum) &&
      equal(h.l4 + wire::tcp::kChecksum + 2, h.payload) && verified(packet, h);
  if (!next) return false;
  std::memmove(mine + h_.end, its + h.payload, length);
  h_.end += length;
  joined_++;
  mine[h_.l4 + wire::tcp::kFlags] |= flags;
  open_ = length == segment_ && flags == wire::tcp::kAckFlag;
  return true;
}

void Joiner::finish(Packet* packet) {
  open_ = false;
  if (joined_ < 2) return;
  seal_partial(packet->data, h_);
  packet->length = h_.end;
  packet->offload = {.segment = static_cast<std::uint16_t>(segment_),
                     .partial = true};
}

bool BurstJoiner::ride(std::span<const std::uint8_t> datagram, const Headers& h,
                       const Path& path, std::span<const Packet> out) {
  for (std::size_t i = 0; i < std::min(begun_, kTrains); i++) {
    Train& train = trains_[i];
    if (train.joiner.same_flow(datagram, h)) {
      if (!same_path(path, out[train.packet].path)) {
        train.joiner.close();
      } else if (train.joiner.join(datagram, h)) {
        return true;
      }
    }
  }
  return false;
}

std::size_t BurstJoiner::add(std::span<std::uint8_t> datagram,
                             const Place& place, const Path& path,
                             std::span<Packet> out, std::size_t n) {
  const std::size_t ip = find_inner(datagram);
  Headers h;
  const bool known = ip != 0 && read_headers(datagram, ip, &h);
  const bool tcp = known && h.protocol == kTcp;
  if (tcp && ride(datagram, h, path, out)) return n;
  // What lies in front of this one in the same buffer must not grow into it.
  for (std::size_t i = 0; i < std::min(begun_, kTrains); i++) {
    if (trains_[i].buffer == place.buffer) trains_[i].joiner.close();
  }
  out[n] = {};
  out[n].data = datagram.data();
  out[n].length = datagram.size();
  out[n].path = path;
  if (known) out[n].offload = take_over(datagram, ip, inner_mtu_);
  if (tcp && out[n].offload.segment == 0) {
    Train& train = trains_[begun_ % kTrains];
    if (begun_ >= kTrains) train.joiner.finish(&out[train.packet]);
    train.joiner.begin(datagram, h, place.room);
    train.packet = n;
    train.buffer = place.buffer;
    begun_++;
  }
  return n + 1;
}

void BurstJoiner::finish(std::span<Packet> out) {
  for (std::size_t i = 0; i < std::min(begun_, kTrains); i++) {
    trains_[i].joiner.finish(&out[trains_[i].packet]);
  }
  begun_ = 0;
}

}  // namespace vxlnat::io
