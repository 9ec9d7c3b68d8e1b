// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The Internet checksum (RFC 1071) and its incremental update in the form of
// RFC 1624 equation 3. An update keeps what was wrong wrong: a packet that
// arrived corrupt must leave corrupt (facts: nat-behaviour K4).

#ifndef VXLNAT_ENGINE_CHECKSUM_H_
#define VXLNAT_ENGINE_CHECKSUM_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/bytes.h"

namespace vxlnat {

// The upper half of a number plus itself turned by half is the sum of its
// halves with the carry brought round.
inline std::uint16_t fold(std::uint64_t sum) {
  sum += std::rotl(sum, 32);
  auto half = static_cast<std::uint32_t>(sum >> 32);
  half += std::rotl(half, 16);
  return static_cast<std::uint16_t>(half >> 16);
}

// Adds `length` bytes as 16-bit words to `sum`; an odd last byte counts as
// the high one. Only the last piece of a message may be odd.
inline std::uint64_t sum_bytes(const std::uint8_t* at, std::size_t length,
                               std::uint64_t sum = 0) {
  for (; length >= 4; at += 4, length -= 4) sum += get32(at);
  if (length >= 2) {
    sum += get16(at);
    at += 2;
    length -= 2;
  }
  if (length == 1) sum += std::uint64_t{*at} << 8;
  return sum;
}

inline std::uint16_t checksum(const std::uint8_t* at, std::size_t length,
                              std::uint64_t sum = 0) {
  return static_cast<std::uint16_t>(~fold(sum_bytes(at, length, sum)));
}

// Whether the checksum of an IPv4 header without options is right. Words in
// the machine's order do as well (RFC 1071 section 2 (B)).
inline bool is_sound_header(const std::uint8_t* at) {
  std::uint32_t words[5];
  std::memcpy(words, at, sizeof words);
  return fold(std::uint64_t{words[0]} + words[1] + words[2] + words[3] +
              words[4]) == 0xffff;
}

// The sum of the pseudo-header of TCP and UDP.
inline std::uint64_t pseudo_sum(Ip4 src, Ip4 dst, std::uint8_t proto,
                                std::size_t length) {
  return std::uint64_t{src} + dst + proto + length;
}

// What changed in a message, as one's complement sum of ~old + new.
class Delta {
 public:
  void word(std::uint16_t from, std::uint16_t to) {
    sum_ += static_cast<std::uint16_t>(~from);
    sum_ += to;
  }
  void address(Ip4 from, Ip4 to) {
    sum_ += static_cast<std::uint32_t>(~from);
    sum_ += to;
  }
  void add(const Delta& other) { sum_ += other.sum_; }

  // Equation 3 of RFC 1624.
  std::uint16_t update(std::uint16_t old) const {
    return static_cast<std::uint16_t>(
        ~fold(sum_ + static_cast<std::uint16_t>(~old)));
  }
  void update_at(std::uint8_t* at) const { put16(at, update(get16(at))); }
  // UDP: 0 on the wire means none and stays; a computed 0 goes out as 0xffff.
  void update_udp_at(std::uint8_t* at) const {
    const std::uint16_t old = get16(at);
    if (old == 0) return;
    const std::uint16_t updated = update(old);
    put16(at, updated == 0 ? 0xffff : updated);
  }

 private:
  std::uint64_t sum_ = 0;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_CHECKSUM_H_
