// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// SNAT end to end: what a fabric's packets look like outside, that answers
// come back to the one who asked, and what does not pass.

#include "engine/context.h"
#include "engine/stages.h"
#include "test/world.h"

namespace vxlnat::test {

TEST("snat: UDP leaves by the rule's public address and the answer returns") {
  World w;
  const auto out = w.inside(make_udp(kHostA, 40000, kServer, 53));
  CHECK_EQ(out.size(), 1u);
  CHECK(!out[0].inside);
  const Seen sent(out[0].ip);
  CHECK_EQ(sent.src, kPublic1);
  CHECK_EQ(sent.dst, kServer);
  CHECK_EQ(sent.dport, 53);
  CHECK_EQ(sent.ttl, 63);
  const auto back = w.outside(make_udp(kServer, 53, kPublic1, sent.sport));
  CHECK_EQ(back.size(), 1u);
  CHECK(back[0].inside);
  CHECK_EQ(back[0].vnet, 1u);
  CHECK_EQ(back[0].dst_mac, kHostMac + 1);
  CHECK_EQ(back[0].src_mac, kRouterMac1);
  CHECK_EQ(back[0].to.dst_ip, kNode);
  CHECK_EQ(back[0].to.dst_port, 4789);
  CHECK_EQ(back[0].to.src_ip, kZone);
  CHECK_EQ(back[0].vlan, -1);
  const Seen got(back[0].ip);
  CHECK_EQ(got.dst, kHostA);
  CHECK_EQ(got.dport, 40000);
}

TEST("snat: overlapping vnets with one 5-tuple each get their own answer") {
  World w;
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  const Seen one(w.inside(packet, 1)[0].ip);
  const Seen three(w.inside(packet, 3)[0].ip);
  CHECK_EQ(one.src, kPublic1);
  CHECK_EQ(three.src, kPublic3);
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, one.sport))[0].vnet, 1u);
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic3, three.sport))[0].vnet, 3u);
}

TEST("snat: one public address shared by two vnets keeps them apart") {
  World w;
  CHECK(w.apply(SetRule{
            3, 0, {ip4(10, 4, 4, 0), 22}, kRouter1, kRouterMac3, kPublic1}) ==
        nullptr);
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  const Seen one(w.inside(packet, 1)[0].ip);
  const Seen three(w.inside(packet, 3)[0].ip);
  CHECK_EQ(three.src, kPublic1);
  CHECK(one.sport != three.sport);
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, three.sport))[0].vnet, 3u);
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, one.sport))[0].vnet, 1u);
  // Also where both would have one port: of two there is one for each.
  RuleOptions narrow;
  narrow.port_low = 2000;
  narrow.port_high = 2001;
  for (const Vni vnet : {1u, 3u}) {
    CHECK(w.apply(SetRule{vnet,
                          0,
                          {ip4(10, 4, 4, 0), 22},
                          kRouter1,
                          vnet == 1 ? kRouterMac1 : kRouterMac3,
                          kPublic1,
                          std::make_shared<const RuleOptions>(narrow)}) ==
          nullptr);
  }
  for (std::uint16_t n = 1; n < 50; n++) {
    const Bytes next = make_udp(kHostA, 7, kServer, n);
    CHECK(Seen(w.inside(next, 1)[0].ip).sport !=
          Seen(w.inside(next, 3)[0].ip).sport);
  }
}

TEST("snat: an endpoint keeps its public port towards several remotes") {
  World w;
  const Seen a(w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip);
  const Seen b(w.inside(make_udp(kHostA, 40000, kServer + 1, 53))[0].ip);
  const Seen d(w.inside(make_udp(kHostA, 40000, kServer, 54))[0].ip);
  CHECK_EQ(a.sport, b.sport);
  CHECK_EQ(a.sport, d.sport);
}

TEST("snat: tags are taken off, and put on with the rule's VLAN") {
  World w;
  const auto out = w.inside(make_udp(kHost2, 1, kServer, 53), 2, 2);
  CHECK_EQ(out.size(), 1u);
  const Seen sent(out[0].ip);
  CHECK_EQ(sent.src, kPublic2);
  const auto back = w.outside(make_udp(kServer, 53, kPublic2, sent.sport));
  CHECK_EQ(back[0].vlan, 2);
  CHECK_EQ(back[0].to.dst_port, 4790);
  // Untagged frames of a tagged network are taken too.
  CHECK_EQ(w.inside(make_udp(kHost2, 1, kServer, 53), 2).size(), 1u);
}

TEST("snat: echo and timestamp queries are told apart by identifier") {
  World w;
  const Seen a(w.inside(make_echo(kHostA, kServer, 1))[0].ip);
  const Seen b(w.inside(make_echo(kHostB, kServer, 1))[0].ip);
  CHECK_EQ(a.src, kPublic1);
  CHECK(a.dport != b.dport);
  const auto to_b = w.outside(make_echo(kServer, kPublic1, b.dport, true));
  const Seen got(to_b[0].ip);
  CHECK_EQ(got.dst, kHostB);
  CHECK_EQ(got.dport, 1);
  const Bytes stamp =
      make_icmp(kHostA, kServer, 13, 0, 0x00070001, Bytes(12, 0));
  const Seen c(w.inside(stamp)[0].ip);
  const auto answer = w.outside(
      make_icmp(kServer, kPublic1, 14, 0,
                static_cast<std::uint32_t>(c.dport << 16) | 1, Bytes(12, 0)));
  CHECK_EQ(Seen(answer[0].ip).dport, 7);
}

TEST("snat: an all-zero echo reply arrives with a checksum that holds") {
  World w;
  const Seen a(
      w.inside(make_icmp(kHostA, kServer, 8, 0, 0, Bytes(8, 0)))[0].ip);
  const auto back = w.outside(
      make_icmp(kServer, kPublic1, 0, 0,
                static_cast<std::uint32_t>(a.dport << 16), Bytes(8, 0)));
  CHECK_EQ(get16(&Seen(back[0].ip).payload[2]), 0xffff);
}

TEST("snat: B24 what cannot be translated is dropped, never sent as it is") {
  World w;
  // Late segments of a connection nobody knows.
  for (const int flags : {kAck + 0, kFin | kAck, kRst + 0, kSyn | kAck}) {
    CHECK(w.inside(make_tcp(kHostA, 5, kServer, 80,
                            static_cast<std::uint8_t>(flags)))
              .empty());
  }
  CHECK_EQ(w.dropped(Drop::kTcpNoFlow), 4u);
  for (const int flags : {kSyn | kFin, kSyn | kRst}) {
    CHECK(w.inside(make_tcp(kHostA, 5, kServer, 80,
                            static_cast<std::uint8_t>(flags)))
              .empty());
  }
  CHECK_EQ(w.dropped(Drop::kTcpFlags), 2u);
  for (const int proto : {47, 50, 132, 4}) {
    CHECK(w.inside(make_ip(kHostA, kServer, static_cast<std::uint8_t>(proto),
                           Bytes(40, 1)))
              .empty());
  }
  CHECK_EQ(w.dropped(Drop::kProtocol), 4u);
  CHECK(w.inside(make_echo(kHostA, kServer, 5, true)).empty());
  CHECK_EQ(w.dropped(Drop::kIcmpType), 1u);
  CHECK_EQ(w.flows(), 0u);
  // The last guard, whatever went wrong before it.
  Bytes leak = make_udp(kHostA, 1, kServer, 53);
  Packet p;
  p.data = leak.data();
  p.length = leak.size();
  p.src = kHostA;
  p.dst = kServer;
  (void)depart(w.engine->context(), p);
  CHECK(w.take().empty());
  CHECK_EQ(w.dropped(Drop::kNoPrivateLeaves), 1u);
}

TEST("snat: a source outside the vnet's prefixes is a counted drop") {
  World w;
  CHECK(w.inside(make_udp(ip4(10, 9, 9, 9), 1, kServer, 53)).empty());
  CHECK(w.inside(make_udp(kHost2, 1, kServer, 53)).empty());
  CHECK(w.inside(make_udp(ip4(8, 8, 8, 8), 1, kServer, 53)).empty());
  CHECK_EQ(w.dropped(Drop::kSpoofedSource), 3u);
  CHECK(w.inside(make_udp(kHostA, 1, ip4(10, 5, 5, 5), 53)).empty());
  CHECK_EQ(w.dropped(Drop::kDestinationInside), 1u);
}

TEST(
    "snat: a stranger's packet to a mapped port is dropped and changes "
    "nothing") {
  World w;
  const Seen sent(w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip);
  w.run(299000);
  CHECK(w.outside(make_udp(kServer + 1, 53, kPublic1, sent.sport)).empty());
  CHECK(w.outside(make_udp(kServer, 54, kPublic1, sent.sport)).empty());
  CHECK_EQ(w.dropped(Drop::kNoFlow), 2u);
  w.run(1500);
  CHECK(w.outside(make_udp(kServer, 53, kPublic1, sent.sport)).empty());
  CHECK_EQ(w.flows(), 0u);
}

TEST("snat: B11 a packet of an expired flow begins a new one") {
  World w;
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  CHECK_EQ(w.inside(packet).size(), 1u);
  w.now += 299999;
  CHECK_EQ(w.inside(packet).size(), 1u);
  CHECK_EQ(w.engine->stats().flows_created.read(), 1u);
  w.now += 300000;  // expired, and nothing has swept
  CHECK_EQ(w.inside(packet).size(), 1u);
  CHECK_EQ(w.engine->stats().flows_created.read(), 2u);
  CHECK_EQ(w.engine->stats().flows_expired.read(), 1u);
  CHECK_EQ(w.flows(), 1u);
}

TEST("snat: inbound packets keep a flow alive") {
  World w;
  const Seen sent(w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip);
  for (int i = 0; i < 10; i++) {
    w.run(200000);
    CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, sent.sport)).size(), 1u);
  }
  w.run(300501);
  CHECK_EQ(w.flows(), 0u);
  CHECK_EQ(w.engine->stats().flows_expired.read(), 1u);
}

TEST("snat: a moved instance is found at its new node in mid-flow") {
  World w;
  const Seen sent(w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip);
  CHECK(w.apply(SetRemote{1, kHostA, 0x020202020202, kNode + 7, 4789}) ==
        nullptr);
  const auto back = w.outside(make_udp(kServer, 53, kPublic1, sent.sport));
  CHECK_EQ(back[0].to.dst_ip, kNode + 7);
  CHECK_EQ(back[0].dst_mac, 0x020202020202u);
  const Bytes answer = make_udp(kServer, 53, kPublic1, sent.sport);
  CHECK(w.apply(RemoveRemote{1, kHostA}) == nullptr);
  CHECK(w.outside(answer).empty());
  CHECK(w.apply(SetRemote{1, kHostA, kHostMac, kNode, 4789}) == nullptr);
  CHECK_EQ(w.take().size(), 1u);
  CHECK_EQ(w.outside(answer)[0].to.dst_ip, kNode);
  // The flow remembers a record that is another instance's now.
  Ip4 node = kNode + 8;
  for (const auto& [vnet, ip] : {std::pair<Vni, Ip4>{1, ip4(10, 4, 4, 77)},
                                 std::pair<Vni, Ip4>{2, kHostA}}) {
    CHECK(w.apply(RemoveRemote{1, kHostA}) == nullptr);
    CHECK(w.apply(SetRemote{vnet, ip, 0x030303030303, kNode, 4789}) == nullptr);
    CHECK(w.outside(answer).empty());
    CHECK(w.apply(SetRemote{1, kHostA, 0x040404040404, node, 4789}) == nullptr);
    CHECK_EQ(w.take()[0].to.dst_ip, node);
    CHECK_EQ(w.outside(answer)[0].to.dst_ip, node);
    CHECK_EQ(w.outside(answer)[0].dst_mac, 0x040404040404u);
    node++;
  }
}

TEST("snat: removing a rule ends its flows and only its flows") {
  World w;
  const Seen a(w.inside(make_udp(kHostA, 1, kServer, 53))[0].ip);
  const Seen b(w.inside(make_udp(ip4(10, 5, 5, 5), 1, kServer, 53))[0].ip);
  CHECK(w.apply(RemoveRule{1, {ip4(10, 4, 4, 0), 22}}) == nullptr);
  CHECK(w.outside(make_udp(kServer, 53, kPublic1, a.sport)).empty());
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, b.sport)).size(), 1u);
  CHECK(w.inside(make_udp(kHostA, 1, kServer, 53)).empty());
  w.run(1);
  CHECK_EQ(w.flows(), 1u);
  CHECK_EQ(w.list().size(), 1u);
}

TEST("snat: datagrams that may be fragmented get identifiers of their own") {
  World w;
  IpOptions open;
  open.fragment = 0;
  const Seen a(
      w.inside(make_udp(kHostA, 1, kServer, 53, text("x"), open))[0].ip);
  const Seen b(
      w.inside(make_udp(kHostB, 1, kServer, 53, text("x"), open))[0].ip);
  CHECK(a.id != b.id);
  const Seen d(w.inside(make_udp(kHostA, 1, kServer, 53))[0].ip);
  CHECK_EQ(d.id, 0x1234);
}

TEST("snat: flows are listed by filter and page, and one can be ended") {
  World w;
  for (std::uint16_t i = 0; i < 40; i++) {
    w.inside(
        make_udp(kHostA, static_cast<std::uint16_t>(1000 + i), kServer, 53));
  }
  w.inside(make_tcp(kHost2, 7, kServer, 80, kSyn), 2);
  CHECK_EQ(w.list().size(), 41u);
  FlowFilter filter;
  filter.vnet = 2;
  const auto found = w.list(filter);
  CHECK_EQ(found.size(), 1u);
  CHECK_EQ(std::string(found[0].state), "opening");
  CHECK_EQ(found[0].private_ip, kHost2);
  CHECK_EQ(found[0].packets_out, 1u);
  CHECK_EQ(found[0].expires_ms, 240000u);
  CHECK(w.apply(RemoveFlow{kTcp, kPublic2, found[0].public_port, kServer,
                           80}) == nullptr);
  CHECK(w.list(filter).empty());
  filter = {};
  filter.private_ip = kHostA;
  CHECK_EQ(w.list(filter).size(), 40u);
}

TEST(
    "snat: U6 an answer comes through after 119 seconds, not after five "
    "minutes") {
  World w;
  const Seen sent(w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip);
  w.run(119000);
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, sent.sport)).size(), 1u);
  w.run(301000);
  CHECK(w.outside(make_udp(kServer, 53, kPublic1, sent.sport)).empty());
  CHECK_EQ(w.dropped(Drop::kNoFlow), 1u);
  // What the inside sends begins the time again too (U7).
  const auto ask = [&] {
    return Seen(w.inside(make_udp(kHostA, 40001, kServer, 53))[0].ip).sport;
  };
  const std::uint16_t port = ask();
  w.run(200000);
  CHECK_EQ(ask(), port);
  w.run(200000);
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, port)).size(), 1u);
}

TEST("snat: U16 UDP without data, with less and with more than it says") {
  World w;
  CHECK_EQ(w.inside(make_udp(kHostA, 1, kServer, 53, {})).size(), 1u);
  // Bytes behind the datagram are the packet's, not the datagram's.
  Bytes trailing = udp_payload(kHostA, 2, kServer, 53, text("abc"));
  trailing.insert(trailing.end(), {9, 9, 9});
  const auto out = w.inside(make_ip(kHostA, kServer, kUdp, trailing));
  CHECK_EQ(out.size(), 1u);
  CHECK_EQ(out[0].ip.size(), 20 + trailing.size());
  Bytes lies = udp_payload(kHostA, 3, kServer, 53, text("abc"));
  put16(&lies[4], 12);
  CHECK(w.inside(make_ip(kHostA, kServer, kUdp, lies)).empty());
  CHECK_EQ(w.dropped(Drop::kBadL4), 1u);
}

TEST("snat: U8 inside and outside may use the same addresses") {
  World w;
  const Prefix prefix = {ip4(203, 0, 113, 0), 24};
  const Ip4 host = ip4(203, 0, 113, 7);
  CHECK(w.apply(SetRule{5, 0, prefix, host + 1, kRouterMac1, kPublic1}) ==
        nullptr);
  CHECK(w.apply(SetRemote{5, host, kHostMac, kNode, 4789}) == nullptr);
  const auto out = w.inside(make_udp(host, 1, kServer, 53), 5);
  CHECK_EQ(Seen(out[0].ip).src, kPublic1);
  // Another vnet reaches the outside hosts of that prefix.
  const Seen other(w.inside(make_udp(kHostA, 1, host, 53))[0].ip);
  CHECK_EQ(other.dst, host);
  CHECK_EQ(w.outside(make_udp(host, 53, kPublic1, other.sport))[0].vnet, 1u);
  // Also where they are private ones: nobody of vnet 1 lives there.
  const Ip4 far = ip4(10, 77, 0, 1);
  CHECK_EQ(Seen(w.inside(make_udp(kHostA, 1, far, 53))[0].ip).dst, far);
}

}  // namespace vxlnat::test
