// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Finishes checksums and cuts TCP packets; see offload.h.

#include "io/offload.h"

#include <algorithm>
#include <cstring>

#include "engine/checksum.h"
#include "engine/wire.h"

namespace vxlnat::io {

namespace {

constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kCwr = 0x80;
// Finishing these costs less than telling the kernel to do it.
constexpr std::size_t kShort = 256;

// As sum_bytes, at the speed of memory. One's complement sums do not care for
// the byte order until the end (RFC 1071 section 2).
std::uint64_t sum_fast(const std::uint8_t* at, std::size_t length) {
  std::uint64_t sums[4] = {};
  for (; length >= 16; at += 16, length -= 16) {
    std::uint32_t words[4];
    std::memcpy(words, at, sizeof words);
    for (int i = 0; i < 4; i++) sums[i] += words[i];
  }
  const std::uint16_t folded = fold(sums[0] + sums[1] + sums[2] + sums[3]);
  return sum_bytes(at, length, __builtin_bswap16(folded));
}

std::uint64_t pseudo(const std::uint8_t* packet, const Headers& h) {
  return pseudo_sum(get32(packet + h.ip + wire::ip::kSrc),
                    get32(packet + h.ip + wire::ip::kDst), h.protocol,
                    h.end - h.l4);
}

std::uint16_t sum_all(const std::uint8_t* packet, const Headers& h) {
  return fold(pseudo(packet, h) + sum_fast(packet + h.l4, h.end - h.l4));
}

std::uint8_t* field(std::uint8_t* packet, const Headers& h) {
  return packet + h.l4 + wire::checksum_offset(h.protocol);
}

void seal(std::uint8_t* packet, const Headers& h) {
  put16(field(packet, h), 0);
  std::uint16_t value = static_cast<std::uint16_t>(~sum_all(packet, h));
  // In UDP, zero means "none"; the other zero is sent (RFC 768).
  if (value == 0 && h.protocol == kUdp) value = 0xffff;
  put16(field(packet, h), value);
}

void seal_ip(std::uint8_t* packet, const Headers& h) {
  std::uint8_t* ip = packet + h.ip;
  put16(ip + wire::ip::kLength, static_cast<std::uint16_t>(h.end - h.ip));
  put16(ip + wire::ip::kChecksum, 0);
  put16(ip + wire::ip::kChecksum, checksum(ip, h.l4 - h.ip));
}

}  // namespace

std::size_t find_inner(std::span<const std::uint8_t> datagram) {
  std::size_t at = wire::kVxlanSize + wire::kEthernetSize;
  if (datagram.size() < at) return 0;
  std::uint16_t type = get16(datagram.data() + at - 2);
  if (type == wire::kTypeTag) {
    at += wire::kTagSize;
    if (datagram.size() < at) return 0;
    type = get16(datagram.data() + at - 2);
  }
  return type == wire::kTypeIpv4 ? at : 0;
}

bool read_headers(std::span<const std::uint8_t> packet, std::size_t ip,
                  Headers* headers) {
  if (packet.size() < ip + wire::ip::kSize) return false;
  const std::uint8_t* at = packet.data() + ip;
  const std::size_t size = wire::ip::header_size(at);
  if (at[0] >> 4 != 4 || size < wire::ip::kSize || wire::ip::is_fragment(at)) {
    return false;
  }
  Headers& h = *headers;
  h.ip = ip;
  h.l4 = ip + size;
  h.end = ip + get16(at + wire::ip::kLength);
  h.protocol = at[wire::ip::kProto];
  if (h.end > packet.size()) return false;
  if (h.protocol == kUdp) {
    h.payload = h.l4 + wire::udp::kSize;
    return h.payload <= h.end;
  }
  if (h.protocol != kTcp || h.l4 + wire::tcp::kSize > h.end) return false;
  h.payload = h.l4 + (packet[h.l4 + wire::tcp::kOffset] >> 4) * 4u;
  return h.payload >= h.l4 + wire::tcp::kSize && h.payload <= h.end;
}

bool is_partial(std::span<const std::uint8_t> packet, const Headers& h) {
  const std::uint16_t is =
      get16(packet.data() + h.l4 + wire::checksum_offset(h.protocol));
  if (is == 0 && h.protocol == kUdp) return false;
  return is == fold(pseudo(packet.data(), h));
}

void finish_checksum(std::span<std::uint8_t> packet, const Headers& h) {
  if (is_partial(packet, h)) seal(packet.data(), h);
}

bool is_right(std::span<const std::uint8_t> packet, const Headers& h) {
  return sum_all(packet.data(), h) == 0xffff;
}

void seal_partial(std::uint8_t* packet, const Headers& h) {
  seal_ip(packet, h);
  put16(field(packet, h), fold(pseudo(packet, h)));
}

void finish_checksum_at(std::span<std::uint8_t> packet, std::size_t start,
                        std::size_t offset) {
  if (start + offset + 2 > packet.size()) return;
  const std::uint64_t sum =
      sum_fast(packet.data() + start, packet.size() - start);
  const auto value = static_cast<std::uint16_t>(~fold(sum));
  put16(packet.data() + start + offset, value == 0 ? 0xffff : value);
}

Offload take_over(std::span<std::uint8_t> packet, std::size_t ip,
                  std::size_t inner_mtu, std::uint16_t segment) {
  Headers h;
  if (!read_headers(packet, ip, &h) || !is_partial(packet, h)) return {};
  const std::size_t length = h.end - h.ip;
  const bool fits = length <= inner_mtu;
  const bool many = h.protocol == kTcp &&
                    (segment == 0 ? !fits : h.end - h.payload > segment);
  if (!many) {
    if (fits && length >= kShort) return {.segment = 0, .partial = true};
    seal(packet.data(), h);
    return {};
  }
  // To cut it smaller than its sender wanted is as good as any cut; but who
  // set DF is waiting to hear of the MTU.
  const auto most = static_cast<std::uint16_t>(inner_mtu - (h.payload - h.ip));
  if (segment == 0 ||
      (segment > most && !wire::ip::dont_fragment(packet.data() + h.ip))) {
    segment = most;
  }
  return {.segment = segment, .partial = true};
}

VnetHeader describe(std::span<const std::uint8_t> packet, std::size_t ip,
                    Offload offload) {
  VnetHeader header{};
  Headers h;
  if (!offload.partial || !read_headers(packet, ip, &h)) return header;
  header.flags = VnetHeader::kNeedsChecksum;
  header.checksum_start = static_cast<std::uint16_t>(h.l4);
  header.checksum_offset =
      static_cast<std::uint16_t>(wire::checksum_offset(h.protocol));
  if (offload.segment == 0 || h.end - h.payload <= offload.segment) {
    return header;
  }
  header.kind = VnetHeader::kTcp4;
  if ((packet[h.l4 + wire::tcp::kFlags] & kCwr) != 0) {
    header.kind |= VnetHeader::kEcn;
  }
  header.segment = offload.segment;
  header.header_length = static_cast<std::uint16_t>(h.payload);
  return header;
}

Segmenter::Segmenter(std::span<const std::uint8_t> packet,
                     const Headers& headers, std::size_t segment)
    : packet_(packet), h_(headers), segment_(segment), at_(headers.payload) {}

std::size_t Segmenter::next_length() const {
  if (at_ >= h_.end) return 0;
  return h_.payload + std::min(segment_, h_.end - at_);
}

void Segmenter::next(std::uint8_t* out) {
  const std::size_t length = next_length() - h_.payload;
  const bool first = at_ == h_.payload;
  const bool last = at_ + length == h_.end;
  std::memcpy(out, packet_.data(), h_.payload);
  std::memcpy(out + h_.payload, packet_.data() + at_, length);

  Headers h = h_;
  h.end = h.payload + length;
  const std::size_t done = at_ - h_.payload;
  std::uint8_t* id = out + h.ip + wire::ip::kId;
  put16(id, static_cast<std::uint16_t>(get16(id) + done / segment_));
  seal_ip(out, h);
  std::uint8_t* sequence = out + h.l4 + wire::tcp::kSequence;
  put32(sequence, static_cast<std::uint32_t>(get32(sequence) + done));
  std::uint8_t& flags = out[h.l4 + wire::tcp::kFlags];
  if (!last)
    flags = static_cast<std::uint8_t>(flags & ~(wire::tcp::kFin | kPsh));
  if (!first) flags = static_cast<std::uint8_t>(flags & ~kCwr);
  seal(out, h);
  at_ += length;
}

}  // namespace vxlnat::io
