// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Numbers in network order, read from and written to bytes at any alignment.
// Callers have checked that the bytes exist.

#ifndef VXLNAT_ENGINE_BYTES_H_
#define VXLNAT_ENGINE_BYTES_H_

#include <cstdint>
#include <cstring>

#include "engine/types.h"

namespace vxlnat {

inline std::uint16_t get16(const std::uint8_t* at) {
  std::uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap16(value);
}

inline std::uint32_t get32(const std::uint8_t* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap32(value);
}

inline Mac get_mac(const std::uint8_t* at) {
  return Mac{get16(at)} << 32 | get32(at + 2);
}

inline void put16(std::uint8_t* at, std::uint16_t value) {
  value = __builtin_bswap16(value);
  std::memcpy(at, &value, sizeof value);
}

inline void put32(std::uint8_t* at, std::uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(at, &value, sizeof value);
}

inline void put_mac(std::uint8_t* at, Mac mac) {
  put16(at, static_cast<std::uint16_t>(mac >> 32));
  put32(at + 2, static_cast<std::uint32_t>(mac));
}

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_BYTES_H_
