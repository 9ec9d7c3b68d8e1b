// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Counters of vnets and public addresses, the log of flows, hot remotes.

#include "engine/host_table.h"
#include "test/world.h"

namespace vxlnat::test {

namespace {

VnetInfo vnet_of(World& w, Vni vnet) {
  VnetInfo page[2];
  std::uint32_t cursor = 0;
  while (cursor != Engine::kListEnd) {
    const std::size_t n = w.engine->list_vnets(page, &cursor);
    for (std::size_t i = 0; i < n; i++) {
      if (page[i].vnet == vnet) return page[i];
    }
  }
  fail(__FILE__, __LINE__, "no such vnet");
  return {};
}

PublicInfo public_of(World& w, Ip4 ip) {
  PublicInfo page[2];
  std::uint32_t cursor = 0;
  while (cursor != Engine::kListEnd) {
    const std::size_t n = w.engine->list_publics(page, &cursor);
    for (std::size_t i = 0; i < n; i++) {
      if (page[i].ip == ip) return page[i];
    }
  }
  fail(__FILE__, __LINE__, "no such public address");
  return {};
}

std::vector<FlowEvent> events(World& w, std::uint64_t* lost = nullptr) {
  FlowEvent some[64];
  std::uint64_t so_far = 0;
  const std::size_t n = w.engine->take_events(some, &so_far);
  if (lost != nullptr) *lost = so_far;
  return {some, some + n};
}

Bytes syn(std::uint16_t sport) {
  return make_tcp(kHostA, sport, kServer, 80, kSyn);
}

}  // namespace

TEST("packets, bytes and flows are counted for vnet and public address") {
  World w;
  const Seen sent(w.inside(syn(1))[0].ip);
  w.inside(syn(1));
  w.outside(make_tcp(kServer, 80, kPublic1, sent.sport, kSyn | kAck, Bytes(9)));
  w.inside(make_udp(kHost2, 5, kServer, 53), 2, 2);
  const VnetInfo one = vnet_of(w, 1);
  CHECK_EQ(one.traffic.packets_out, 2u);
  CHECK_EQ(one.traffic.bytes_out, 80u);
  CHECK_EQ(one.traffic.packets_in, 1u);
  CHECK_EQ(one.traffic.bytes_in, 49u);
  CHECK_EQ(one.flows, 1u);
  CHECK_EQ(vnet_of(w, 2).traffic.packets_out, 1u);
  CHECK_EQ(vnet_of(w, 3).traffic.packets_out, 0u);
  const PublicInfo address = public_of(w, kPublic1);
  CHECK(!address.one_to_one);
  CHECK_EQ(address.traffic.packets_out, 2u);
  CHECK_EQ(address.traffic.bytes_in, 49u);
  CHECK_EQ(address.tally.created, 1u);
  w.run(8'000'000);
  CHECK_EQ(public_of(w, kPublic1).flows, 0u);
  CHECK_EQ(vnet_of(w, 1).tally.expired, 1u);
  CHECK_EQ(vnet_of(w, 1).tally.high_water, 1u);
  CHECK_EQ(w.flows(), 0u);
}

TEST("a 1:1 entry counts for itself and for its vnet") {
  World w;
  w.add_aip(kHostA);
  w.inside(make_udp(kHostA, 1, kServer, 2, Bytes(10)));
  w.outside(make_udp(kServer, 2, kAip, 1, Bytes(30)));
  const PublicInfo aip = public_of(w, kAip);
  CHECK(aip.one_to_one);
  CHECK_EQ(aip.vnet, 1u);
  CHECK_EQ(aip.traffic.bytes_out, 38u);
  CHECK_EQ(aip.traffic.bytes_in, 58u);
  CHECK_EQ(vnet_of(w, 1).traffic.bytes_in, 58u);
  CHECK_EQ(public_of(w, kPublic1).traffic.packets_out, 0u);
}

TEST("a drop is counted for its vnet, and none for a vnet it has not reached") {
  World w;
  w.inside(make_udp(ip4(10, 99, 0, 1), 1, kServer, 2));
  w.inside(make_tcp(kHostA, 1, kServer, 2, kAck), 3);
  w.outside(make_udp(kServer, 2, kPublic1, 1));
  const auto count = [&](Vni vnet, Drop reason) {
    return vnet_of(w, vnet).drops[static_cast<std::size_t>(reason)];
  };
  CHECK_EQ(count(1, Drop::kSpoofedSource), 1u);
  CHECK_EQ(count(3, Drop::kTcpNoFlow), 1u);
  for (const Vni vnet : {1u, 2u, 3u}) CHECK_EQ(count(vnet, Drop::kNoFlow), 0u);
}

TEST("a vnet or address in the place of another begins at zero") {
  World w;
  const SetRule rule = {9,
                        0,
                        {ip4(10, 9, 0, 0), 24},
                        ip4(10, 9, 0, 1),
                        kRouterMac1,
                        ip4(3, 3, 3, 99)};
  CHECK(w.apply(rule) == nullptr);
  w.inside(make_udp(ip4(10, 9, 0, 2), 1, kServer, 2), 9);
  w.inside(make_udp(ip4(10, 99, 0, 2), 1, kServer, 2), 9);
  CHECK_EQ(vnet_of(w, 9).traffic.packets_out, 1u);
  CHECK(w.apply(RemoveRule{9, rule.prefix}) == nullptr);
  w.run(400'000);
  SetRule other = rule;
  other.vnet = 10;
  other.public_ip = ip4(3, 3, 3, 98);
  CHECK(w.apply(other) == nullptr);
  const VnetInfo made = vnet_of(w, 10);
  CHECK_EQ(made.traffic.packets_out, 0u);
  CHECK_EQ(made.tally.created, 0u);
  CHECK_EQ(made.drops[static_cast<std::size_t>(Drop::kSpoofedSource)], 0u);
  CHECK_EQ(public_of(w, other.public_ip).traffic.packets_out, 0u);
}

TEST("the log tells when a flow begins and ends, once it is on") {
  World w;
  w.inside(syn(1));
  CHECK_EQ(events(w).size(), 0u);
  w.engine->open_events(16);
  const Seen sent(w.inside(make_udp(kHostA, 7, kServer, 53))[0].ip);
  w.inside(make_udp(kHostA, 7, kServer, 53));
  w.outside(make_udp(kServer, 53, kPublic1, sent.sport));
  const Tick began = w.now;
  w.run(400'000);
  const std::vector<FlowEvent> told = events(w);
  CHECK(told.size() >= 2);
  if (told.size() < 2) return;
  const FlowEvent& create = told[0];
  CHECK(create.kind == FlowEventKind::kCreate);
  CHECK_EQ(create.time_ms, began);
  CHECK_EQ(create.vnet, 1u);
  CHECK_EQ(create.proto, kUdp);
  CHECK_EQ(create.private_ip, kHostA);
  CHECK_EQ(create.private_port, 7);
  CHECK_EQ(create.public_ip, kPublic1);
  CHECK_EQ(create.public_port, sent.sport);
  CHECK_EQ(create.remote_ip, kServer);
  CHECK_EQ(create.remote_port, 53);
  const auto end = std::find_if(told.begin(), told.end(), [&](const auto& e) {
    return e.kind == FlowEventKind::kEnd && e.private_port == 7;
  });
  CHECK(end != told.end());
  if (end != told.end()) {
    CHECK_EQ(end->packets_out, 2u);
    CHECK_EQ(end->packets_in, 1u);
  }
  w.engine->open_events(0);
  w.inside(syn(3));
  CHECK_EQ(events(w).size(), 0u);
}

TEST("a full log loses the oldest and says how many") {
  World w;
  w.engine->open_events(4);
  for (std::uint16_t i = 1; i <= 10; i++) w.inside(syn(i));
  std::uint64_t lost = 0;
  const std::vector<FlowEvent> told = events(w, &lost);
  CHECK_EQ(lost, 6u);
  CHECK_EQ(told.size(), 4u);
  if (told.size() == 4) {
    CHECK_EQ(told[0].private_port, 7);
    CHECK_EQ(told[3].private_port, 10);
  }
}

TEST("a refused flow is told at most once a second") {
  EngineConfig config = World::small();
  config.port_low = 2000;
  config.port_high = 2001;
  World w(config);
  w.engine->open_events(64);
  for (std::uint16_t i = 1; i <= 9; i++) w.inside(syn(i));
  const auto refusals = [&] {
    const std::vector<FlowEvent> told = events(w);
    return std::count_if(told.begin(), told.end(), [](const FlowEvent& e) {
      return e.kind == FlowEventKind::kExhausted && e.public_ip == kPublic1 &&
             Drop{e.drop} == Drop::kPortExhausted;
    });
  };
  CHECK_EQ(refusals(), 1);
  w.run(1001);
  w.inside(syn(11));
  w.inside(syn(12));
  CHECK_EQ(refusals(), 1);
}

TEST("a quota is told with its limit, and before that that it is near") {
  World w;
  RuleOptions options;
  options.host.flows = 10;
  CHECK(w.apply(SetRule{1,
                        0,
                        {ip4(10, 4, 4, 0), 22},
                        kRouter1,
                        kRouterMac1,
                        kPublic1,
                        std::make_shared<const RuleOptions>(options)}) ==
        nullptr);
  CHECK(w.apply(SetVnetLimits{1, {.flows = 25}}) == nullptr);
  w.engine->open_events(256);
  const auto of = [&](FlowEventKind kind) {
    std::vector<FlowEvent> some = events(w);
    std::erase_if(some, [&](const FlowEvent& e) { return e.kind != kind; });
    return some;
  };
  for (std::uint16_t i = 1; i <= 8; i++) w.inside(syn(i));
  const auto near = of(FlowEventKind::kThreshold);
  CHECK_EQ(near.size(), 1u);
  if (!near.empty()) {
    CHECK_EQ(near[0].detail, static_cast<int>(ThresholdKind::kHostFlows));
    CHECK_EQ(near[0].limit, 8u);
    CHECK_EQ(near[0].vnet, 1u);
    CHECK_EQ(near[0].private_ip, kHostA);
  }
  for (std::uint16_t i = 9; i <= 12; i++) w.inside(syn(i));
  const auto over = of(FlowEventKind::kQuota);
  CHECK_EQ(over.size(), 1u);
  if (!over.empty()) {
    CHECK_EQ(over[0].detail, static_cast<int>(QuotaKind::kHostFlows));
    CHECK_EQ(over[0].limit, 10u);
    CHECK(Drop{over[0].drop} == Drop::kHostFlowLimit);
    CHECK_EQ(over[0].private_ip, kHostA);
  }
  // Other hosts bring their vnet near its limit, and over it.
  for (std::uint16_t i = 1; i <= 16; i++) {
    w.inside(make_tcp(kHostA + 1 + i, i, kServer, 80, kSyn));
  }
  const auto told = events(w);
  const auto find = [&](FlowEventKind kind) {
    return std::find_if(told.begin(), told.end(),
                        [&](const FlowEvent& e) { return e.kind == kind; });
  };
  const auto vnet_near = find(FlowEventKind::kThreshold);
  CHECK(vnet_near != told.end());
  if (vnet_near != told.end()) {
    CHECK_EQ(vnet_near->detail, static_cast<int>(ThresholdKind::kFlows));
    CHECK_EQ(vnet_near->limit, 20u);
    CHECK_EQ(vnet_near->vnet, 1u);
  }
  const auto vnet_over = find(FlowEventKind::kQuota);
  CHECK(vnet_over != told.end());
  if (vnet_over != told.end()) {
    CHECK_EQ(vnet_over->detail, static_cast<int>(QuotaKind::kFlows));
    CHECK_EQ(vnet_over->limit, 25u);
    CHECK(Drop{vnet_over->drop} == Drop::kVnetFlowLimit);
  }
}

TEST("a limit that is near is told again only when it has been far") {
  Mark mark;
  CHECK_EQ(Mark::level(100), 80u);
  CHECK(!mark.reached(79, 100));
  CHECK(mark.reached(80, 100));
  CHECK(!mark.reached(95, 100));
  CHECK(!mark.reached(70, 100));
  CHECK(!mark.reached(80, 100));
  CHECK(!mark.reached(69, 100));
  CHECK(mark.reached(80, 100));
  CHECK(!mark.reached(1, 0));
}

TEST("hot remotes are found with their number of flows") {
  World w;
  for (std::uint16_t i = 1; i <= 30; i++) w.inside(syn(i));
  for (std::uint16_t i = 1; i <= 20; i++) {
    w.inside(make_udp(kHostA, i, kServer, 53));
    w.inside(make_udp(kHostA, i, kServer + i, 99));
    w.inside(make_udp(kHost2, i, kServer, 53), 2, 2);
  }
  HotScan scan;
  while (w.engine->scan_hot(scan)) {
  }
  const std::vector<HotRemote> hot = scan.result(3);
  CHECK_EQ(hot.size(), 4u);
  if (hot.size() != 4) return;
  CHECK_EQ(hot[0].public_ip, kPublic1);
  CHECK_EQ(hot[0].remote_port, 80);
  CHECK_EQ(hot[0].flows, 30u);
  CHECK_EQ(hot[1].remote_port, 53);
  CHECK_EQ(hot[1].flows, 20u);
  CHECK_EQ(hot[2].flows, 1u);
  CHECK_EQ(hot[3].public_ip, kPublic2);
  CHECK_EQ(hot[3].flows, 20u);
}

}  // namespace vxlnat::test
