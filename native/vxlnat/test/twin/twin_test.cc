// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Chance drives the engine and its twin through the same packets, changes and
// times; they must agree on every verdict and every byte, in each way that a
// rule can give ports. VXLNAT_TWIN_STEPS and VXLNAT_TWIN_SEED say how long and
// which way.

#include <cstdlib>

#include "test/twin/pair.h"

namespace vxlnat::test {

namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

EngineConfig small(std::uint16_t port_high = 2030) {
  EngineConfig c = World::small();
  c.check_senders = true;
  c.port_low = 2000;
  c.port_high = port_high;
  c.max_fragments = 8192;
  c.max_held = 2048;
  return c;
}

// One address of two, so that vnets share them.
std::vector<Ip4> one_address(Random& random, Vni, std::uint8_t) {
  return {ip4(3, 3, 3, 2) + random.below(2)};
}

std::vector<Ip4> some_addresses(Random& random, Vni, std::uint8_t) {
  std::vector<Ip4> pool;
  const Ip4 first = ip4(3, 3, 3, 8) + random.below(4);
  for (Ip4 n = 1 + random.below(3); n > 0; n--) pool.push_back(first + n);
  return pool;
}

// A deterministic rule shares its addresses with nobody.
std::vector<Ip4> own_addresses(Random& random, Vni v, std::uint8_t bits) {
  const Ip4 first = ip4(3, 3, 4, 0) + v * 8 + (bits == 30 ? 4 : 0);
  std::vector<Ip4> pool{first};
  for (Ip4 n = random.below(4); n > 0; n--) pool.push_back(first + n);
  if (random.below(20) == 0) pool[0] = ip4(3, 3, 4, 8);
  return pool;
}

RuleOptions plain(Random&, std::uint8_t) { return {}; }

// `met`: what the engine must have said no for on the way.
void run(const Mode& mode, std::uint64_t usual_steps,
         std::initializer_list<Drop> met) {
  const std::uint64_t steps = number_from("VXLNAT_TWIN_STEPS", usual_steps);
  const std::uint64_t seed = number_from("VXLNAT_TWIN_SEED", 1);
  Pair pair(mode, seed);
  for (std::uint64_t i = 0; i < steps && failures() == 0; i++) {
    pair.step();
    if (i % 500 == 0) pair.compare_flows();
  }
  // The comparison has taken place.
  if (failures() > 0) return;
  CHECK(pair.agreed() > steps / 2);
  for (const Drop reason : met) {
    if (pair.dropped(reason) > 0) continue;
    fail(__FILE__, __LINE__, kDropTexts[static_cast<std::size_t>(reason)].name);
  }
}

}  // namespace

TEST("twin: a naive NAT agrees on every verdict and every byte") {
  run({.config = small(2011),
       .pool = one_address,
       .options = plain,
       .private_ports = 8},
      30'000,
      {Drop::kPortExhausted, Drop::kNoFlow, Drop::kIcmpNoMatch,
       Drop::kDestinationInside, Drop::kTcpNoFlow, Drop::kTcpFlags});
}

TEST("twin: pools, drains, exempt prefixes, slices and clamped segments") {
  const auto options = [](Random& random, std::uint8_t) {
    RuleOptions o;
    if (random.below(3) == 0) o.exempt.push_back({kServer + 1, 32});
    if (random.below(2) == 0) {
      o.mss = static_cast<std::uint16_t>(536 + random.below(1000));
    }
    if (random.below(3) == 0) {
      o.slices = 3;
      o.slice = static_cast<std::uint16_t>(random.below(3));
    }
    return o;
  };
  run({.config = small(2011),
       .pool = some_addresses,
       .options = options,
       .private_ports = 20,
       .drains = true},
      10'000, {Drop::kExempt, Drop::kPublicDraining, Drop::kPortExhausted});
}

TEST("twin: endpoint-independent rules beside dependent ones") {
  const auto options = [](Random& random, std::uint8_t) {
    RuleOptions o;
    if (random.below(4) != 0) o.mapping = Mapping::kIndependent;
    if (random.below(3) == 0) o.exempt.push_back({kServer + 2, 32});
    return o;
  };
  run({.config = small(2015),
       .pool = some_addresses,
       .options = options,
       .private_ports = 30,
       .drains = true},
      10'000, {Drop::kExempt, Drop::kPublicDraining, Drop::kPortExhausted});
}

TEST("twin: deterministic rules keep to their arithmetic") {
  const auto options = [](Random& random, std::uint8_t bits) {
    RuleOptions o;
    if (random.below(8) != 0) o.mapping = Mapping::kDeterministic;
    o.port_low = bits == 22 ? 10'000 : 2000;
    o.port_high = static_cast<std::uint16_t>((bits == 22 ? 13'000 : 2015) +
                                             random.below(3) * 8);
    return o;
  };
  run({.config = small(20'000),
       .pool = own_addresses,
       .options = options,
       .private_ports = 200,
       .drains = true},
      10'000, {Drop::kPublicDraining, Drop::kPortExhausted});
}

TEST("twin: ports in blocks are their host's alone") {
  const auto options = [](Random& random, std::uint8_t) {
    RuleOptions o;
    if (random.below(3) == 0) o.mapping = Mapping::kIndependent;
    if (random.below(6) != 0) o.block_size = random.below(4) == 0 ? 128 : 64;
    o.port_low = 2040;
    o.port_high = 2400;
    return o;
  };
  run({.config = small(2400),
       .pool = one_address,
       .options = options,
       .private_ports = 90,
       .drains = true},
      10'000, {Drop::kPublicDraining, Drop::kPortExhausted});
}

TEST("twin: limits of hosts and vnets refuse what is too much") {
  const auto options = [](Random& random, std::uint8_t) {
    RuleOptions o;
    if (random.below(4) == 0) o.mapping = Mapping::kIndependent;
    if (random.below(2) == 0) o.host.flows = 3 + random.below(10);
    if (random.below(2) == 0) o.host.opening = 1 + random.below(4);
    if (random.below(2) == 0) o.host.per_second = 1 + random.below(4);
    return o;
  };
  Mode mode = {.config = small(),
               .pool = some_addresses,
               .options = options,
               .private_ports = 20,
               .limits = true};
  mode.config.vnet_share_percent = 1;
  run(mode, 10'000,
      {Drop::kVnetFlowLimit, Drop::kHostFlowLimit, Drop::kNewFlowRate});
}

TEST("twin: idle times and quarantine of each rule") {
  const auto options = [](Random& random, std::uint8_t) {
    RuleOptions o;
    if (random.below(4) == 0) o.mapping = Mapping::kIndependent;
    if (random.below(4) == 0) return o;
    // Few different ones, for an engine has 15 sets of them.
    Random which({7, random.below(10)});
    const auto some = [&which] { return 1 + which.below(2000); };
    o.timers = Timers{.tcp_established = some() * 10,
                      .tcp_opening = some(),
                      .tcp_closing = some(),
                      .udp = some(),
                      .icmp = some(),
                      .quarantine = which.below(3) * 1000};
    return o;
  };
  run({.config = small(2007),
       .pool = some_addresses,
       .options = options,
       .private_ports = 20},
      10'000, {Drop::kPortExhausted});
}

}  // namespace vxlnat::test
