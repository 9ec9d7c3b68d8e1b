// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which public ports are taken towards one remote, for the few remotes where
// that is hard to know. A tuple's occupancy lives in the flow table, and a few
// random probes find a free port as long as there are many. When they fail,
// one scan of the range makes a bitmap for {public IP, protocol, remote IP,
// remote port, range}; from then on every flow that comes or goes keeps it
// true, so that allocation is exact to the last port and costs at most a
// thousand words however full it is (facts: nat-behaviour P4, P6, P7, B17).
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

// Ports from `low` to `high`, both of them.
struct PortRange {
  std::uint16_t low = 0;
  std::uint16_t high = 0;
  bool operator==(const PortRange&) const = default;
  std::uint32_t size() const { return std::uint32_t{high} - low + 1; }
  bool holds(std::uint16_t port) const { return port >= low && port <= high; }
};

// Towards whom a port is wanted. Without a remote (all 0) towards everybody.
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

  // A free port in the range for which `also(port)` holds, looking from
  // `from` on and round; or none.
  template <typename Also>
  std::optional<std::uint16_t> find(PortRange range, std::uint16_t from,
                                    Also&& also) const {
    const auto port = find_in(from, range.high, also);
    if (port || from == range.low) return port;
    return find_in(range.low, from - 1u, also);
  }

  void clear(PortRange range) {
    for (std::uint32_t i = range.low / 64; i <= range.high / 64u; i++) {
      words_[i] = 0;
    }
  }

 private:
  template <typename Also>
  std::optional<std::uint16_t> find_in(std::uint32_t first, std::uint32_t last,
                                       Also&& also) const {
    for (std::uint32_t at = first; at <= last; at = (at | 63) + 1) {
      std::uint64_t open = ~words_[at / 64] & ~std::uint64_t{0} << (at % 64);
      for (; open != 0; open &= open - 1) {
        const std::uint32_t port =
            (at & ~63u) + static_cast<std::uint32_t>(std::countr_zero(open));
        if (port > last) return std::nullopt;
        if (also(static_cast<std::uint16_t>(port))) {
          return static_cast<std::uint16_t>(port);
        }
      }
    }
    return std::nullopt;
  }

  std::uint64_t& word(std::uint16_t port) { return words_[port / 64]; }
  static std::uint64_t bit(std::uint16_t port) {
    return std::uint64_t{1} << (port % 64);
  }

  std::array<std::uint64_t, 1024> words_{};
};

class PortMaps {
 public:
  explicit PortMaps(std::uint32_t count) : maps_(count), owners_(count) {}

  PortMap* find(const PortMapKey& key, PortRange range) {
    if ((filter_ & filter_bit(key)) == 0) return nullptr;
    for (std::size_t i = 0; i < owners_.size(); i++) {
      Owner& owner = owners_[i];
      if (owner.used == 0 || owner.key != key || owner.range != range) continue;
      owner.used = ++clock_;
      return &maps_[i];
    }
    return nullptr;
  }

  // An empty map for a key and range that have none.
  PortMap& make(const PortMapKey& key, PortRange range) {
    std::size_t oldest = 0;
    for (std::size_t i = 1; i < owners_.size(); i++) {
      if (owners_[i].used < owners_[oldest].used) oldest = i;
    }
    owners_[oldest] = {key, range, ++clock_};
    maps_[oldest].clear(range);
    filter_ = 0;
    for (const Owner& owner : owners_) {
      if (owner.used != 0) filter_ |= filter_bit(owner.key);
    }
    return maps_[oldest];
  }

  // A port was taken, or became free, in whatever maps it is.
  void set(const PortMapKey& key, std::uint16_t port, bool taken) {
    if ((filter_ & filter_bit(key)) == 0) return;
    for (std::size_t i = 0; i < owners_.size(); i++) {
      const Owner& owner = owners_[i];
      if (owner.used == 0 || owner.key != key || !owner.range.holds(port)) {
        continue;
      }
      if (taken) {
        maps_[i].take(port);
      } else {
        maps_[i].free(port);
      }
    }
  }

 private:
  struct Owner {
    PortMapKey key;
    PortRange range;
    std::uint64_t used = 0;  // 0: no map
  };

  // Most remotes have no map; a bit tells without looking at each.
  static std::uint64_t filter_bit(const PortMapKey& key) {
    const std::uint32_t mixed =
        (key.remote_ip ^ std::uint32_t{key.remote_port} << 16 ^ key.public_ip) *
        0x9e3779b1u;
    return std::uint64_t{1} << (mixed >> 26);
  }

  std::vector<PortMap> maps_;
  std::vector<Owner> owners_;
  std::uint64_t clock_ = 0;
  std::uint64_t filter_ = 0;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_PORT_MAPS_H_
