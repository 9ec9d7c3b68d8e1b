// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Who may send for an instance: the node where the overlay says it lives.

#include <set>

#include "test/world.h"

namespace vxlnat::test {

namespace {

constexpr Ip4 kStranger = ip4(10, 4, 4, 77);

EngineConfig strict() {
  EngineConfig config = World::small();
  config.check_senders = true;
  return config;
}

Outs send_from(World& w, const Bytes& packet, Ip4 node, Vni vnet = 1) {
  return w.datagram(World::frame(packet, vnet, kRouterMac1, -1),
                    World::path_from(node));
}

std::vector<Miss> misses(World& w) {
  std::vector<Miss> all(2048);
  all.resize(w.engine->take_misses(all));
  return all;
}

}  // namespace

TEST("sender: X7 another node cannot speak for an instance") {
  World w(strict());
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  CHECK_EQ(send_from(w, packet, kNode).size(), 1u);
  CHECK(send_from(w, packet, kNode + 1).empty());
  CHECK(send_from(w, make_udp(kHostB, 1, kServer, 53), kNode + 1).empty());
  CHECK_EQ(w.dropped(Drop::kUnknownUl3), 2u);
  CHECK_EQ(w.flows(), 1u);
  CHECK_EQ(w.list()[0].packets_out, 1u);
}

TEST("sender: X7 a moved instance is asked for again, at a pace, and heard") {
  World w(strict());
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  w.run(5000);
  for (int i = 0; i < 10; i++) CHECK(send_from(w, packet, kNode + 7).empty());
  const auto asked = misses(w);
  CHECK_EQ(asked.size(), 1u);
  if (asked.empty()) return;
  CHECK_EQ(asked[0].ip, kHostA);
  CHECK(w.apply(SetRemote{1, kHostA, kHostMac, kNode + 7, 4789}) == nullptr);
  CHECK_EQ(send_from(w, packet, kNode + 7).size(), 1u);
  CHECK(send_from(w, packet, kNode).empty());
}

TEST("sender: X7 where nobody has told yet a packet waits for the answer") {
  World w(strict());
  const Bytes packet = make_udp(kStranger, 40000, kServer, 53);
  CHECK(send_from(w, packet, kNode).empty());
  CHECK_EQ(w.flows(), 0u);
  CHECK_EQ(misses(w).size(), 1u);
  CHECK(w.apply(SetRemote{1, kStranger, kHostMac, kNode, 4789}) == nullptr);
  const Outs out = w.take();
  CHECK_EQ(out.size(), 1u);
  CHECK(!out[0].inside);
  CHECK_EQ(Seen(out[0].ip).src, kPublic1);
  CHECK_EQ(w.flows(), 1u);
}

TEST("sender: X7 an answer that names another node ends what waited") {
  World w(strict());
  CHECK(send_from(w, make_udp(kStranger, 1, kServer, 53), kNode).empty());
  CHECK(w.apply(SetRemote{1, kStranger, kHostMac, kNode + 3, 4789}) == nullptr);
  CHECK(w.take().empty());
  CHECK_EQ(w.dropped(Drop::kUnknownUl3), 1u);
  CHECK_EQ(w.flows(), 0u);
}

TEST("sender: X5 a foreign inner MAC teaches the gateway nothing") {
  World w(strict());
  const Seen sent(w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip);
  Bytes forged =
      World::frame(make_udp(kHostB, 1, kServer, 53), 1, kRouterMac1, -1);
  put_mac(&forged[14], 0x020000000001);
  w.datagram(forged);
  const auto back = w.outside(make_udp(kServer, 53, kPublic1, sent.sport));
  CHECK_EQ(back[0].dst_mac, kHostMac + 1);
  CHECK_EQ(back[0].to.dst_ip, kNode);
}

TEST("sender: made-up addresses of one vnet leave room for another's") {
  EngineConfig config = strict();
  config.max_remotes = 2048;
  config.max_waiting = 8;
  World w(config);
  for (std::uint32_t n = 0; n < 1000; n++) {
    const Ip4 made_up = ip4(10, 4, 5, 0) + n % 700;
    CHECK(send_from(w, make_udp(made_up, 1, kServer, 53), kNode).empty());
    CHECK(w.apply(RemoteNotFound{1, made_up, 5000}) == nullptr);
  }
  CHECK(w.dropped(Drop::kRemoteTableFull) > 0);
  misses(w);
  const Ip4 other = ip4(10, 4, 4, 50);
  CHECK(w.datagram(
             World::frame(make_udp(other, 1, kServer, 53), 3, kRouterMac3, -1))
            .empty());
  const auto asked = misses(w);
  CHECK(!asked.empty() && asked.back().ip == other);
  // And what nobody knows is forgotten in its time.
  w.run(6000);
  CHECK(
      send_from(w, make_udp(ip4(10, 4, 5, 1), 1, kServer, 53), kNode).empty());
  CHECK_EQ(misses(w).size(), 1u);
}

TEST("sender: X3 a flow has one tunnel port and flows have many") {
  World w;
  std::set<std::uint16_t> ports;
  for (std::uint16_t n = 0; n < 32; n++) {
    const Seen sent(w.inside(make_udp(kHostA, n, kServer, 53))[0].ip);
    const Bytes answer = make_udp(kServer, 53, kPublic1, sent.sport);
    const std::uint16_t port = w.outside(answer)[0].to.entropy;
    CHECK_EQ(w.outside(answer)[0].to.entropy, port);
    ports.insert(port);
  }
  CHECK(ports.size() > 24);
  // All pieces of a datagram go one way.
  const Seen sent(w.inside(make_udp(kHostA, 99, kServer, 53))[0].ip);
  std::set<std::uint16_t> ways;
  for (const Bytes& piece :
       cut(make_udp(kServer, 53, kPublic1, sent.sport, Bytes(900, 1)), 304)) {
    const auto out = w.outside(piece);
    ways.insert(out[0].to.entropy);
  }
  CHECK_EQ(ways.size(), 1u);
}

}  // namespace vxlnat::test
