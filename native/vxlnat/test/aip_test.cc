// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// 1:1 entries and hairpins: every protocol, without state, and the turn at
// our own edge.

#include "test/world.h"

namespace vxlnat::test {

TEST("aip: every protocol passes both ways with only addresses changed") {
  World w;
  w.add_aip();
  for (const int n : {4, 33, 47, 50, 51, 132, 136, 253}) {
    const auto proto = static_cast<std::uint8_t>(n);
    Bytes data = text("some payload of a protocol");
    const auto checksummed = [&](Ip4 src, Ip4 dst) {
      Bytes b = data;
      if (proto != 33 && proto != 136) return b;
      put16(&b[6], 0);
      put16(&b[6], checksum(b.data(), b.size(),
                            pseudo_sum(src, dst, proto, b.size())));
      return b;
    };
    const auto out =
        w.inside(make_ip(kHostA, kServer, proto, checksummed(kHostA, kServer)));
    CHECK_EQ(out[0].ip, make_ip(kAip, kServer, proto,
                                checksummed(kAip, kServer), {.ttl = 63}));
    const auto back =
        w.outside(make_ip(kServer, kAip, proto, checksummed(kServer, kAip)));
    CHECK(back[0].inside);
    CHECK_EQ(back[0].ip, make_ip(kServer, kHostA, proto,
                                 checksummed(kServer, kHostA), {.ttl = 63}));
  }
  CHECK_EQ(w.flows(), 0u);
}

TEST("aip: needs no flow: strangers reach it, ports stay, order is free") {
  World w;
  w.add_aip();
  const auto in = w.outside(make_tcp(kServer, 999, kAip, 22, kAck));
  CHECK_EQ(Seen(in[0].ip).dst, kHostA);
  CHECK_EQ(Seen(in[0].ip).dport, 22);
  const Seen out(
      w.inside(make_tcp(kHostA, 22, kServer, 999, kFin | kAck))[0].ip);
  CHECK_EQ(out.src, kAip);
  CHECK_EQ(out.sport, 22);
  CHECK_EQ(Seen(w.outside(make_echo(kServer, kAip, 9))[0].ip).dport, 9);
  CHECK_EQ(Seen(w.inside(make_echo(kHostA, kServer, 9, true))[0].ip).src, kAip);
  CHECK_EQ(w.flows(), 0u);
}

TEST("aip: IP options are kept and found behind (B21)") {
  World w;
  w.add_aip();
  const IpOptions options = {.options = {7, 3, 4, 1}};
  const auto out =
      w.inside(make_udp(kHostA, 1, kServer, 53, text("x"), options));
  CHECK_EQ(out[0].ip, make_udp(kAip, 1, kServer, 53, text("x"),
                               {.ttl = 63, .options = {7, 3, 4, 1}}));
  const auto snat =
      w.inside(make_udp(kHostB, 1, kServer, 53, text("x"), options));
  CHECK_EQ(Seen(snat[0].ip).src, kPublic1);
}

TEST("aip: a host's flows from before it stay on their tuple until idle") {
  World w;
  const Bytes old_packet = make_udp(kHostA, 1, kServer, 53);
  const Seen old_flow(w.inside(old_packet)[0].ip);
  w.add_aip();
  const Seen again(w.inside(old_packet)[0].ip);
  CHECK_EQ(again.src, kPublic1);
  CHECK_EQ(again.sport, old_flow.sport);
  CHECK_EQ(
      Seen(w.outside(make_udp(kServer, 53, kPublic1, again.sport))[0].ip).dport,
      1);
  CHECK_EQ(Seen(w.inside(make_udp(kHostA, 2, kServer, 53))[0].ip).src, kAip);
  w.run(301000);
  CHECK_EQ(Seen(w.inside(old_packet)[0].ip).src, kAip);
}

TEST("aip: A3 a connection from before it stays on its tuple until closed") {
  World w;
  const auto out = [&](int flags) {
    return Seen(w.inside(make_tcp(kHostA, 7, kServer, 80,
                                  static_cast<std::uint8_t>(flags)))[0]
                    .ip);
  };
  const std::uint16_t port = out(kSyn).sport;
  const auto in = [&](int flags) {
    return w.outside(make_tcp(kServer, 80, kPublic1, port,
                              static_cast<std::uint8_t>(flags)));
  };
  w.add_aip();
  CHECK_EQ(in(kSyn | kAck).size(), 1u);
  for (const int flags : {kAck + 0, kFin | kAck, kAck + 0}) {
    CHECK_EQ(out(flags).src, kPublic1);
    CHECK_EQ(out(flags).sport, port);
    CHECK_EQ(Seen(in(flags)[0].ip).dst, kHostA);
  }
  CHECK_EQ(std::string(w.list()[0].state), "closing");
  // A new connection with the old one's numbers is the entry's.
  CHECK_EQ(out(kSyn).src, kAip);
  CHECK_EQ(out(kSyn).sport, 7);
}

TEST("aip: after removal nothing comes in and new flows use the rule") {
  World w;
  w.add_aip();
  CHECK_EQ(w.outside(make_udp(kServer, 5, kAip, 5)).size(), 1u);
  CHECK(w.apply(RemoveOneToOne{1, kHostA}) == nullptr);
  CHECK(w.outside(make_udp(kServer, 5, kAip, 5)).empty());
  CHECK_EQ(w.dropped(Drop::kUnknownPublic), 1u);
  CHECK_EQ(Seen(w.inside(make_udp(kHostA, 5, kServer, 5))[0].ip).src, kPublic1);
  // B44: another host that gets the address later has nothing of it.
  w.add_aip(kHostB);
  CHECK_EQ(Seen(w.outside(make_udp(kServer, 5, kAip, 5))[0].ip).dst, kHostB);
}

TEST("aip: one private address in two vnets has two entries") {
  World w;
  w.add_aip();
  w.add_aip(kHostA, kAip + 1, 3);
  CHECK_EQ(w.outside(make_udp(kServer, 5, kAip, 5))[0].vnet, 1u);
  CHECK_EQ(w.outside(make_udp(kServer, 5, kAip + 1, 5))[0].vnet, 3u);
  CHECK_EQ(Seen(w.inside(make_udp(kHostA, 5, kServer, 5), 3)[0].ip).src,
           kAip + 1);
}

TEST("hairpin: SNAT host to an AIP of its own vnet and back") {
  World w;
  w.add_aip(kHostB);
  const auto out = w.inside(make_tcp(kHostA, 1000, kAip, 80, kSyn));
  CHECK_EQ(out.size(), 1u);
  CHECK(out[0].inside);
  const Seen seen(out[0].ip);
  CHECK_EQ(seen.src, kPublic1);
  CHECK_EQ(seen.dst, kHostB);
  CHECK_EQ(seen.ttl, 63);  // one hop, not two
  const auto back =
      w.inside(make_tcp(kHostB, 80, kPublic1, seen.sport, kSyn | kAck));
  CHECK(back[0].inside);
  const Seen answer(back[0].ip);
  CHECK_EQ(answer.src, kAip);
  CHECK_EQ(answer.dst, kHostA);
  CHECK_EQ(answer.dport, 1000);
  const auto flows = w.list();
  CHECK_EQ(flows.size(), 1u);
  CHECK_EQ(std::string(flows[0].state), "established");
  CHECK_EQ(flows[0].packets_in, 1u);
}

TEST("hairpin: AIP to AIP of another vnet") {
  World w;
  w.add_aip();
  w.add_aip(kHost2, kAip + 1, 2);
  const auto out = w.inside(make_ip(kHostA, kAip + 1, 47, text("gre packet")));
  CHECK_EQ(out[0].vnet, 2u);
  const Seen seen(out[0].ip);
  CHECK_EQ(seen.src, kAip);
  CHECK_EQ(seen.dst, kHost2);
  CHECK_EQ(out[0].src_mac, kRouterMac2);
}

TEST("hairpin: B9 a host reaches its own AIP once and nothing loops") {
  World w;
  w.add_aip();
  const auto out = w.inside(make_udp(kHostA, 1, kAip, 2));
  CHECK_EQ(out.size(), 1u);
  CHECK(out[0].inside);
  CHECK_EQ(Seen(out[0].ip).src, kAip);
  CHECK_EQ(Seen(out[0].ip).dst, kHostA);
  CHECK_EQ(Seen(out[0].ip).ttl, 63);
  CHECK_EQ(w.engine->stats().hairpin_packets.read(), 1u);
}

TEST("hairpin: one hop of life is enough for it") {
  World w;
  w.add_aip(kHostB);
  const auto out =
      w.inside(make_udp(kHostA, 1, kAip, 2, text("x"), {.ttl = 2}));
  CHECK(out[0].inside);
  CHECK_EQ(Seen(out[0].ip).dst, kHostB);
  CHECK_EQ(Seen(out[0].ip).ttl, 1);
}

TEST("hairpin: what another zone may serve goes outside") {
  World w;
  const auto out = w.inside(make_udp(kHostA, 1, kPublic2, 2));
  CHECK_EQ(out.size(), 1u);
  CHECK(!out[0].inside);
  CHECK_EQ(Seen(out[0].ip).dst, kPublic2);
}

TEST("hairpin: errors cross it with both translations undone") {
  World w;
  w.add_aip(kHostB);
  const auto out = w.inside(make_udp(kHostA, 1000, kAip, 9));
  // B says: port unreachable.
  const Bytes error =
      make_icmp(kHostB, Seen(out[0].ip).src, 3, 3, 0, first(out[0].ip, 28));
  const auto back = w.inside(error);
  CHECK(back[0].inside);
  const Seen seen(back[0].ip);
  CHECK_EQ(seen.src, kAip);
  CHECK_EQ(seen.dst, kHostA);
  const Seen quoted(seen.quote());
  CHECK_EQ(quoted.src, kHostA);
  CHECK_EQ(quoted.dst, kAip);
  CHECK_EQ(quoted.sport, 1000);
  CHECK_EQ(quoted.dport, 9);
  // And A of B's answer.
  const Ip4 public_ip = Seen(out[0].ip).src;
  const std::uint16_t public_port = Seen(out[0].ip).sport;
  const auto answer = w.inside(make_udp(kHostB, 9, public_ip, public_port));
  const auto there =
      w.inside(make_icmp(kHostA, kAip, 3, 3, 0, first(answer[0].ip, 28)));
  CHECK(there[0].inside);
  const Seen told(there[0].ip);
  CHECK_EQ(told.src, public_ip);
  CHECK_EQ(told.dst, kHostB);
  const Seen its(told.quote());
  CHECK_EQ(its.src, kHostB);
  CHECK_EQ(its.sport, 9);
  CHECK_EQ(its.dst, public_ip);
  CHECK_EQ(its.dport, public_port);
}

TEST(
    "hairpin: a packet too big for the other fabric is reported to the "
    "sender") {
  EngineConfig config = World::small();
  config.inner_mtu = 1000;
  World w(config);
  w.add_aip(kHostB);
  const auto out = w.inside(make_udp(kHostA, 1000, kAip, 9, Bytes(1200, 1)));
  CHECK_EQ(out.size(), 1u);
  CHECK(out[0].inside);
  const Seen seen(out[0].ip);
  CHECK_EQ(seen.src, kAip);
  CHECK_EQ(seen.dst, kHostA);
  CHECK_EQ(seen.sport, 0x0304);
  CHECK_EQ(get16(&seen.payload[6]), 1000);
  CHECK_EQ(Seen(seen.quote()).src, kHostA);
}

}  // namespace vxlnat::test
