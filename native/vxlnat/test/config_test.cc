// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Operations: what is refused and changes nothing, what may be repeated, and
// remotes that are asked for, told, moved and forgotten.

#include "test/rules.h"

namespace vxlnat::test {

namespace {

// The error as text; empty when there is none.
std::string error_of(World& w, const Operation& op) {
  const char* error = w.apply(op);
  return error == nullptr ? "" : error;
}

std::vector<Miss> misses(World& w) {
  Miss some[64];
  const std::size_t n = w.engine->take_misses(some);
  return {some, some + n};
}

constexpr Ip4 kNewHost = ip4(10, 4, 4, 99);

}  // namespace

TEST("config: a wrong operation is refused with its reason, nothing changed") {
  World w;
  w.add_aip();
  const Prefix prefix{ip4(10, 4, 4, 0), 22};
  const std::pair<Operation, const char*> wrong[] = {
      {SetRule{1u << 24, 0, prefix, kRouter1, kRouterMac1, kPublic1}, "vnet"},
      {SetRule{1, 4095, prefix, kRouter1, kRouterMac1, kPublic1}, "VLAN"},
      {SetRule{1, 0, {kHostA, 22}, kRouter1, kRouterMac1, kPublic1}, "prefix"},
      {SetRule{1, 0, prefix, kHost2, kRouterMac1, kPublic1},
       "router's address"},
      {SetRule{1, 0, prefix, kRouter1, 0, kPublic1}, "MAC"},
      {SetRule{1, 0, prefix, kRouter1, kRouterMac1, 0}, "0.0.0.0"},
      {SetRule{1, 0, prefix, kRouter1, kRouterMac1, kAip}, "1:1 entry"},
      {SetOneToOne{1, 0, kHostB, kPublic2}, "used by a rule"},
      {SetOneToOne{1, 0, kHostB, kAip}, "another 1:1 entry"},
      {SetOneToOne{1, 0, kHost2, kAip + 1}, "no rule"},
      {SetOneToOne{9, 0, kHostB, kAip + 1}, "no rule"},
      {RemoveRule{1, prefix}, "remove the entry first"},
      {SetRemote{1, kHostA, 1, 0, 4789}, "0.0.0.0"},
      {AddUl3{0}, "0.0.0.0"},
  };
  for (const auto& [op, text] : wrong) {
    const std::string error = error_of(w, op);
    if (error.find(text) == std::string::npos) CHECK_EQ(error, text);
  }
  const Stats& stats = w.engine->stats();
  CHECK_EQ(stats.rules.read(), 4u);
  CHECK_EQ(stats.one_to_ones.read(), 1u);
  CHECK_EQ(stats.vnets.read(), 3u);
}

TEST("config: every operation may be repeated") {
  World w;
  const Operation ops[] = {
      SetRule{4, 0, {ip4(10, 4, 4, 0), 22}, kRouter1, kRouterMac1, kPublic1},
      SetOneToOne{4, 0, kHostA, kAip},
      SetRemote{4, kHostA, kHostMac, kNode, 4789},
      RemoteNotFound{4, kHostB, 100},
      RemoveRemoteMac{4, kHostMac},
      RemoveRemote{4, kHostA},
      RemoveOneToOne{4, kHostA},
      RemoveRule{4, {ip4(10, 4, 4, 0), 22}},
      RemoveFlow{6, kPublic1, 1, kServer, 1},
      AddUl3{5},
      RemoveUl3{5},
  };
  for (const Operation& op : ops) {
    CHECK_EQ(error_of(w, op), std::string());
    CHECK_EQ(error_of(w, op), std::string());
  }
  CHECK_EQ(w.engine->stats().rules.read(), 4u);
  CHECK_EQ(w.engine->stats().vnets.read(), 3u);
}

TEST("config: with its last UL3 gone a zone is shut, and loses nothing") {
  World w;
  const Bytes packet = make_udp(kHostA, 1, kServer, 53);
  const Seen sent(w.inside(packet)[0].ip);
  const Bytes reply = make_udp(kServer, 53, sent.src, sent.sport);
  CHECK_EQ(w.outside(reply).size(), 1u);
  const Ip4 own = World::path_in().local_ip;
  CHECK(w.apply(RemoveUl3{own}) == nullptr);
  CHECK(w.inside(packet).empty());
  CHECK_EQ(w.dropped(Drop::kNotOurUl3), 1u);
  CHECK(w.outside(reply).empty());
  CHECK(w.outside(make_udp(kServer, 1, kAip, 1)).empty());
  CHECK_EQ(w.dropped(Drop::kNoUl3), 2u);
  CHECK(w.apply(RemoveUl3{own}) == nullptr);
  CHECK(w.inside(packet).empty());
  CHECK(w.apply(AddUl3{own}) == nullptr);
  CHECK_EQ(Seen(w.inside(packet)[0].ip).sport, sent.sport);
  CHECK_EQ(w.outside(reply).size(), 1u);
}

TEST(
    "config: a changed public address ends the rule's flows, a router does "
    "not") {
  World w;
  const Bytes packet = make_udp(kHost2, 1, kServer, 53);
  const Prefix prefix{ip4(10, 6, 6, 0), 24};
  const Seen before(w.inside(packet, 2)[0].ip);
  CHECK(w.apply(SetRule{2, 7, prefix, ip4(10, 6, 6, 2), kRouterMac2,
                        kPublic2}) == nullptr);
  const auto back = w.outside(make_udp(kServer, 53, kPublic2, before.sport));
  CHECK_EQ(back[0].vlan, 7);
  CHECK(w.apply(SetRule{2, 7, prefix, ip4(10, 6, 6, 2), kRouterMac2,
                        ip4(3, 3, 3, 5)}) == nullptr);
  CHECK_EQ(Seen(w.inside(packet, 2)[0].ip).src, ip4(3, 3, 3, 5));
  CHECK(w.outside(make_udp(kServer, 53, kPublic2, before.sport)).empty());
  CHECK_EQ(w.dropped(Drop::kUnknownPublic), 1u);
  w.run(1);
  CHECK_EQ(w.flows(), 1u);
}

TEST("config: G1 a thousand reloads do not touch other rules' flows") {
  World w;
  const Seen sent(w.inside(make_udp(kHostA, 1, kServer, 53))[0].ip);
  const SetRule rule{9,        0,           {ip4(10, 4, 4, 0), 22},
                     kRouter1, kRouterMac1, ip4(3, 3, 3, 8)};
  for (int i = 0; i < 1000; i++) {
    CHECK(w.apply(rule) == nullptr);
    w.inside(make_udp(kHostA, 1, kServer, 53), 9);
    CHECK(w.apply(RemoveRule{9, rule.prefix}) == nullptr);
    w.run(1);
    const auto back = w.outside(make_udp(kServer, 53, kPublic1, sent.sport));
    CHECK_EQ(back.size(), 1u);
  }
  CHECK_EQ(w.flows(), 1u);
}

TEST("config: B12 a vnet that returns has nothing of its former life") {
  World w;
  w.add_aip(kHost2, kAip, 2);
  const Prefix prefix{ip4(10, 6, 6, 0), 24};
  w.inside(make_udp(kHostB, 1, kServer, 53));
  CHECK(w.apply(RemoveOneToOne{2, kHost2}) == nullptr);
  const Seen sent(w.inside(make_udp(kHost2, 1, kServer, 53), 2)[0].ip);
  CHECK(w.apply(RemoveRule{2, prefix}) == nullptr);
  CHECK(w.inside(make_udp(kHost2, 1, kServer, 53), 2).empty());
  CHECK_EQ(w.dropped(Drop::kUnknownVnet), 1u);
  CHECK(w.apply(SetRule{2, 0, prefix, ip4(10, 6, 6, 1), kRouterMac2,
                        kPublic2}) == nullptr);
  CHECK(w.outside(make_udp(kServer, 53, kPublic2, sent.sport)).empty());
  w.inside(make_udp(kHost2, 1, kServer, 53), 2);
  const auto flow = w.list({.vnet = 2});
  CHECK_EQ(flow.size(), 1u);
  // The place of its hosts must be told again.
  CHECK(
      w.outside(make_udp(kServer, 53, kPublic2, flow[0].public_port)).empty());
  CHECK_EQ(misses(w).size(), 1u);
}

TEST("config: B12 a vnet that returns has its whole pace") {
  World w;
  const Prefix prefix{ip4(10, 6, 6, 0), 24};
  CHECK(w.apply(SetVnetLimits{2, {.per_second = 2}}) == nullptr);
  for (std::uint16_t life = 0; life < 3; life++) {
    std::size_t sent = 0;
    for (std::uint16_t n = 1; n <= 3; n++) {
      sent += w.inside(make_udp(kHost2, n, kServer, 53), 2).size();
    }
    // The third is told that it cannot be.
    CHECK_EQ(sent, 3u);
    CHECK_EQ(w.list({.vnet = 2}).size(), 2u);
    CHECK_EQ(w.dropped(Drop::kNewFlowRate), life + 1u);
    CHECK(w.apply(RemoveRule{2, prefix}) == nullptr);
    w.run(0);
    CHECK(w.apply(SetRule{2, 0, prefix, ip4(10, 6, 6, 1), kRouterMac2,
                          kPublic2}) == nullptr);
    CHECK(w.apply(SetRemote{2, kHost2, kHostMac, kNode + 1, 4790}) == nullptr);
  }
}

TEST("config: the longest prefix wins, and entries follow their rule") {
  World w;
  w.add_aip();
  CHECK(w.apply(SetRule{
            1, 5, {kHostA & ~15u, 28}, kHostA + 1, 0x90b8d0000077, kPublic2}) ==
        nullptr);
  CHECK_EQ(w.outside(make_udp(kServer, 1, kAip, 1))[0].src_mac,
           0x90b8d0000077u);
  CHECK_EQ(Seen(w.inside(make_udp(kHostB, 1, kServer, 53))[0].ip).dst, kServer);
  CHECK(w.apply(RemoveRule{1, {kHostA & ~15u, 28}}) == nullptr);
  CHECK_EQ(w.outside(make_udp(kServer, 1, kAip, 1))[0].src_mac, kRouterMac1);
}

TEST("config: what create refuses names the field") {
  const auto refused = [](auto change) {
    EngineConfig config = World::small();
    change(config);
    const char* error = nullptr;
    CHECK(Engine::create(config, &error) == nullptr);
    return std::string(error == nullptr ? "" : error);
  };
  using C = EngineConfig;
  CHECK(refused([](C& c) { c.max_flows = 0; }).starts_with("max_flows"));
  CHECK(refused([](C& c) { c.inner_mtu = 575; }).starts_with("inner_mtu"));
  CHECK(refused([](C& c) { c.inner_mtu = 9001; }).starts_with("inner_mtu"));
  CHECK(refused([](C& c) { c.port_low = 0; }).starts_with("port_low"));
  CHECK(refused([](C& c) { c.port_high = 9; }).starts_with("port_low"));
  CHECK(refused([](C& c) { c.timers.udp = 0; }).starts_with("timers"));
  CHECK(
      refused([](C& c) { c.probe_vnet = 1 << 24; }).starts_with("probe_vnet"));
  CHECK(refused([](C& c) { c.vxlan_port = 0; }).starts_with("vxlan_port"));
}

TEST("remotes: packets wait for an unknown place and follow its answer") {
  World w;
  w.add_aip(kNewHost);
  for (std::uint16_t i = 0; i < 6; i++) {
    CHECK(w.outside(make_udp(kServer, i, kAip, 5)).empty());
  }
  CHECK_EQ(w.dropped(Drop::kRemoteQueueFull), 2u);
  const auto asked = misses(w);
  CHECK_EQ(asked.size(), 1u);
  CHECK_EQ(asked[0].vnet, 1u);
  CHECK_EQ(asked[0].ip, kNewHost);
  CHECK(misses(w).empty());
  CHECK(w.apply(SetRemote{1, kNewHost, kHostMac, kNode, 4789}) == nullptr);
  const Outs out = w.take();
  CHECK_EQ(out.size(), 4u);
  for (std::uint16_t i = 0; i < 4; i++) CHECK_EQ(Seen(out[i].ip).sport, i);
  CHECK_EQ(w.outside(make_udp(kServer, 9, kAip, 5)).size(), 1u);
}

TEST("remotes: what waited does not go on by the rule after its own") {
  World w;
  const Seen sent = udp(w, kNewHost, 4000);
  CHECK_EQ(sent.src, kPublic1);
  CHECK(w.apply(RemoveRemote{1, kNewHost}) == nullptr);
  CHECK(w.outside(make_udp(kServer, 53, kPublic1, sent.sport)).empty());
  CHECK_EQ(misses(w).size(), 1u);
  CHECK(w.apply(RemoveRule{1, kPrefix}) == nullptr);
  w.run(1);
  CHECK_EQ(set(w, {}), "");
  CHECK(w.apply(SetRemote{1, kNewHost, kHostMac, kNode, 4789}) == nullptr);
  CHECK(w.take().empty());
  CHECK_EQ(w.dropped(Drop::kNoRule), 1u);
}

TEST("remotes: asking repeats at a pace and is given up") {
  World w;
  w.add_aip(kNewHost);
  const Bytes packet = make_udp(kServer, 1, kAip, 5);
  std::size_t asked = 0;
  for (int i = 0; i < 29; i++) {
    w.outside(packet);
    w.run(100);
    asked += misses(w).size();
  }
  CHECK_EQ(asked, 3u);
  w.run(200);
  CHECK_EQ(w.dropped(Drop::kRemoteTimeout), 4u);
  w.outside(packet);
  CHECK_EQ(misses(w).size(), 1u);
}

TEST("remotes: not found drops what waits and holds for its time") {
  World w;
  w.add_aip(kNewHost);
  const Bytes packet = make_udp(kServer, 1, kAip, 5);
  w.outside(packet);
  CHECK_EQ(misses(w).size(), 1u);
  CHECK(w.apply(RemoteNotFound{1, kNewHost, 5000}) == nullptr);
  CHECK_EQ(w.dropped(Drop::kRemoteNotFound), 1u);
  w.now += 4999;
  w.outside(packet);
  CHECK(misses(w).empty());
  CHECK_EQ(w.dropped(Drop::kRemoteNotFound), 2u);
  w.now += 1;
  w.outside(packet);
  CHECK_EQ(misses(w).size(), 1u);
}

TEST("remotes: a shootdown by address or by MAC makes it ask again") {
  World w;
  w.add_aip();
  const Bytes packet = make_udp(kServer, 1, kAip, 5);
  CHECK_EQ(w.outside(packet).size(), 1u);
  CHECK(w.apply(RemoveRemoteMac{3, kHostMac + 1}) == nullptr);
  CHECK_EQ(w.outside(packet).size(), 1u);
  CHECK(w.apply(RemoveRemoteMac{1, kHostMac + 1}) == nullptr);
  CHECK(w.outside(packet).empty());
  CHECK_EQ(misses(w).size(), 1u);
  CHECK(w.apply(SetRemote{1, kHostA, kHostMac, kNode, 4789}) == nullptr);
  CHECK_EQ(w.take().size(), 1u);
  CHECK(w.apply(RemoveRemote{1, kHostA}) == nullptr);
  CHECK(w.outside(packet).empty());
}

}  // namespace vxlnat::test
