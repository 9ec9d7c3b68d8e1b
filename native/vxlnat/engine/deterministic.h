// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which public ports a host has under a deterministic rule (RFC 7422; facts:
// nat-behaviour P11): arithmetic on the rule alone, so that anybody who knows
// the rule knows who had a port, without a log. Twin of
// services/vxlnatd/deterministic.ts; the tests of both have one table.
//
// The hosts of the prefix are dealt to the addresses of the pool in order, as
// many to each; on an address each has as many ports, from the lowest on. What
// division leaves is used by nobody.

#ifndef VXLNAT_ENGINE_DETERMINISTIC_H_
#define VXLNAT_ENGINE_DETERMINISTIC_H_

#include <cstdint>

#include "engine/config.h"
#include "engine/port_maps.h"

namespace vxlnat {

struct Deal {
  std::uint64_t hosts_per_ip = 0;
  std::uint32_t ports_per_host = 0;  // 0: the pool is too small
};

inline Deal deal(const Prefix& prefix, std::size_t pool, PortRange ports) {
  const std::uint64_t hosts = std::uint64_t{1} << (32 - prefix.bits);
  Deal d;
  d.hosts_per_ip = (hosts + pool - 1) / pool;
  d.ports_per_host = static_cast<std::uint32_t>(ports.size() / d.hosts_per_ip);
  return d;
}

struct HostPorts {
  std::size_t address = 0;  // which of the pool
  PortRange ports;
};

// The ports of a host that the prefix covers.
inline HostPorts ports_of(const Prefix& prefix, std::size_t pool,
                          PortRange ports, Ip4 host) {
  const Deal d = deal(prefix, pool, ports);
  const std::uint64_t n = host - prefix.address;
  const auto low = static_cast<std::uint32_t>(ports.low + n % d.hosts_per_ip *
                                                              d.ports_per_host);
  return {static_cast<std::size_t>(n / d.hosts_per_ip),
          {static_cast<std::uint16_t>(low),
           static_cast<std::uint16_t>(low + d.ports_per_host - 1)}};
}

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_DETERMINISTIC_H_
