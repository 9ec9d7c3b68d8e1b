// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Port allocation and the limits of the flow table: exact to the last port,
// bounded when there is none, unpredictable, and never at a live flow's cost.

#include <set>

#include "test/world.h"

namespace vxlnat::test {

namespace {

EngineConfig large() {
  EngineConfig config = World::small();
  config.max_flows = 200000;
  config.vnet_share_percent = 100;
  return config;
}

// The n-th host and source port.
Bytes packet_of(std::uint32_t n, Ip4 remote = kServer) {
  return make_udp(ip4(10, 4, 4, 2) + n / 50000,
                  static_cast<std::uint16_t>(1 + n % 50000), remote, 53);
}

}  // namespace

TEST("ports: B2 all 64,512 ports of one remote, no more, and all again") {
  World w(large());
  std::set<std::uint16_t> ports;
  for (std::uint32_t n = 0; n < 64512; n++) {
    const auto out = w.inside(packet_of(n));
    if (out.size() != 1 || out[0].inside) {
      CHECK_EQ(n, 64512u);
      return;
    }
    ports.insert(Seen(out[0].ip).sport);
  }
  CHECK_EQ(ports.size(), 64512u);
  CHECK_EQ(*ports.begin(), 1024);
  CHECK_EQ(w.flows(), 64512u);
  // B36: the next host is told.
  const auto refused = w.inside(packet_of(64512));
  CHECK_EQ(refused.size(), 1u);
  CHECK(refused[0].inside);
  CHECK_EQ(Seen(refused[0].ip).sport, 0x0301);
  CHECK_EQ(w.dropped(Drop::kPortExhausted), 1u);
  for (std::uint32_t n = 0; n < 100000; n++) w.inside(packet_of(64512 + n));
  CHECK_EQ(w.dropped(Drop::kPortExhausted), 100001u);
  // Another remote, and the live flows, are as before.
  CHECK(!w.inside(packet_of(64512, kServer + 1))[0].inside);
  CHECK(!w.inside(packet_of(77))[0].inside);
  CHECK_EQ(w.flows(), 64513u);
  // One is freed: that one is found.
  const std::uint16_t port = 30000;
  CHECK(w.apply(RemoveFlow{kUdp, kPublic1, port, kServer, 53}) == nullptr);
  const auto out = w.inside(packet_of(64512));
  CHECK_EQ(Seen(out[0].ip).sport, port);
  // All are freed: all are there again.
  w.run(301000);
  CHECK_EQ(w.flows(), 0u);
  for (std::uint32_t n = 0; n < 64512; n += 64) {
    CHECK(!w.inside(packet_of(n))[0].inside);
  }
}

TEST("ports: P9 T13 TCP ports run out, hosts are told, others go on") {
  World w(large());
  const auto open = [&](std::uint32_t n, Ip4 remote = kServer) {
    return w.inside(make_tcp(ip4(10, 4, 4, 2) + n / 50000,
                             static_cast<std::uint16_t>(1 + n % 50000), remote,
                             80, kSyn));
  };
  const auto leaves = [](const Outs& out) {
    return out.size() == 1 && !out[0].inside;
  };
  std::uint32_t opened = 0;
  for (std::uint32_t n = 0; n < 64512; n++) opened += leaves(open(n));
  CHECK_EQ(opened, 64512u);
  // Every refusal is counted; of 3/1 a host gets 100 a second.
  std::uint32_t told = 0;
  for (std::uint32_t n = 0; n < 1000; n++) {
    for (const Out& out : open(64512)) {
      CHECK(out.inside);
      CHECK_EQ(Seen(out.ip).sport, 0x0301);
      told++;
    }
  }
  CHECK_EQ(w.dropped(Drop::kPortExhausted), 1000u);
  CHECK(told >= 1 && told <= 110);
  // Unharmed: those that have a port, and others by protocol, remote and vnet.
  CHECK(leaves(open(77)));
  CHECK(leaves(open(64512, kServer + 1)));
  CHECK(leaves(w.inside(packet_of(64512, kServer))));
  CHECK(leaves(w.inside(make_tcp(kHost2, 1, kServer, 80, kSyn), 2)));
  // All ended; in quarantine their ports are nobody else's.
  w.run(241000);
  CHECK(!leaves(open(70000)));
  // And then everybody's at once.
  // And then they are everybody's at once.
  w.run(60000);
  opened = 0;
  for (std::uint32_t n = 70000; n < 134512; n++) opened += leaves(open(n));
  CHECK_EQ(opened, 64512u);
}

TEST("ports: public ports look random and the next cannot be told") {
  World w(large());
  std::vector<unsigned> bins(64);
  unsigned ordered = 0;
  std::uint16_t last = 0;
  for (std::uint32_t n = 0; n < 10000; n++) {
    const auto port = Seen(w.inside(packet_of(n))[0].ip).sport;
    bins[(port - 1024u) / 1008]++;
    ordered += port > last ? 1 : 0;
    last = port;
  }
  double chi = 0;
  for (const unsigned bin : bins) {
    chi += (bin - 156.25) * (bin - 156.25) / 156.25;
  }
  CHECK(chi < 120);  // 63 degrees of freedom: 1 in 50,000
  CHECK(ordered > 4700 && ordered < 5300);
  // Also where each is the first towards its remote.
  std::set<std::uint16_t> firsts;
  for (std::uint32_t n = 0; n < 200; n++) {
    firsts.insert(
        Seen(w.inside(packet_of(20000 + n, kServer + 1 + n))[0].ip).sport);
  }
  CHECK(firsts.size() > 190);
  EngineConfig other = large();
  other.seed[3] = 9;
  World again(other);
  CHECK(Seen(again.inside(packet_of(9999))[0].ip).sport != last);
}

TEST("ports: protocols have ports of their own") {
  EngineConfig config = World::small();
  config.port_low = config.port_high = 2000;
  World w(config);
  CHECK_EQ(Seen(w.inside(make_udp(kHostA, 1, kServer, 80))[0].ip).sport, 2000);
  CHECK_EQ(Seen(w.inside(make_tcp(kHostB, 1, kServer, 80, kSyn))[0].ip).sport,
           2000);
  CHECK_EQ(Seen(w.inside(make_echo(kHostB, kServer, 1))[0].ip).dport, 2000);
}

TEST("ports: B7 B8 failed and ended flows leave no trace in any table") {
  EngineConfig config = World::small();
  config.port_low = 2000;
  config.port_high = 2003;
  World w(config);
  for (int round = 0; round < 1000; round++) {
    for (std::uint16_t n = 0; n < 8; n++) {
      w.inside(
          make_udp(kHostA, static_cast<std::uint16_t>(100 + n), kServer, 53));
    }
    CHECK_EQ(w.flows(), 4u);
    for (const FlowInfo& flow : w.list()) {
      // Each survivor still gets its answers.
      const auto back =
          w.outside(make_udp(kServer, 53, kPublic1, flow.public_port));
      CHECK_EQ(Seen(back[0].ip).dport, flow.private_port);
      CHECK(w.apply(RemoveFlow{kUdp, kPublic1, flow.public_port, kServer,
                               53}) == nullptr);
    }
    CHECK_EQ(w.flows(), 0u);
    w.now += 1000;
  }
  CHECK_EQ(w.engine->stats().flows_created.read(), 4000u);
  CHECK_EQ(w.engine->stats().flows_expired.read(), 4000u);
}

TEST("ports: a full table refuses the new and keeps the old") {
  EngineConfig config = World::small();
  config.max_flows = 100;
  config.vnet_share_percent = 100;
  World w(config);
  for (std::uint16_t n = 0; n < 200; n++) {
    w.inside(
        make_udp(kHostA, static_cast<std::uint16_t>(100 + n), kServer, 53));
  }
  CHECK_EQ(w.flows(), 100u);
  CHECK_EQ(w.dropped(Drop::kVnetFlowLimit), 100u);
  w.inside(make_udp(kHost2, 1, kServer, 53), 2);
  CHECK_EQ(w.dropped(Drop::kFlowTableFull), 1u);
  CHECK(!w.inside(make_udp(kHostA, 100, kServer, 53))[0].inside);
  // B10: what is expired makes room without a sweep.
  w.now += 301000;
  CHECK(!w.inside(make_udp(kHost2, 1, kServer, 53), 2)[0].inside);
}

TEST("ports: B37 one tenant's flood leaves room for another's flows") {
  World w;
  for (std::uint32_t n = 0; n < 10000; n++) {
    w.inside(make_tcp(kHostA, 1, kServer + n, 80, kSyn));
    w.inside(make_udp(kHostA, 1, kServer + n, 80));
  }
  CHECK_EQ(w.flows(), 2048u);
  CHECK(w.dropped(Drop::kVnetFlowLimit) > 10000u);
  for (std::uint16_t n = 1; n <= 1000; n++) {
    const auto out = w.inside(make_tcp(kHost2, n, kServer, 80, kSyn), 2);
    CHECK(out.size() == 1 && !out[0].inside);
  }
}

TEST("ports: B48 flows vanish again and again") {
  World w;
  for (int round = 0; round < 5; round++) {
    for (std::uint16_t n = 0; n < 500; n++) {
      w.inside(make_echo(kHostA, kServer, n));
    }
    CHECK_EQ(w.flows(), 500u);
    w.run(61000);
    CHECK_EQ(w.flows(), 0u);
  }
}

}  // namespace vxlnat::test
