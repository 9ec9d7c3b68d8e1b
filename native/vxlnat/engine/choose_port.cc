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
  const FlowKey tuple = outside_key(key.proto, key.public_ip, port,
                                    key.remote_ip, key.remote_port);
  if (!dry_) return find_outside(tuple, now) != nullptr;
  const vxlnat_flow* flow = peek_outside(tuple);
  if (flow == nullptr || is_dead(*flow)) return false;
  vxlnat_flow copied = *flow;
  if (is_expired(copied, now)) end_copy(copied, now);
  return copied.state != static_cast<std::uint8_t>(FlowState::kFree);
}

// As with a map, but every port is looked up.
std::optional<std::uint16_t> FlowTable::scan_ports(const PortMapKey& key,
                                                   std::uint16_t preferred,
                                                   Random& random, Tick now) {
  const std::uint32_t range = std::uint32_t{port_high_} - port_low_ + 1;
  if (!port_in_use(key, preferred, now)) return preferred;
  const std::uint32_t from = random.below(range);
  for (std::uint32_t i = 0; i < range; i++) {
    const auto port =
        static_cast<std::uint16_t>(port_low_ + (from + i) % range);
    if (!port_in_use(key, port, now)) return port;
  }
  return std::nullopt;
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
    if (dry_) return scan_ports(key, preferred, random, now);
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
