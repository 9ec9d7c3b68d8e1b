// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which public ports are taken towards one remote, for the few remotes where
// that is hard to know. A tuple's occupancy lives in the flow table, and a few
// random probes find a free port as long as there are many. When they fail,
// one scan of the range makes a bitmap for {public IP, protocol, remote IP,
// remote port}; from then on every flow that comes or goes keeps it true, so
// that allocation is exact to the last port and costs at most a thousand
// words however full it is (facts: nat-behaviour P4, P6, P7, B17).
//
// The maps are a cache: when there are more dense remotes than maps, the one
// used longest ago is given up and can be made again by a scan.

#ifndef VXLNAT_ENGINE_PORT_MAPS_H_
#define VXLNAT_ENGINE_PORT_MAPS_H_

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/types.h"

namespace vxlnat {

struct PortMapKey {
  Ip4 public_ip = 0;
  Ip4 remote_ip = 0;
  std::uint16_t remote_port = 0;
  std::uint8_t proto = 0;
  bool operator==(const PortMapKey&) const = default;
};

class PortMap {
 public:
  void take(std::uint16_t port) { word(port) |= bit(port); }
  void free(std::uint16_t port) { word(port) &= ~bit(port); }

  bool is_free(std::uint16_t port) const {
    return (words_[port / 64] & bit(port)) == 0;
  }

  // A free port in [low, high], looking from `from` on and round; or none.
  std::optional<std::uint16_t> find(std::uint16_t low, std::uint16_t high,
                                    std::uint16_t from) const {
    const std::optional<std::uint16_t> port = find_in(from, high);
    return port || from == low ? port : find_in(low, high);
  }

 private:
  friend class PortMaps;

  std::optional<std::uint16_t> find_in(std::uint32_t first,
                                       std::uint32_t last) const {
    for (std::uint32_t at = first; at <= last; at = (at | 63) + 1) {
      const std::uint64_t open = ~words_[at / 64] & ~std::uint64_t{0}
                                                        << (at % 64);
      if (open == 0) continue;
      const std::uint32_t port =
          (at & ~63u) + static_cast<std::uint32_t>(std::countr_zero(open));
      if (port > last) return std::nullopt;
      return static_cast<std::uint16_t>(port);
    }
    return std::nullopt;
  }

  std::uint64_t& word(std::uint16_t port) { return words_[port / 64]; }
  static std::uint64_t bit(std::uint16_t port) {
    return std::uint64_t{1} << (port % 64);
  }

  PortMapKey key_;
  std::uint64_t used_ = 0;  // 0: no map
  std::array<std::uint64_t, 1024> words_{};
};

class PortMaps {
 public:
  explicit PortMaps(std::uint32_t count) : maps_(count) {}

  PortMap* find(const PortMapKey& key) {
    if (made_ == 0) return nullptr;
    for (PortMap& map : maps_) {
      if (map.used_ == 0 || !(map.key_ == key)) continue;
      map.used_ = ++clock_;
      return &map;
    }
    return nullptr;
  }

  // An empty map for `key`, which has none.
  PortMap& make(const PortMapKey& key) {
    PortMap* oldest = maps_.data();
    for (PortMap& map : maps_) {
      if (map.used_ < oldest->used_) oldest = &map;
    }
    oldest->key_ = key;
    oldest->used_ = ++clock_;
    oldest->words_.fill(0);
    made_++;
    return *oldest;
  }

 private:
  std::vector<PortMap> maps_;
  std::uint64_t clock_ = 0;
  std::uint64_t made_ = 0;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_PORT_MAPS_H_
