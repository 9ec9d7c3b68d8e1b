// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The public ports of a rule: its own range or the engine's, and of that its
// slice. The slices of a range tile it exactly and differ by one port at most
// (facts: nat-behaviour P12, B13).

#ifndef VXLNAT_ENGINE_PORT_RANGE_H_
#define VXLNAT_ENGINE_PORT_RANGE_H_

#include <cstdint>

#include "engine/config.h"
#include "engine/port_maps.h"

namespace vxlnat {

inline PortRange slice_of(PortRange range, std::uint32_t slice,
                          std::uint32_t slices) {
  const std::uint32_t low = range.low + range.size() * slice / slices;
  const std::uint32_t next = range.low + range.size() * (slice + 1) / slices;
  return {static_cast<std::uint16_t>(low),
          static_cast<std::uint16_t>(next - 1)};
}

inline PortRange whole_range(const EngineConfig& config,
                             const RuleOptions& options) {
  if (options.port_low != 0) return {options.port_low, options.port_high};
  return {config.port_low, config.port_high};
}

inline PortRange port_range(const EngineConfig& config,
                            const RuleOptions& options) {
  return slice_of(whole_range(config, options), options.slice, options.slices);
}

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_PORT_RANGE_H_
