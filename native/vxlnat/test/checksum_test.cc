// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Checksums: the published vectors byte for byte, the one's complement corner
// cases, and that an update equals computing anew.

#include "engine/hash.h"
#include "test/world.h"

namespace vxlnat::test {

namespace {

constexpr Ip4 kInside = ip4(10, 0, 0, 5);
constexpr Ip4 kOut = ip4(203, 0, 113, 7);

void check_vector(std::uint16_t port, const char* in, const char* expected) {
  EngineConfig config = World::small();
  config.port_low = config.port_high = port;
  World w(config);
  CHECK(
      w.apply(SetRule{
          7, 0, {ip4(10, 0, 0, 0), 24}, ip4(10, 0, 0, 1), kRouterMac1, kOut}) ==
      nullptr);
  const auto out = w.inside(from_hex(in), 7);
  CHECK_EQ(hex(out[0].ip), std::string(expected));
}

}  // namespace

TEST("checksum: RFC 1624 equation 3 gives 0x0000 where 1141 gives 0xffff") {
  Delta change;
  change.word(0x5555, 0x3285);
  CHECK_EQ(change.update(0xdd2f), 0x0000);
}

TEST("checksum: B18 a change of nothing changes nothing") {
  for (std::uint32_t hc = 0; hc < 0xffff; hc++) {
    Delta change;
    change.word(0x1234, 0x1234);
    change.address(0xffffffff, 0xffffffff);
    if (change.update(static_cast<std::uint16_t>(hc)) != hc) {
      CHECK_EQ(change.update(static_cast<std::uint16_t>(hc)), hc);
      return;
    }
  }
}

TEST("checksum: K6 UDP vector") {
  check_vector(
      1024, "450000201234400040115c930a000005c00002019c400035000caf8074657374",
      "45000020123440003f112b90cb007107c000020104000035000c15be74657374");
}

TEST("checksum: K6 TCP vector") {
  check_vector(
      1024,
      "450000281234400040065c960a000005c00002019c4001bb1122334400000000"
      "5002faf0068a0000",
      "45000028123440003f062b93cb007107c0000201040001bb1122334400000000"
      "5002faf06cc70000");
}

TEST("checksum: K6 ICMP echo vector") {
  check_vector(
      0xbeef,
      "450000201234400040015ca30a000005c0000201080022271111000161626364",
      "45000020123440003f012ba0cb007107c000020108007448beef000161626364");
}

TEST("checksum: K6 ICMP error vector") {
  EngineConfig config = World::small();
  config.port_low = config.port_high = 1024;
  World w(config);
  CHECK(
      w.apply(SetRule{
          7, 0, {ip4(10, 0, 0, 0), 24}, ip4(10, 0, 0, 1), kRouterMac1, kOut}) ==
      nullptr);
  CHECK(w.apply(SetRemote{7, kInside, kHostMac, kNode, 4789}) == nullptr);
  w.inside(from_hex("450000201234400040115c930a000005c00002019c400035000caf8074"
                    "657374"),
           7);
  const auto back = w.outside(
      from_hex("45000038004200003f011547c6336401cb0071070304dd8400000578450000"
               "20123440003c112e90cb007107c000020104000035000c15be"));
  CHECK_EQ(
      hex(back[0].ip),
      std::string("45000038004200003e01484ac63364010a0000050304ab8100000578"
                  "45000020123440003c1160930a000005c00002019c400035000caf8"
                  "0"));
}

TEST("checksum: K6 UDP whose checksum becomes 0 leaves with 0xffff") {
  EngineConfig config = World::small();
  config.port_low = config.port_high = 1024;
  World w(config);
  CHECK(
      w.apply(SetRule{
          7, 0, {ip4(10, 0, 0, 0), 24}, ip4(10, 0, 0, 1), kRouterMac1, kOut}) ==
      nullptr);
  const Bytes packet = make_udp(kInside, 40000, kServer, 53, from_hex("fd9b"));
  CHECK_EQ(get16(&packet[26]), 0x99c2);
  const auto out = w.inside(packet, 7);
  CHECK_EQ(get16(&out[0].ip[26]), 0xffff);
}

TEST("checksum: B19 UDP without a checksum stays without one, both ways") {
  World w;
  Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  put16(&packet[26], 0);
  const auto out = w.inside(packet);
  CHECK_EQ(get16(&out[0].ip[26]), 0);
  Bytes answer = make_udp(kServer, 53, kPublic1, Seen(out[0].ip).sport);
  put16(&answer[26], 0);
  CHECK_EQ(get16(&w.outside(answer)[0].ip[26]), 0);
}

TEST("checksum: K4 a corrupt packet leaves as corrupt as it came") {
  World w;
  w.check_output = false;
  // What the checksum says too much or too little.
  const auto error_of = [](const Bytes& packet) {
    const Seen seen(packet);
    const Bytes& l4 = seen.payload;
    const std::uint64_t pseudo =
        pseudo_sum(seen.src, seen.dst, seen.proto, l4.size());
    return checksum(l4.data(), l4.size(), seen.proto == kIcmp ? 0 : pseudo);
  };
  const auto corrupt = [](Bytes packet) {
    packet[31] ^= 0x40;
    return packet;
  };
  const auto check = [&](Bytes out, Bytes (*answer)(std::uint16_t)) {
    const Bytes bad = corrupt(out);
    CHECK(error_of(bad) != 0);
    // The first packet goes the long way, later ones the short.
    std::uint16_t port = 0;
    for (int i = 0; i < 3; i++) {
      const Bytes left = w.inside(bad)[0].ip;
      CHECK_EQ(error_of(left), error_of(bad));
      const Seen seen(left);
      port = seen.proto == kIcmp ? seen.dport : seen.sport;
      const Bytes back = corrupt(answer(port));
      CHECK_EQ(error_of(w.outside(back)[0].ip), error_of(back));
    }
  };
  check(make_udp(kHostA, 40000, kServer, 53), [](std::uint16_t port) {
    return make_udp(kServer, 53, kPublic1, port);
  });
  check(make_echo(kHostA, kServer, 9), [](std::uint16_t id) {
    return make_echo(kServer, kPublic1, id, true);
  });
  check(make_tcp(kHostA, 30000, kServer, 80, kSyn), [](std::uint16_t port) {
    return make_tcp(kServer, 80, kPublic1, port, kSyn | kAck);
  });
  const Seen syn(w.inside(make_tcp(kHostA, 40000, kServer, 80, kSyn))[0].ip);
  w.outside(make_tcp(kServer, 80, kPublic1, syn.sport, kSyn | kAck));
  check(make_tcp(kHostA, 40000, kServer, 80, kAck), [](std::uint16_t port) {
    return make_tcp(kServer, 80, kPublic1, port, kAck);
  });
  Bytes header = make_udp(kHostA, 40000, kServer, 53);
  header[4] ^= 0x40;
  CHECK(w.inside(header).empty());
  CHECK_EQ(w.dropped(Drop::kBadIpChecksum), 1u);
}

TEST("checksum: K7 updates equal computing anew, and back is where it began") {
  // World checks every checksum that comes out; here chance picks packets.
  World w;
  Random random({1, 2});
  for (int i = 0; i < 20000; i++) {
    w.now += 20;
    if (i % 64 == 0) w.run(0);
    const auto r = random.next();
    const auto sport = static_cast<std::uint16_t>(r);
    const auto dport = static_cast<std::uint16_t>(r >> 16);
    const Ip4 remote = ip4(198, 51, 100, 0) + static_cast<Ip4>(r >> 32 & 63);
    Bytes data(static_cast<std::size_t>(r >> 40 & 15));
    for (auto& byte : data) byte = static_cast<std::uint8_t>(random.next());
    const bool tcp = (r >> 50 & 1) != 0;
    const Bytes packet =
        tcp ? make_tcp(kHostA, sport, remote, dport, kSyn, data)
            : make_udp(kHostA, sport, remote, dport, data);
    const auto out = w.inside(packet);
    if (out.empty() || out[0].inside) {
      // Half-open flows have a limit; nothing else may stand in the way.
      CHECK(w.dropped(Drop::kVnetFlowLimit) + w.dropped(Drop::kFlowTableFull) >
            0);
      w.run(600000);
      continue;
    }
    const Seen sent(out[0].ip);
    const Bytes answer =
        tcp ? make_tcp(remote, dport, kPublic1, sent.sport, kSyn | kAck, data)
            : make_udp(remote, dport, kPublic1, sent.sport, data);
    const Bytes expected =
        tcp ? make_tcp(remote, dport, kHostA, sport, kSyn | kAck, data)
            : make_udp(remote, dport, kHostA, sport, data);
    const Seen got(w.outside(answer)[0].ip);
    if (!(got.payload == Seen(expected).payload)) {
      CHECK_EQ(got.payload, Seen(expected).payload);
      CHECK_EQ(w.drops(), std::string());
      return;
    }
  }
}

TEST("checksum: K7 a million random changes equal computing anew") {
  Random random({3, 4});
  Bytes b(64);
  for (int i = 0; i < 1000000; i++) {
    if (i % 1000 == 0) {
      for (auto& byte : b) byte = static_cast<std::uint8_t>(random.next());
      b[0] |= 1;  // all zeros have two sums
      put16(&b[2], 0);
      put16(&b[2], checksum(b.data(), b.size()));
    }
    // An address and a port, of which one in eight is an edge.
    const std::uint64_t r = random.next();
    const Ip4 address = (r & 7) == 0 ? 0xffffffff : static_cast<Ip4>(r >> 32);
    const auto port = static_cast<std::uint16_t>((r & 56) == 0 ? 0 : r >> 16);
    const std::size_t at = 4 + (r >> 6) % 28 * 2;
    Delta change;
    change.address(get32(&b[at]), address);
    put32(&b[at], address);
    change.word(get16(&b[4]), port);
    put16(&b[4], port);
    change.update_at(&b[2]);
    Bytes anew = b;
    put16(&anew[2], 0);
    if (checksum(anew.data(), anew.size()) != get16(&b[2])) {
      CHECK_EQ(get16(&b[2]), checksum(anew.data(), anew.size()));
      return;
    }
  }
}

// World looks at every checksum that comes out, also inside of quotes; here
// are the ways a packet may take, and chance picks what is in it.
TEST("checksum: K7 on every path what leaves has the sum of its bytes") {
  World w;
  Random random({5, 6});
  w.add_aip(kHostB);
  RuleOptions options;
  options.mapping = Mapping::kIndependent;
  options.mss = 600;
  CHECK(w.apply(SetRule{1,
                        0,
                        {ip4(10, 4, 4, 0), 22},
                        kRouter1,
                        kRouterMac1,
                        kPublic1,
                        std::make_shared<const RuleOptions>(options)}) ==
        nullptr);
  for (std::uint32_t i = 0; i < 300; i++) {
    w.run(1000);
    Bytes data(random.below(12));
    for (auto& byte : data) byte = static_cast<std::uint8_t>(random.next());
    const auto port = static_cast<std::uint16_t>(random.next() | 1);
    const IpOptions o = {.id = static_cast<std::uint16_t>(i),
                         .fragment = 0,
                         .tos = static_cast<std::uint8_t>(random.next())};
    const auto packet = [&](Ip4 src, std::uint16_t sport, Ip4 dst,
                            std::uint16_t dport) {
      return i % 3 == 0 ? make_tcp(src, sport, dst, dport, kSyn, data, o)
             : i % 3 == 1
                 ? make_udp(src, sport, dst, dport, data, o)
                 : make_icmp(src, dst, 8, 0,
                             static_cast<std::uint32_t>(sport << 16), data, o);
    };
    const bool query = i % 3 == 2;
    const auto only = [](const Outs& outs) {
      CHECK_EQ(outs.size(), 1u);
      return outs[0].ip;
    };
    const auto told = [&](const Bytes& of, Ip4 from) {
      return make_icmp(from, Seen(of).src, 3, 4, 1400, of, o);
    };
    // By a flow and back, and an error about each.
    const Bytes out = only(w.inside(packet(kHostA, port, kServer, 80)));
    CHECK(only(w.outside(told(out, ip4(198, 51, 100, 1)))).size() > 28);
    const Seen sent(out);
    const Bytes back = query ? make_icmp(kServer, kPublic1, 0, 0,
                                         std::uint32_t{sent.dport} << 16, data)
                             : packet(kServer, 80, kPublic1, sent.sport);
    CHECK(only(w.inside(told(only(w.outside(back)), kHostA))).size() > 28);
    // By an entry and back, and an error about each.
    const Bytes left = only(w.inside(packet(kHostB, port, kServer, 80)));
    CHECK(only(w.outside(told(left, ip4(198, 51, 100, 1)))).size() > 28);
    const Bytes came = only(w.outside(packet(kServer, 80, kAip, port)));
    CHECK(only(w.inside(told(came, kHostB))).size() > 28);
    // Round to an entry; round to a mapping; to the router.
    CHECK(w.inside(packet(kHostA, port, kAip, 80))[0].inside);
    if (query) {
      CHECK(w.inside(make_echo(kHostA, kRouter1, port))[0].inside);
    } else {
      CHECK(w.inside(packet(kHostB, 80, kPublic1, sent.sport))[0].inside);
    }
    CHECK_EQ(w.drops(), std::string());
    if (failures() > 0) return;
  }
}

}  // namespace vxlnat::test
