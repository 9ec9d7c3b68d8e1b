// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// How much a host and a vnet may have: flows, half-open flows, new flows a
// second; said by a rule or by the configuration.

#include "test/rules.h"

namespace vxlnat::test {

TEST("options: P3 T17 a host's flows, half-open flows and pace are limited") {
  World w;
  RuleOptions options;
  options.host = {.flows = 10, .opening = 4, .per_second = 0};
  CHECK_EQ(set(w, options), "");
  for (std::uint16_t n = 1; n <= 20; n++) {
    w.inside(make_tcp(kHostA, n, kServer, 80, kSyn));
  }
  CHECK_EQ(w.flows(), 4u);
  CHECK_EQ(w.dropped(Drop::kHostFlowLimit), 16u);
  for (std::uint16_t n = 1; n <= 20; n++) udp(w, kHostA, n);
  CHECK_EQ(w.flows(), 10u);
  // Another host is not the first one.
  CHECK(udp(w, kHostB, 1).src != 0);
  // What ends makes room at once.
  const FlowInfo gone = w.list({.private_ip = kHostA})[0];
  CHECK(w.apply(RemoveFlow{gone.proto, gone.public_ip, gone.public_port,
                           gone.remote_ip, gone.remote_port}) == nullptr);
  CHECK(udp(w, kHostA, 99).src != 0);
  options.host = {.flows = 0, .opening = 0, .per_second = 5};
  CHECK_EQ(set(w, options), "");
  w.now += 10000;
  for (std::uint16_t n = 200; n < 220; n++) udp(w, host(7), n);
  CHECK_EQ(w.list({.private_ip = host(7)}).size(), 5u);
  w.now += 1000;
  for (std::uint16_t n = 300; n < 320; n++) udp(w, host(7), n);
  CHECK_EQ(w.list({.private_ip = host(7)}).size(), 10u);
  CHECK_EQ(w.dropped(Drop::kNewFlowRate), 30u);
}

TEST("options: P3 what no rule says of limits the configuration says") {
  EngineConfig config = World::small();
  config.host_limits.flows = 3;
  config.vnet_limits.flows = 5;
  World w(config);
  for (std::uint16_t n = 1; n <= 9; n++) udp(w, kHostA, n);
  CHECK_EQ(w.flows(), 3u);
  for (std::uint16_t n = 1; n <= 9; n++) udp(w, kHostB, n);
  CHECK_EQ(w.flows(), 5u);
  CHECK_EQ(w.dropped(Drop::kHostFlowLimit), 6u);
  CHECK_EQ(w.dropped(Drop::kVnetFlowLimit), 7u);
  // What is said of one goes before what is said of all.
  RuleOptions options;
  options.host.flows = 4;
  CHECK_EQ(set(w, options), "");
  CHECK(w.apply(SetVnetLimits{1, {.flows = 6}}) == nullptr);
  for (std::uint16_t n = 11; n <= 19; n++) udp(w, kHostA, n);
  CHECK_EQ(w.list({.private_ip = kHostA}).size(), 4u);
  for (std::uint16_t n = 11; n <= 19; n++) udp(w, kHostB, n);
  CHECK_EQ(w.flows(), 6u);
}

TEST("options: P15 a vnet's own limits hold for all of its rules") {
  World w;
  CHECK(w.apply(SetVnetLimits{1, {.flows = 7}}) == nullptr);
  for (std::uint16_t n = 1; n <= 20; n++) udp(w, host(n), 1);
  CHECK_EQ(w.flows(), 7u);
  CHECK_EQ(w.dropped(Drop::kVnetFlowLimit), 13u);
  CHECK(send(w, make_udp(kHost2, 1, kServer, 53), 2).src != 0);
  // They wait for a vnet that is not there yet.
  CHECK(w.apply(SetVnetLimits{55, {.per_second = 2}}) == nullptr);
  CHECK_EQ(set(w, {}, kPublic1, 55), "");
  for (std::uint16_t n = 1; n <= 9; n++) {
    send(w, make_udp(kHostA, n, kServer, 53), 55);
  }
  CHECK_EQ(w.list({.vnet = 55}).size(), 2u);
  CHECK(w.apply(SetVnetLimits{55, {}}) == nullptr);
  CHECK(send(w, make_udp(kHostA, 50, kServer, 53), 55).src != 0);
}

TEST("options: hosts that cannot be counted are refused only for a limit") {
  EngineConfig config = World::small();
  config.max_hosts = 4;
  World w(config);
  for (std::uint32_t n = 0; n < 10; n++) CHECK(udp(w, host(n), 1).src != 0);
  RuleOptions options;
  options.host.flows = 3;
  CHECK_EQ(set(w, options), "");
  CHECK_EQ(udp(w, host(20), 1).src, 0u);
  CHECK_EQ(w.dropped(Drop::kHostTableFull), 1u);
  // The first vnet has its share of the table only.
  CHECK(send(w, make_udp(kHost2, 1, kServer, 53), 2).src != 0);
  w.run(301000);
  CHECK(udp(w, host(20), 1).src != 0);
}

}  // namespace vxlnat::test
