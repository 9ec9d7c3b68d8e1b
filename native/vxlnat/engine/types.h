// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The words of the engine as types. Addresses, ports and VXLAN network
// identifiers are in host order everywhere but in packet bytes; a MAC is the
// low 48 bits of a 64-bit number; time is milliseconds of a clock that never
// goes back, and is always an argument.

#ifndef VXLNAT_ENGINE_TYPES_H_
#define VXLNAT_ENGINE_TYPES_H_

#include <cstddef>
#include <cstdint>

namespace vxlnat {

using Ip4 = std::uint32_t;   // host order
using Vni = std::uint32_t;   // 24 bits
using Mac = std::uint64_t;   // low 48 bits
using Tick = std::uint64_t;  // milliseconds, monotonic

inline constexpr Vni kMaxVni = 0xffffff;

inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kDccp = 33;
inline constexpr std::uint8_t kUdpLite = 136;

// A rule that somebody remembers beyond its life: slots are used again.
struct RuleId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

// An IPv4 prefix; the bits behind it are zero.
struct Prefix {
  Ip4 address = 0;
  std::uint8_t bits = 0;  // 0 to 32

  constexpr Ip4 mask() const { return bits == 0 ? 0 : ~Ip4{0} << (32 - bits); }
  constexpr bool covers(Ip4 ip) const { return (ip & mask()) == address; }
  constexpr bool operator==(const Prefix&) const = default;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_TYPES_H_
