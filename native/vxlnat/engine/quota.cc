// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// How many flows a vnet and a host may have and open (facts: nat-behaviour P3,
// P15, S3, T17). A vnet never holds more than its share of the table, so one
// tenant cannot fill it; what it is given beyond that only lowers it.

#include "engine/place.h"

namespace vxlnat {

namespace {

bool below(std::uint32_t value, std::uint32_t limit) {
  return limit == 0 || value < limit;
}

bool has_room(const Context& c, const VnetLoad& load, const Limits& limits,
              bool opening) {
  const auto share = static_cast<std::uint32_t>(
      std::uint64_t{c.config.max_flows} * c.config.vnet_share_percent / 100);
  if (load.flows >= share || !below(load.flows, limits.flows)) return false;
  return !opening || (load.opening < (share + 1) / 2 &&
                      below(load.opening, limits.opening));
}

Drop admit_host(Context& c, const Wish& wish, const Limits& limits,
                bool opening) {
  if (limits == Limits{}) return Drop::kCount;
  Host* host = c.accounts.make_host(wish.vnet_slot, wish.private_ip);
  if (host == nullptr) return Drop::kHostTableFull;
  Drop reason = Drop::kCount;
  if (!below(host->flows, limits.flows) ||
      (opening && !below(host->opening, limits.opening))) {
    reason = Drop::kHostFlowLimit;
  } else if (!host->pace.allows(limits.per_second, c.now)) {
    reason = Drop::kNewFlowRate;
  }
  c.accounts.drop_host_if_unused(*host);
  return reason;
}

}  // namespace

Drop admit(Context& c, const Wish& wish, bool opening) {
  const VnetLoad& load = c.accounts.vnet(wish.vnet_slot);
  const Limits& limits = c.rules.vnet(wish.vnet_slot).limits;
  if (!has_room(c, load, limits, opening)) return Drop::kVnetFlowLimit;
  if (!load.pace.allows(limits.per_second, c.now)) return Drop::kNewFlowRate;
  return admit_host(c, wish, c.rules.options(wish.rule).host, opening);
}

}  // namespace vxlnat
