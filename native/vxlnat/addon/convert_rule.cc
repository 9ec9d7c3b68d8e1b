// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What JavaScript says about a rule, a vnet's limits and a drain; see
// convert.h.

#include <memory>
#include <string>

#include "addon/convert.h"

namespace vxlnat::addon {

namespace {

constexpr std::uint64_t kMaxCount = 1u << 27;

std::uint16_t word(const Field& field) {
  return static_cast<std::uint16_t>(field.number(0, 65535));
}

Vni vnet(const Field& from) {
  return static_cast<Vni>(from.get("vnet").number(0, kMaxVni));
}

Mapping mapping(const Field& from) {
  const std::string name = from.text();
  if (name == "endpoint-dependent") return Mapping::kDependent;
  if (name == "endpoint-independent") return Mapping::kIndependent;
  if (name == "deterministic") return Mapping::kDeterministic;
  from.fail("no such mapping: \"" + name + "\"");
}

std::shared_ptr<const RuleOptions> options(const Field& from) {
  if (from.is_null()) return nullptr;
  RuleOptions o;
  o.mapping = mapping(from.get("mapping"));
  const Field more = from.get("more_public_ips");
  for (std::uint32_t i = 0; i < more.array_length(); i++) {
    o.more_public_ips.push_back(more.at(i).ip());
  }
  o.port_low = word(from.get("port_low"));
  o.port_high = word(from.get("port_high"));
  o.slice = word(from.get("slice"));
  o.slices = word(from.get("slices"));
  const Field exempt = from.get("exempt");
  for (std::uint32_t i = 0; i < exempt.array_length(); i++) {
    o.exempt.push_back(exempt.at(i).prefix());
  }
  o.mss = word(from.get("mss"));
  const Field times = from.get("timers");
  if (!times.is_null()) o.timers = timers(times);
  o.host = limits(from.get("host"));
  o.block_size = word(from.get("block_size"));
  return std::make_shared<const RuleOptions>(std::move(o));
}

}  // namespace

Limits limits(const Field& from) {
  const auto count = [&](const char* name) {
    return static_cast<std::uint32_t>(from.get(name).number(0, kMaxCount));
  };
  return {.flows = count("flows"),
          .opening = count("opening"),
          .per_second = count("per_second")};
}

Operation set_rule(const Field& from) {
  return SetRule{
      .vnet = vnet(from),
      .vlan = static_cast<std::uint16_t>(from.get("vlan").number(0, 4094)),
      .prefix = from.get("prefix").prefix(),
      .router_ip = from.get("router_ip").ip(),
      .router_mac = from.get("router_mac").mac(),
      .public_ip = from.get("public_ip").ip(),
      .options = options(from.get("options")),
  };
}

Operation set_vnet_limits(const Field& from) {
  return SetVnetLimits{.vnet = vnet(from), .limits = limits(from)};
}

Operation set_drain(const Field& from) {
  return SetDrain{.public_ip = from.get("public_ip").ip(),
                  .draining = from.get("draining").boolean()};
}

}  // namespace vxlnat::addon
