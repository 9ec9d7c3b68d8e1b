// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// How many flows a vnet and a host may have and open (facts: nat-behaviour P3,
// P15, S3, T17). A vnet never holds more than its share of the table, so one
// tenant cannot fill it; what it is given beyond that only lowers it. The log
// of flows is told which limit refused a flow, and which are near.

#include "engine/place.h"

namespace vxlnat {

namespace {

bool below(std::uint32_t value, std::uint32_t limit) {
  return limit == 0 || value < limit;
}

// What is said of one, and for the rest what is said of all.
Limits over(const Limits& own, const Limits& all) {
  return {.flows = own.flows != 0 ? own.flows : all.flows,
          .opening = own.opening != 0 ? own.opening : all.opening,
          .per_second = own.per_second != 0 ? own.per_second : all.per_second};
}

Limits limits_of_vnet(const Context& c, const Wish& wish) {
  return over(c.rules.vnet(wish.vnet_slot).limits, c.config.vnet_limits);
}

Limits limits_of_host(const Context& c, const Wish& wish) {
  return over(c.rules.options(wish.rule).host, c.config.host_limits);
}

// What a limit that refused a flow is, for the log.
struct Quota {
  QuotaKind kind = QuotaKind::kFlows;
  std::uint32_t limit = 0;
};

std::uint32_t share_of(const Context& c) {
  return static_cast<std::uint32_t>(std::uint64_t{c.config.max_flows} *
                                    c.config.vnet_share_percent / 100);
}

// The limit of a vnet that leaves no room for one more; 0 when there is room.
std::uint32_t vnet_limit(const Context& c, const VnetLoad& load,
                         const Limits& limits, bool opening) {
  const std::uint32_t share = share_of(c);
  if (!below(load.flows, limits.flows)) return limits.flows;
  if (load.flows >= share) return std::max(1u, share);
  if (!opening) return 0;
  if (!below(load.opening, limits.opening)) return limits.opening;
  const std::uint32_t half = (share + 1) / 2;
  return load.opening >= half ? half : 0;
}

// The same of a host.
std::uint32_t host_limit(const Host& host, const Limits& limits, bool opening) {
  if (!below(host.flows, limits.flows)) return limits.flows;
  return opening && !below(host.opening, limits.opening) ? limits.opening : 0;
}

Drop admit_host(Context& c, const Wish& wish, const Limits& limits,
                bool opening) {
  if (limits == Limits{}) return Drop::kCount;
  Host* host = c.accounts.make_host(wish.vnet_slot, wish.private_ip);
  if (host == nullptr) return Drop::kHostTableFull;
  Drop reason = Drop::kCount;
  if (host_limit(*host, limits, opening) != 0) {
    reason = Drop::kHostFlowLimit;
  } else if (!host->pace.allows(limits.per_second, c.now)) {
    reason = Drop::kNewFlowRate;
  }
  c.accounts.drop_host_if_unused(*host);
  return reason;
}

FlowEvent event_of(const Context& c, FlowEventKind kind, const Wish& wish) {
  return {.vnet = wish.vni_proto >> 8,
          .private_ip = wish.private_ip,
          .public_ip = c.rules.at(wish.rule).public_ip,
          .remote_ip = wish.remote_ip,
          .private_port = wish.private_port,
          .remote_port = wish.remote_port,
          .kind = kind,
          .proto = wish.proto()};
}

void tell_near(Context& c, ThresholdKind kind, Vni vnet, Ip4 host,
               std::uint32_t limit) {
  c.stats.events->add({.vnet = vnet,
                       .private_ip = host,
                       .kind = FlowEventKind::kThreshold,
                       .detail = static_cast<std::uint8_t>(kind),
                       .limit = Mark::level(limit)});
}

// One more comes: which limits does that bring near?
void watch(Context& c, const Wish& wish) {
  const Vni vnet = wish.vni_proto >> 8;
  const auto all = static_cast<std::uint32_t>(c.stats.flows.read());
  if (c.accounts.mark().reached(all + 1, c.config.max_flows)) {
    tell_near(c, ThresholdKind::kFlows, 0, 0, c.config.max_flows);
  }
  VnetLoad& load = c.accounts.vnet(wish.vnet_slot);
  const std::uint32_t given = limits_of_vnet(c, wish).flows;
  const std::uint32_t most =
      given == 0 ? share_of(c) : std::min(given, share_of(c));
  if (load.mark.reached(load.flows + 1, most)) {
    tell_near(c, ThresholdKind::kFlows, vnet, 0, most);
  }
  const std::uint32_t each = limits_of_host(c, wish).flows;
  Host* host = c.accounts.host(wish.vnet_slot, wish.private_ip);
  if (host != nullptr && host->mark.reached(host->flows + 1, each)) {
    tell_near(c, ThresholdKind::kHostFlows, vnet, wish.private_ip, each);
  }
}

Quota quota_of(Context& c, const Wish& wish, bool opening, Drop reason) {
  const VnetLoad& load = c.accounts.vnet(wish.vnet_slot);
  const Limits vnet = limits_of_vnet(c, wish);
  const Limits each = limits_of_host(c, wish);
  const Host* host = c.accounts.host(wish.vnet_slot, wish.private_ip);
  switch (reason) {
    case Drop::kFlowTableFull:
      return {QuotaKind::kFlows, c.config.max_flows};
    case Drop::kVnetFlowLimit:
      return {QuotaKind::kFlows, vnet_limit(c, load, vnet, opening)};
    case Drop::kBindingTableFull:
      return {QuotaKind::kBindings,
              static_cast<std::uint32_t>(c.accounts.bindings().size())};
    case Drop::kHostTableFull:
      return {QuotaKind::kHosts, c.accounts.host_share()};
    case Drop::kHostFlowLimit:
      if (host == nullptr) return {QuotaKind::kHostFlows, each.flows};
      return {QuotaKind::kHostFlows, host_limit(*host, each, opening)};
    case Drop::kNewFlowRate:
      if (!load.pace.allows(vnet.per_second, c.now)) {
        return {QuotaKind::kFlows, vnet.per_second};
      }
      return {QuotaKind::kHostFlows, each.per_second};
    default:
      return {};
  }
}

}  // namespace

Drop admit(Context& c, const Wish& wish, bool opening) {
  const VnetLoad& load = c.accounts.vnet(wish.vnet_slot);
  const Limits limits = limits_of_vnet(c, wish);
  if (vnet_limit(c, load, limits, opening) != 0) return Drop::kVnetFlowLimit;
  if (!load.pace.allows(limits.per_second, c.now)) return Drop::kNewFlowRate;
  const Drop reason = admit_host(c, wish, limits_of_host(c, wish), opening);
  if (reason == Drop::kCount && c.stats.events != nullptr) watch(c, wish);
  return reason;
}

Drop refused(Context& c, const Wish& wish, bool opening, Drop reason) {
  if (c.stats.events == nullptr || reason == Drop::kPublicDraining) {
    return reason;
  }
  const bool ports =
      reason == Drop::kPortExhausted || reason == Drop::kPortSearchLimit;
  FlowEvent event = event_of(
      c, ports ? FlowEventKind::kExhausted : FlowEventKind::kQuota, wish);
  event.drop = static_cast<std::uint8_t>(reason);
  if (!ports) {
    const Quota quota = quota_of(c, wish, opening, reason);
    event.detail = static_cast<std::uint8_t>(quota.kind);
    event.limit = quota.limit;
  }
  c.stats.events->refused(event);
  return reason;
}

}  // namespace vxlnat
