// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which public port a new flow gets. The wish comes first: a keyed hash of
// the inside endpoint, so an endpoint keeps its public port towards every
// remote as long as it is free (facts: nat-behaviour U1). Then a few random
// ports (RFC 6056 section 3.3.1). Then the remote's bitmap, which is exact.

#include "engine/flow_table.h"

namespace vxlnat {

namespace {
constexpr unsigned kProbes = 8;
}

bool FlowTable::port_in_use(const PortMapKey& key, std::uint16_t port,
                            Tick now) {
  return find_outside(outside_key(key.proto, key.public_ip, port, key.remote_ip,
                                  key.remote_port),
                      now) != nullptr;
}

std::optional<std::uint16_t> FlowTable::choose_port(const PortMapKey& key,
                                                    std::uint16_t preferred,
                                                    Random& random, Tick now) {
  const std::uint32_t range = std::uint32_t{port_high_} - port_low_ + 1;
  PortMap* map = maps_.find(key);
  if (map == nullptr) {
    std::uint16_t port = preferred;
    for (unsigned i = 0; i <= kProbes; i++) {
      if (!port_in_use(key, port, now)) return port;
      port = static_cast<std::uint16_t>(port_low_ + random.below(range));
    }
    map = &maps_.make(key);
    for (std::uint32_t p = port_low_; p <= port_high_; p++) {
      const auto each = static_cast<std::uint16_t>(p);
      if (port_in_use(key, each, now)) map->take(each);
    }
  }
  if (map->is_free(preferred)) return preferred;
  return map->find(port_low_, port_high_,
                   static_cast<std::uint16_t>(port_low_ + random.below(range)));
}

}  // namespace vxlnat
