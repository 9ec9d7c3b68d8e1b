// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What comes out of a tunnel: every way to be malformed, the router's own
// answers, and the reflector of liveness probes.

#include "test/world.h"

namespace vxlnat::test {

namespace {

Bytes arp(std::uint16_t op, Mac sender, Ip4 from, Ip4 target) {
  Bytes b = from_hex("0001080006040000");
  b.resize(28);
  put16(&b[6], op);
  put_mac(&b[8], sender);
  put32(&b[14], from);
  put32(&b[24], target);
  return b;
}

Bytes probe(bool with_checksum, std::uint8_t flags) {
  Bytes bfd(24);
  bfd[0] = 0x20;
  bfd[1] = flags;
  bfd[2] = 3;
  bfd[3] = 24;
  put32(&bfd[4], 0x11111111);
  put32(&bfd[8], 0x22222222);
  put32(&bfd[12], 100000);
  Bytes packet = make_udp(ip4(127, 0, 0, 1), 50000, ip4(127, 0, 0, 2), 7784,
                          bfd, {.ttl = 255});
  if (!with_checksum) put16(&packet[26], 0);
  return packet;
}

}  // namespace

TEST("decap: every cut of a good datagram is a counted drop or forwarded") {
  for (const int vlan : {5, -1}) {
    World w;
    const Bytes whole = World::frame(make_tcp(kHostA, 1, kServer, 80, kSyn), 1,
                                     kRouterMac1, vlan);
    for (std::size_t size = 0; size < whole.size(); size++) {
      CHECK(w.datagram(first(whole, size)).empty());
    }
    CHECK_EQ(w.engine->stats().drops.read(), whole.size());
    // VXLAN, Ethernet and tag; what follows is the IPv4 header's to say.
    CHECK_EQ(w.dropped(Drop::kTooShort), vlan < 0 ? 22u : 26u);
    CHECK_EQ(w.dropped(Drop::kBadHeader), 40u);
    CHECK_EQ(w.datagram(whole).size(), 1u);
  }
}

TEST("decap: each wrong field has its own reason") {
  World w;
  const Bytes good =
      World::frame(make_udp(kHostA, 1, kServer, 53), 1, kRouterMac1, -1);
  const auto with = [&](std::size_t at, std::uint8_t value, Drop reason) {
    Bytes bad = good;
    bad[at] = value;
    const auto before = w.dropped(reason);
    CHECK(w.datagram(bad).empty());
    CHECK_EQ(w.dropped(reason), before + 1);
  };
  with(0, 0, Drop::kVxlanFlags);
  with(6, 99, Drop::kUnknownVnet);
  with(20, 0x86, Drop::kInnerEthertype);
  with(8, 0x92, Drop::kInnerMac);
  with(22, 0x65, Drop::kBadHeader);
  with(22, 0x44, Drop::kBadHeader);
  with(25, 0xff, Drop::kBadHeader);
  with(30, 63, Drop::kBadIpChecksum);
  // Reserved bits and other flags are ignored (RFC 7348 section 5).
  Bytes odd = good;
  odd[0] = 0xff;
  odd[1] = odd[2] = odd[3] = odd[7] = 0xff;
  CHECK_EQ(w.datagram(odd).size(), 1u);
  Path elsewhere = World::path_in();
  elsewhere.local_ip++;
  CHECK(w.datagram(good, elsewhere).empty());
  CHECK_EQ(w.dropped(Drop::kNotOurUl3), 1u);
  CHECK(w.apply(AddUl3{elsewhere.local_ip}) == nullptr);
  CHECK_EQ(w.datagram(good, elsewhere).size(), 1u);
  CHECK(w.apply(RemoveUl3{elsewhere.local_ip}) == nullptr);
  CHECK(w.datagram(good, elsewhere).empty());
}

TEST("decap: martians, source routes and bad lengths") {
  World w;
  for (const Ip4 dst : {ip4(224, 0, 0, 1), ip4(127, 0, 0, 1), 0u, ~0u}) {
    CHECK(w.inside(make_udp(kHostA, 1, dst, 53)).empty());
  }
  CHECK_EQ(w.dropped(Drop::kMartianDestination), 4u);
  for (const Ip4 src : {ip4(224, 0, 0, 1), ip4(127, 0, 0, 1), 0u, ~0u}) {
    CHECK(w.outside(make_udp(src, 1, kPublic1, 53)).empty());
  }
  CHECK_EQ(w.dropped(Drop::kMartianSource), 4u);
  for (const std::uint8_t type : Bytes{131, 137}) {
    CHECK(w.inside(make_udp(kHostA, 1, kServer, 53, text("x"),
                            {.options = {1, type, 3, 4}}))
              .empty());
  }
  CHECK_EQ(w.dropped(Drop::kSourceRoute), 2u);
  Bytes longer = make_udp(kHostA, 1, kServer, 53);
  put16(&longer[24], 200);
  CHECK(w.inside(longer).empty());
  Bytes shorter = make_udp(kHostA, 1, kServer, 53);
  put16(&shorter[24], 7);
  CHECK(w.inside(shorter).empty());
  Bytes offset = make_tcp(kHostA, 1, kServer, 53, kSyn);
  offset[32] = 0x60;
  CHECK(w.inside(offset).empty());
  offset[32] = 0x40;
  CHECK(w.inside(offset).empty());
  CHECK_EQ(w.dropped(Drop::kBadL4), 4u);
  // Less than a transport header, and honest about it.
  for (const std::uint8_t proto : {kTcp, kUdp, kIcmp}) {
    const std::size_t least = proto == kTcp ? 20 : 8;
    for (std::size_t size = 0; size < least; size++) {
      const auto before = w.dropped(Drop::kBadL4);
      CHECK(
          w.inside(make_ip(kHostA, kServer, proto, Bytes(size, 0x52))).empty());
      CHECK_EQ(w.dropped(Drop::kBadL4), before + 1);
    }
  }
  // Bytes behind a UDP datagram are kept; nothing in UDP is also something.
  CHECK_EQ(w.inside(make_udp(kHostA, 1, kServer, 53, {})).size(), 1u);
  Bytes trailing = make_ip(kHostA, kServer, kUdp, [] {
    Bytes b = udp_payload(kHostA, 1, kServer, 53, text("test"));
    b.push_back(7);
    return b;
  }());
  CHECK_EQ(w.inside(trailing)[0].ip.size(), trailing.size());
}

TEST("decap: X6 congestion marks of the tunnel, all sixteen") {
  // Rows: inner Not-ECT, ECT(1), ECT(0), CE; columns: outer the same.
  // -1: dropped (RFC 6040 figure 4).
  const int expected[4][4] = {
      {0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
  World w;
  for (std::uint8_t inner = 0; inner < 4; inner++) {
    for (std::uint8_t outer = 0; outer < 4; outer++) {
      Path path = World::path_in();
      path.tos = outer;
      const auto tos = static_cast<std::uint8_t>(0xb8 | inner);
      const auto out = w.datagram(
          World::frame(
              make_udp(kHostA, 1, kServer, 53, text("x"), {.tos = tos}), 1,
              kRouterMac1, -1),
          path);
      if (expected[inner][outer] < 0) {
        CHECK(out.empty());
      } else {
        CHECK_EQ(int{out[0].ip[1]}, 0xb8 | expected[inner][outer]);
      }
    }
  }
  CHECK_EQ(w.dropped(Drop::kTunnelEcn), 1u);
}

TEST("gateway: ARP for the router, broadcast and unicast, is answered") {
  World w;
  for (const Mac dst : {Mac{0xffffffffffff}, kRouterMac2}) {
    const auto out = w.datagram(World::frame(
        arp(1, kHostMac, kHost2, ip4(10, 6, 6, 1)), 2, dst, 2, 0x0806));
    CHECK_EQ(out.size(), 1u);
    CHECK_EQ(out[0].type, 0x0806);
    CHECK_EQ(out[0].dst_mac, kHostMac);
    CHECK_EQ(out[0].src_mac, kRouterMac2);
    CHECK_EQ(out[0].vlan, 2);
    CHECK_EQ(out[0].to.dst_ip, kNode);
    CHECK_EQ(out[0].to.src_ip, kZone);
    CHECK_EQ(out[0].to.dst_port, 4789);
    Bytes reply = arp(2, kRouterMac2, ip4(10, 6, 6, 1), kHost2);
    put_mac(&reply[18], kHostMac);
    CHECK_EQ(out[0].ip, reply);
  }
  const Mac all = 0xffffffffffff;
  CHECK(w.datagram(World::frame(arp(1, kHostMac, kHost2, kHost2 + 1), 2, all,
                                -1, 0x0806))
            .empty());
  CHECK(w.datagram(World::frame(arp(2, kHostMac, kHost2, ip4(10, 6, 6, 1)), 2,
                                all, -1, 0x0806))
            .empty());
  // The sender named is not the one that sent.
  CHECK(w.datagram(World::frame(arp(1, kHostMac + 1, kHost2, ip4(10, 6, 6, 1)),
                                2, all, -1, 0x0806))
            .empty());
  CHECK_EQ(w.dropped(Drop::kBadArp), 3u);
}

TEST("gateway: the router answers echo and nothing else") {
  World w;
  const auto out = w.inside(make_echo(kHostA, kRouter1, 77, false, {.ttl = 1}));
  CHECK_EQ(out[0].ip, make_echo(kRouter1, kHostA, 77, true, {.ttl = 64}));
  CHECK_EQ(out[0].dst_mac, kHostMac);
  // Any router of the vnet.
  CHECK_EQ(w.inside(make_echo(kHostA, ip4(10, 5, 5, 1), 7)).size(), 1u);
  CHECK(w.inside(make_tcp(kHostA, 1, kRouter1, 22, kSyn)).empty());
  CHECK_EQ(w.dropped(Drop::kGatewayOther), 1u);
  CHECK(w.inside(make_echo(ip4(10, 9, 9, 9), kRouter1, 7)).empty());
  CHECK_EQ(w.dropped(Drop::kSpoofedSource), 1u);
}

TEST("probe: it goes back to where it came from, with no rule at all") {
  EngineConfig config = World::small();
  config.probe_vnet = 0xabcdef;
  World w(config);
  for (const bool with_checksum : {true, false}) {
    const auto out = w.datagram(
        World::frame(probe(with_checksum, 0x62), 0xabcdef, 0x020000000001, -1));
    CHECK_EQ(out.size(), 1u);
    CHECK_EQ(out[0].vnet, 0xabcdefu);
    CHECK_EQ(out[0].to.dst_ip, kNode);
    CHECK_EQ(out[0].to.dst_port, 51000);
    CHECK_EQ(out[0].to.src_ip, kZone);
    CHECK_EQ(out[0].dst_mac, kHostMac);
    CHECK_EQ(out[0].src_mac, 0x020000000001u);
    const Seen seen(out[0].ip);
    CHECK_EQ(seen.src, ip4(127, 0, 0, 2));
    CHECK_EQ(seen.sport, 7784);
    CHECK_EQ(seen.dport, 50000);
    CHECK_EQ(get16(&seen.payload[6]) == 0, !with_checksum);
    CHECK_EQ(seen.payload[9], 0xd0);  // up, final, no demand
    CHECK_EQ(get32(&seen.payload[12]), 0x22222222u);
    CHECK_EQ(get32(&seen.payload[16]), 0x11111111u);
  }
  CHECK_EQ(w.engine->stats().probes_reflected.read(), 2u);
  Bytes bad = probe(true, 0);
  bad[22] = 0;
  CHECK(w.datagram(World::frame(bad, 0xabcdef, 2, -1)).empty());
  CHECK_EQ(w.dropped(Drop::kProbeMalformed), 1u);
  CHECK_EQ(std::string(w.apply(SetRule{
               0xabcdef, 0, {kHostA, 32}, kHostA, kRouterMac1, kPublic1})),
           std::string("the vnet is the one for liveness probes"));
}

}  // namespace vxlnat::test
