// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Finishes checksums and cuts TCP super-packets; see offload.h.

#include "io/offload.h"

#include <algorithm>
#include <cstring>

namespace vxlnat::io {

namespace {

constexpr std::size_t kVxlan = 8;
constexpr std::size_t kEthernet = 14;
constexpr std::size_t kTag = 4;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kCwr = 0x80;

std::uint16_t load16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

std::uint32_t load32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(load16(at)) << 16 | load16(at + 2);
}

void store16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

void store32(std::uint8_t* at, std::uint32_t value) {
  store16(at, value >> 16);
  store16(at + 2, value);
}

std::uint32_t fold(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint32_t>(sum);
}

// One's complement sum of big-endian words (RFC 1071); an odd last byte is
// the high half of a word.
std::uint64_t add(const std::uint8_t* at, std::size_t length) {
  std::uint64_t sum = 0;
  std::size_t i = 0;
  for (; i + 4 <= length; i += 4) sum += load32(at + i);
  if (i + 2 <= length) {
    sum += load16(at + i);
    i += 2;
  }
  if (i < length) sum += static_cast<std::uint64_t>(at[i]) << 8;
  return sum;
}

// Sum of the pseudo-header (RFC 9293 section 3.1, RFC 768).
std::uint64_t pseudo(const std::uint8_t* ip, std::size_t l4_length) {
  return add(ip + 12, 8) + ip[9] + l4_length;
}

std::size_t checksum_offset(std::uint8_t protocol) {
  return protocol == kTcp ? 16 : 6;
}

// Writes a whole TCP checksum.
void seal(std::uint8_t* ip, std::uint8_t* l4, std::size_t l4_length) {
  std::uint8_t* field = l4 + checksum_offset(ip[9]);
  store16(field, 0);
  const std::uint32_t sum = fold(pseudo(ip, l4_length) + add(l4, l4_length));
  std::uint32_t value = ~sum & 0xffff;
  // In UDP, zero means "none"; the other zero is sent (RFC 768).
  if (value == 0 && ip[9] == kUdp) value = 0xffff;
  store16(field, value);
}

}  // namespace

bool find_inner(std::span<const std::uint8_t> packet, InnerPacket* inner) {
  std::size_t at = kVxlan + kEthernet;
  if (packet.size() < at) return false;
  std::uint16_t type = load16(packet.data() + at - 2);
  if (type == 0x8100) {
    at += kTag;
    if (packet.size() < at) return false;
    type = load16(packet.data() + at - 2);
  }
  if (type != 0x0800 || packet.size() < at + 20) return false;
  const std::uint8_t* ip = packet.data() + at;
  const std::size_t header = (ip[0] & 15u) * 4u;
  if (ip[0] >> 4 != 4 || header < 20 || packet.size() < at + header) {
    return false;
  }
  inner->ip = at;
  inner->l4 = at + header;
  inner->ip_length = load16(ip + 2);
  inner->protocol = ip[9];
  inner->fragment = (load16(ip + 6) & 0x3fff) != 0;
  return inner->ip_length >= header;
}

void finish_checksum(std::span<std::uint8_t> packet) {
  InnerPacket inner;
  if (!find_inner(packet, &inner) || inner.fragment) return;
  if (inner.protocol != kTcp && inner.protocol != kUdp) return;
  if (inner.ip + inner.ip_length > packet.size()) return;
  const std::size_t length = inner.ip_length - (inner.l4 - inner.ip);
  if (length < (inner.protocol == kTcp ? 20u : 8u)) return;
  std::uint8_t* ip = packet.data() + inner.ip;
  std::uint8_t* l4 = packet.data() + inner.l4;
  const std::uint16_t field = load16(l4 + checksum_offset(inner.protocol));
  if (field == 0 && inner.protocol == kUdp) return;
  if (field != fold(pseudo(ip, length))) return;
  seal(ip, l4, length);
}

bool Segmenter::begin(std::span<const std::uint8_t> head,
                      std::span<const std::uint8_t> tail, std::size_t mtu) {
  head_ = head;
  tail_ = tail;
  at_ = end_ = 0;
  if (!find_inner(head, &inner_)) return false;
  if (inner_.protocol != kTcp || inner_.fragment) return false;
  if (inner_.ip_length <= mtu) return false;
  if (head.size() < inner_.l4 + 20) return false;
  const std::size_t header = (head[inner_.l4 + 12] >> 4) * 4u;
  payload_ = inner_.l4 + header;
  end_ = inner_.ip + inner_.ip_length;
  if (header < 20 || payload_ > head.size() || payload_ >= end_ ||
      end_ > head.size() + tail.size() || payload_ - inner_.ip >= mtu) {
    at_ = end_ = 0;
    return false;
  }
  at_ = payload_;
  size_ = mtu - (payload_ - inner_.ip);
  return true;
}

void Segmenter::copy(std::size_t from, std::size_t length,
                     std::uint8_t* out) const {
  if (from < head_.size()) {
    const std::size_t part = std::min(length, head_.size() - from);
    std::memcpy(out, head_.data() + from, part);
    out += part;
    from += part;
    length -= part;
  }
  if (length > 0) {
    std::memcpy(out, tail_.data() + (from - head_.size()), length);
  }
}

std::size_t Segmenter::next(std::uint8_t* out) {
  if (at_ >= end_) return 0;
  const bool first = at_ == payload_;
  const std::size_t length = std::min(size_, end_ - at_);
  const bool last = at_ + length == end_;
  std::memcpy(out, head_.data(), payload_);
  copy(at_, length, out + payload_);

  std::uint8_t* ip = out + inner_.ip;
  std::uint8_t* tcp = out + inner_.l4;
  const auto done = static_cast<std::uint32_t>(at_ - payload_);
  store16(ip + 2, static_cast<std::uint32_t>(payload_ - inner_.ip + length));
  store16(ip + 4, load16(ip + 4) + static_cast<std::uint32_t>(done / size_));
  store16(ip + 10, 0);
  store16(ip + 10, ~fold(add(ip, inner_.l4 - inner_.ip)) & 0xffff);
  store32(tcp + 4, load32(tcp + 4) + done);
  std::uint8_t flags = tcp[13];
  if (!last) flags = static_cast<std::uint8_t>(flags & ~(kFin | kPsh));
  if (!first) flags = static_cast<std::uint8_t>(flags & ~kCwr);
  tcp[13] = flags;
  seal(ip, tcp, payload_ - inner_.l4 + length);
  at_ += length;
  return payload_ + length;
}

}  // namespace vxlnat::io
