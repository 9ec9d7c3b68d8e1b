// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// How a free public port is found in a range. The wish comes first. Then a few
// random ports (RFC 6056 section 3.3.1). Then it is exact: a short range is
// looked through; a long one has a bitmap (port_maps.h), which one scan makes.
// Scans cost, so `may_scan` is asked before one: whoever wants many bitmaps at
// one time pays for it alone (facts: nat-behaviour P6, P7).

#ifndef VXLNAT_ENGINE_PORT_SEARCH_H_
#define VXLNAT_ENGINE_PORT_SEARCH_H_

#include <optional>

#include "engine/hash.h"
#include "engine/port_maps.h"

namespace vxlnat {

struct PortSearch {
  PortMapKey key;
  PortRange range;
  std::uint16_t preferred = 0;  // in the range
  bool remember = true;         // false: make no bitmap, look at each port
};

// What a search gives: a port, or why there is none.
struct PortFound {
  std::optional<std::uint16_t> port;
  bool gave_up = false;  // there was no leave to scan: nobody knows
};

// `taken(port)` is what the maps of `maps` follow; `barred(port)` what else
// makes a port unfit.
template <typename Taken, typename Barred, typename MayScan>
PortFound search_port(PortMaps& maps, const PortSearch& search, Random& random,
                      Taken&& taken, Barred&& barred, MayScan&& may_scan) {
  constexpr unsigned kProbes = 8;
  constexpr std::uint32_t kShort = 128;
  const PortRange range = search.range;
  const auto any = [&] {
    return static_cast<std::uint16_t>(range.low + random.below(range.size()));
  };
  const auto fits = [&](std::uint16_t port) { return !barred(port); };
  PortMap* map = range.size() > kShort ? maps.find(search.key, range) : nullptr;
  if (map == nullptr) {
    std::uint16_t port = search.preferred;
    for (unsigned i = 0; i <= kProbes; i++) {
      if (!taken(port) && fits(port)) return {port};
      port = any();
    }
    if (range.size() <= kShort || !search.remember) {
      for (std::uint32_t i = 0; i < range.size(); i++) {
        if (!taken(port) && fits(port)) return {port};
        port = port == range.high ? range.low
                                  : static_cast<std::uint16_t>(port + 1);
      }
      return {};
    }
    if (!may_scan()) return {std::nullopt, true};
    map = &maps.make(search.key, range);
    for (std::uint32_t p = range.low; p <= range.high; p++) {
      const auto each = static_cast<std::uint16_t>(p);
      if (taken(each)) map->take(each);
    }
  }
  if (map->is_free(search.preferred) && fits(search.preferred)) {
    return {search.preferred};
  }
  return {map->find(range, any(), fits)};
}

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_PORT_SEARCH_H_
