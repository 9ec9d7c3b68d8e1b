// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Defects that other engines had, each as a test of ours (facts:
// nat-behaviour section 3). Those that belong to one theme are in its file.

#include <set>

#include "test/world.h"

namespace vxlnat::test {

namespace {

Outs at_once(World& w, std::vector<Bytes> datagrams) {
  std::vector<Bytes> buffers;
  std::vector<Packet> packets(datagrams.size());
  for (std::size_t i = 0; i < datagrams.size(); i++) {
    Bytes buffer(kHeadroom);
    buffer.insert(buffer.end(), datagrams[i].begin(), datagrams[i].end());
    buffers.push_back(std::move(buffer));
    packets[i].data = buffers[i].data() + kHeadroom;
    packets[i].length = datagrams[i].size();
    packets[i].path = World::path_in();
  }
  w.engine->process_underlay(packets, w.now, w);
  return w.take();
}

// Chi-square of counts that should be equal.
double spread(const std::vector<unsigned>& bins, double each) {
  double chi = 0;
  for (const unsigned bin : bins) chi += (bin - each) * (bin - each) / each;
  return chi;
}

}  // namespace

TEST("bugs: B10 an idle long-lived flow keeps no expired one in the table") {
  EngineConfig config = World::small();
  config.max_flows = 64;
  config.vnet_share_percent = 100;
  World w(config);
  const auto segment = [&](int flags) {
    return w.inside(
        make_tcp(kHostA, 5000, kServer, 80, static_cast<std::uint8_t>(flags)));
  };
  const Seen syn(segment(kSyn)[0].ip);
  w.outside(make_tcp(kServer, 80, kPublic1, syn.sport, kSyn | kAck));
  segment(kAck);
  for (std::uint16_t n = 0; n < 40; n++) {
    CHECK(!w.inside(make_udp(kHostA, n, kServer, 53))[0].inside);
  }
  w.now += 300000;  // all but the first have expired; nothing has swept
  for (std::uint16_t n = 0; n < 63; n++) {
    CHECK(!w.inside(make_udp(kHost2, n, kServer, 53), 2)[0].inside);
  }
  CHECK_EQ(segment(kAck).size(), 1u);
}

TEST("bugs: B10 expired flows go from behind an idle one in one round") {
  World w;
  const auto segment = [&](int flags) {
    return w.inside(
        make_tcp(kHostA, 5000, kServer, 80, static_cast<std::uint8_t>(flags)));
  };
  const Seen syn(segment(kSyn)[0].ip);
  w.outside(make_tcp(kServer, 80, kPublic1, syn.sport, kSyn | kAck));
  for (std::uint16_t n = 0; n < 40; n++) {
    w.inside(make_udp(kHostA, n, kServer, 53));
  }
  CHECK_EQ(w.flows(), 41u);
  w.now += 300000;
  // A call looks at sixteen records or lets one go.
  for (int calls = 4096 / 16 + 40; calls > 0; calls--) {
    (void)w.engine->sweep(w.now, 1);
  }
  CHECK_EQ(w.flows(), 1u);
  CHECK_EQ(segment(kAck).size(), 1u);
}

TEST("bugs: B13 B14 every port of an odd range serves, and none beside it") {
  EngineConfig config = World::small();
  config.port_low = 2003;
  config.port_high = 2103;  // 101 ports, a prime
  World w(config);
  std::set<std::uint16_t> ports;
  for (std::uint16_t n = 0; n < 101; n++) {
    const auto out = w.inside(make_udp(kHostA, n, kServer, 53));
    CHECK(!out[0].inside);
    ports.insert(Seen(out[0].ip).sport);
  }
  CHECK_EQ(ports.size(), 101u);
  CHECK_EQ(*ports.begin(), 2003);
  CHECK_EQ(*ports.rbegin(), 2103);
  for (const std::uint16_t port : ports) {
    CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, port)).size(), 1u);
  }
  // With all others in use, the one that is free is found.
  for (const FlowInfo& flow : w.list()) {
    CHECK(w.apply(RemoveFlow{kUdp, kPublic1, flow.public_port, kServer, 53}) ==
          nullptr);
    const auto out = w.inside(make_udp(kHostB, flow.private_port, kServer, 53));
    CHECK_EQ(Seen(out[0].ip).sport, flow.public_port);
  }
  CHECK(w.outside(make_udp(kServer, 53, kPublic1, 2002)).empty());
  CHECK(w.outside(make_udp(kServer, 53, kPublic1, 2104)).empty());
}

TEST("bugs: B15 tenants with the same addresses are spread over the ports") {
  World w;
  std::vector<unsigned> bins(32);
  for (Vni v = 10; v < 210; v++) {
    CHECK(w.apply(SetRule{
              v, 0, {ip4(10, 4, 4, 0), 22}, kRouter1, kRouterMac1, kPublic1}) ==
          nullptr);
    for (Ip4 host = kHostA; host < kHostA + 10; host++) {
      // A remote for each vnet: no port is taken, each gets its first wish.
      const auto out = w.inside(make_udp(host, 40000, kServer + v, 53), v);
      bins[(Seen(out[0].ip).sport - 1024u) / 2016]++;
    }
  }
  CHECK(spread(bins, 62.5) < 80);  // 31 degrees of freedom: 1 in 300,000
}

TEST("bugs: B25 two first packets of one flow at once get one mapping") {
  World w;
  const Bytes a = World::frame(make_udp(kHostA, 40000, kServer, 53, text("A")),
                               1, kRouterMac1, -1);
  const Bytes b = World::frame(
      make_udp(kHostA, 40000, kServer, 53, text("AAAA")), 1, kRouterMac1, -1);
  const Outs out = at_once(w, {a, b});
  CHECK_EQ(out.size(), 2u);
  CHECK_EQ(Seen(out[0].ip).sport, Seen(out[1].ip).sport);
  CHECK_EQ(w.flows(), 1u);
}

TEST("bugs: B26 a chosen source port takes over nobody's mapping") {
  EngineConfig config = World::small();
  config.port_low = 2000;
  config.port_high = 2001;
  World w(config);
  const Seen victim(w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip);
  // Sending from the victim's public port number gains nothing.
  const Seen other(w.inside(make_udp(kHostB, victim.sport, kServer, 53))[0].ip);
  CHECK(other.sport != victim.sport);
  const auto back = w.outside(make_udp(kServer, 53, kPublic1, victim.sport));
  CHECK_EQ(Seen(back[0].ip).dst, kHostA);
  // Nothing of the gateway's own can be on a port it gives away.
  CHECK(w.outside(make_tcp(kServer, 9, kPublic1, 179, kSyn)).empty());
}

TEST("bugs: B27 answers belong to the flow they answer and make none") {
  World w;
  const Seen udp(w.inside(make_udp(kHostA, 1, kServer, 53))[0].ip);
  const Seen echo(w.inside(make_echo(kHostA, kServer, 1))[0].ip);
  for (int i = 0; i < 3; i++) {
    w.outside(make_udp(kServer, 53, kPublic1, udp.sport));
    w.outside(make_echo(kServer, kPublic1, echo.dport, true));
  }
  CHECK(w.inside(make_echo(kHostB, kServer, 1, true)).empty());
  const auto other = static_cast<std::uint16_t>(echo.dport ^ 1);
  CHECK(w.outside(make_echo(kServer, kPublic1, other, true)).empty());
  CHECK_EQ(w.flows(), 2u);
  CHECK_EQ(w.engine->stats().flows_created.read(), 2u);
}

TEST("bugs: B28 the remains of a flow let nothing out untranslated") {
  World w;
  const Seen syn(w.inside(make_tcp(kHostA, 5, kServer, 80, kSyn))[0].ip);
  CHECK(w.apply(RemoveFlow{kTcp, kPublic1, syn.sport, kServer, 80}) == nullptr);
  for (const int flags : {kAck + 0, kFin | kAck, kRst + 0, kSyn | kAck}) {
    CHECK(w.inside(make_tcp(kHostA, 5, kServer, 80,
                            static_cast<std::uint8_t>(flags)))
              .empty());
  }
  CHECK(w.outside(make_tcp(kServer, 80, kPublic1, syn.sport, kAck)).empty());
  CHECK_EQ(w.inside(make_tcp(kHostA, 5, kServer, 80, kSyn)).size(), 1u);
}

TEST("bugs: B29 each state has its own idle time, to the millisecond") {
  struct Row {
    const char* state;
    std::uint32_t Timers::*idle;
    std::vector<int> segments;  // flags; of the peer's, negative
  };
  const int ack = kAck, syn_ack = kSyn | kAck, fin = kFin | kAck;
  using T = Timers;
  const Row rows[] = {
      {"udp", &T::udp, {}},
      {"icmp", &T::icmp, {}},
      {"opening", &T::tcp_opening, {kSyn}},
      {"closing", &T::tcp_closing, {kSyn, -(kRst | kAck)}},
      {"established", &T::tcp_established, {kSyn, -syn_ack, ack}},
      {"fin_out", &T::tcp_established, {kSyn, -syn_ack, ack, fin}},
      {"fin_in", &T::tcp_established, {kSyn, -syn_ack, ack, -fin}},
      {"closing", &T::tcp_closing, {kSyn, -syn_ack, ack, fin, -fin}},
      {"transitory", &T::tcp_closing, {kSyn, -syn_ack, ack, kRst}}};
  const auto check = [](const EngineConfig& config, const Row& row,
                        std::uint32_t idle) {
    World w(config);
    if (row.segments.empty()) {
      w.inside(row.idle == &T::icmp ? make_echo(kHostA, kServer, 5)
                                    : make_udp(kHostA, 5, kServer, 53));
    }
    std::uint16_t port = 0;
    for (const int flags : row.segments) {
      const auto bits = static_cast<std::uint8_t>(std::abs(flags));
      if (flags < 0) {
        w.outside(make_tcp(kServer, 80, kPublic1, port, bits));
      } else {
        const auto out = w.inside(make_tcp(kHostA, 5, kServer, 80, bits));
        port = Seen(out[0].ip).sport;
      }
    }
    w.run(idle - 1);
    CHECK_EQ(w.flows(), 1u);
    const auto flows = w.list();
    CHECK(flows.size() == 1 && flows[0].state == std::string(row.state));
    w.run(1);
    CHECK_EQ(w.flows(), 0u);
  };
  const Timers defaults = {.tcp_established = 7'440'000,
                           .tcp_opening = 240'000,
                           .tcp_closing = 240'000,
                           .udp = 300'000,
                           .icmp = 60'000};
  EngineConfig own = World::small();
  own.timers = {.tcp_established = 91'000,
                .tcp_opening = 83'000,
                .tcp_closing = 79'000,
                .udp = 73'000,
                .icmp = 71'000};
  for (const Row& row : rows) {
    check(World::small(), row, defaults.*row.idle);
    check(own, row, own.timers.*row.idle);
  }
}

TEST("bugs: B30 what is translated already is not translated again") {
  World w;
  const Bytes sent = w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip;
  CHECK(w.inside(sent).empty());
  CHECK_EQ(w.dropped(Drop::kSpoofedSource), 1u);
  CHECK_EQ(w.flows(), 1u);
}

TEST("bugs: B31 two hosts behind one address meet, and no tuple is shared") {
  EngineConfig config = World::small();
  config.port_low = 2000;
  config.port_high = 2003;
  World w(config);
  const std::uint16_t a =
      Seen(w.inside(make_udp(kHostA, 1, kServer, 53))[0].ip).sport;
  const std::uint16_t b =
      Seen(w.inside(make_udp(kHostB, 1, kServer, 53))[0].ip).sport;
  // Each sends to the other's public port, as peers do that punch holes.
  CHECK_EQ(Seen(w.inside(make_udp(kHostA, 1, kPublic1, b))[0].ip).sport, a);
  const auto met = w.inside(make_udp(kHostB, 1, kPublic1, a));
  CHECK_EQ(met.size(), 1u);
  CHECK(met[0].inside);
  CHECK_EQ(Seen(met[0].ip).src, kPublic1);
  CHECK_EQ(Seen(met[0].ip).sport, b);
  CHECK_EQ(Seen(met[0].ip).dst, kHostA);
  const auto back = w.inside(make_udp(kHostA, 1, kPublic1, b));
  CHECK_EQ(Seen(back[0].ip).dst, kHostB);
}

TEST("bugs: B40 a hundred vnets with one 5-tuple each get their own answer") {
  World w;
  for (Vni v = 10; v < 110; v++) {
    CHECK(w.apply(SetRule{
              v, 0, {ip4(10, 4, 4, 0), 22}, kRouter1, kRouterMac1, kPublic1}) ==
          nullptr);
    CHECK(w.apply(SetRemote{v, kHostA, kHostMac + v, kNode, 4789}) == nullptr);
  }
  std::vector<std::uint16_t> ports(110);
  for (Vni v = 10; v < 110; v++) {
    ports[v] =
        Seen(w.inside(make_udp(kHostA, 40000, kServer, 53), v)[0].ip).sport;
  }
  for (Vni v = 10; v < 110; v++) {
    // The second one goes the short way.
    for (int i = 0; i < 2; i++) {
      const auto back = w.outside(make_udp(kServer, 53, kPublic1, ports[v]));
      CHECK_EQ(back[0].vnet, v);
      CHECK_EQ(back[0].dst_mac, kHostMac + v);
    }
  }
}

TEST("bugs: B41 ports in use stay in use through a reload") {
  EngineConfig config = World::small();
  config.port_low = 2000;
  config.port_high = 2099;
  World w(config);
  std::set<std::uint16_t> ports;
  for (std::uint16_t n = 0; n < 100; n++) {
    if (n == 50) {
      // The same rules again, with another router's MAC, and back.
      for (const Mac mac : {kRouterMac2, kRouterMac1}) {
        CHECK(w.apply(SetRule{
                  1, 0, {ip4(10, 4, 4, 0), 22}, kRouter1, mac, kPublic1}) ==
              nullptr);
      }
    }
    CHECK(ports
              .insert(
                  Seen(w.inside(make_udp(kHostA, n, kServer, 53))[0].ip).sport)
              .second);
  }
  CHECK(w.inside(make_udp(kHostA, 200, kServer, 53))[0].inside);
  CHECK_EQ(w.dropped(Drop::kPortExhausted), 1u);
}

TEST("bugs: B43 B44 a reused record carries nothing of its former flow") {
  EngineConfig config = World::small();
  config.max_flows = 1;
  config.vnet_share_percent = 100;
  World w(config);
  const Seen a(w.inside(make_udp(kHostA, 1, kServer, 53))[0].ip);
  w.outside(make_udp(kServer, 53, kPublic1, a.sport));
  w.run(301000);
  const Seen b(w.inside(make_udp(kHost2, 1, kServer, 53), 2)[0].ip);
  CHECK(w.outside(make_udp(kServer, 53, kPublic1, a.sport)).empty());
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic2, b.sport))[0].vnet, 2u);
  CHECK_EQ(w.list()[0].packets_in, 1u);
  CHECK_EQ(w.list()[0].packets_out, 1u);
}

TEST("bugs: B50 1:1 traffic needs no flow that could be reaped") {
  World w;
  w.add_aip();
  CHECK_EQ(w.inside(make_tcp(kHostA, 22, kServer, 9, kAck)).size(), 1u);
  w.run(100000000);
  CHECK_EQ(w.outside(make_tcp(kServer, 9, kAip, 22, kAck)).size(), 1u);
  CHECK_EQ(w.inside(make_tcp(kHostA, 22, kServer, 9, kAck)).size(), 1u);
  CHECK_EQ(w.flows(), 0u);
}

}  // namespace vxlnat::test
