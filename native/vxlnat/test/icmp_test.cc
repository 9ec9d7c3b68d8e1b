// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// ICMP errors through the engine and of its own making.

#include "test/world.h"

namespace vxlnat::test {

TEST("icmp: an error from outside reaches the host with its packet restored") {
  World w;
  const auto out = w.inside(make_udp(kHostA, 40000, kServer, 53));
  const Ip4 router = ip4(198, 51, 100, 1);
  for (const std::uint8_t type : Bytes{3, 11, 12}) {
    const auto back = w.outside(
        make_icmp(router, kPublic1, type, 1, 0, first(out[0].ip, 28)));
    const Seen seen(back[0].ip);
    CHECK_EQ(seen.src, router);
    CHECK_EQ(seen.dst, kHostA);
    CHECK_EQ(seen.sport, type << 8 | 1);
    const Seen quoted(seen.quote());
    CHECK_EQ(quoted.src, kHostA);
    CHECK_EQ(quoted.sport, 40000);
  }
}

TEST("icmp: B5 quotes of UDP without checksum, TCP and echo, short and long") {
  World w;
  Bytes bare = make_udp(kHostA, 1, kServer, 53);
  put16(&bare[26], 0);
  for (const Bytes& packet :
       {bare, make_tcp(kHostA, 2, kServer, 80, kSyn, text("data")),
        make_echo(kHostA, kServer, 3)}) {
    const Bytes sent = w.inside(packet)[0].ip;
    for (const std::size_t size : {std::size_t{28}, sent.size()}) {
      const auto back = w.outside(
          make_icmp(kServer + 9, kPublic1, 3, 3, 0, first(sent, size)));
      Bytes quoted = Seen(back[0].ip).quote();
      // As it was sent, but for the time to live and its checksum.
      Bytes expected = first(packet, size);
      expected[8] = 63;
      put16(&expected[10], 0);
      put16(&expected[10], checksum(expected.data(), 20));
      CHECK_EQ(quoted, expected);
    }
  }
}

TEST("icmp: B1 quotes of any protocol pass to an AIP and harm nothing else") {
  World w;
  w.add_aip();
  for (const int n : {4, 47, 50, 132}) {
    const auto proto = static_cast<std::uint8_t>(n);
    const auto back = w.outside(make_icmp(
        kServer, kAip, 3, 1, 0, make_ip(kAip, kServer, proto, Bytes(8, 1))));
    CHECK_EQ(Seen(Seen(back[0].ip).quote()).src, kHostA);
    CHECK(w.outside(make_icmp(kServer, kPublic1, 3, 1, 0,
                              make_ip(kPublic1, kServer, proto, Bytes(8, 1))))
              .empty());
    const auto out =
        w.inside(make_icmp(kHostA, kServer, 3, 2, 0,
                           make_ip(kServer, kHostA, proto, Bytes(8, 1))));
    CHECK_EQ(Seen(out[0].ip).src, kAip);
    CHECK_EQ(Seen(Seen(out[0].ip).quote()).dst, kAip);
  }
  CHECK_EQ(w.dropped(Drop::kIcmpNoMatch), 4u);
}

TEST("icmp: an error from inside leaves without any private address") {
  World w;
  const Seen sent(w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip);
  const auto answer =
      w.outside(make_udp(kServer, 53, kPublic1, sent.sport, text("answer")));
  // The host, then a router of the vnet behind it, complain.
  for (const Ip4 who : {kHostA, ip4(10, 5, 5, 77)}) {
    const auto out = w.inside(make_icmp(who, kServer, 3, 3, 0, answer[0].ip));
    CHECK(!out[0].inside);
    const Seen seen(out[0].ip);
    CHECK_EQ(seen.src, kPublic1);
    CHECK_EQ(seen.dst, kServer);
    const Seen quoted(seen.quote());
    CHECK_EQ(quoted.dst, kPublic1);
    CHECK_EQ(quoted.dport, sent.sport);
  }
  CHECK(w.inside(make_icmp(ip4(10, 9, 9, 9), kServer, 3, 3, 0, answer[0].ip))
            .empty());
  CHECK_EQ(w.dropped(Drop::kSpoofedSource), 1u);
}

TEST("icmp: B6 truncated errors and quotes are dropped at every length") {
  World w;
  const Bytes sent = w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip;
  for (std::size_t size = 0; size < 28; size++) {
    CHECK(w.outside(make_icmp(kServer, kPublic1, 3, 3, 0, first(sent, size)))
              .empty());
  }
  const Bytes error = make_icmp(kServer, kPublic1, 3, 3, 0, sent);
  for (std::size_t size = 0; size < error.size(); size++) {
    CHECK(w.outside(first(error, size)).empty());
  }
  // A quoted header with options, cut within it and before its ports.
  const Bytes quote = make_udp(kPublic1, Seen(sent).sport, kServer, 53,
                               text("x"), {.options = Bytes(40, 1)});
  for (std::size_t size = 20; size < 68; size++) {
    CHECK(w.outside(make_icmp(kServer, kPublic1, 3, 3, 0, first(quote, size)))
              .empty());
  }
  CHECK_EQ(
      w.outside(make_icmp(kServer, kPublic1, 3, 3, 0, first(quote, 68))).size(),
      1u);
  // Shorter than an ICMP header, and honest about it.
  for (std::size_t size = 0; size < 8; size++) {
    CHECK(w.outside(make_ip(kServer, kPublic1, kIcmp, Bytes(size, 3))).empty());
  }
  CHECK_EQ(w.dropped(Drop::kBadL4), 8u);
}

TEST(
    "icmp: errors about errors, with bad checksums, about strangers: dropped") {
  World w;
  const Bytes sent = w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip;
  const Bytes error = make_icmp(kServer, kPublic1, 3, 3, 0, sent);
  CHECK(w.outside(make_icmp(kServer, kPublic1, 3, 3, 0,
                            make_icmp(kPublic1, kServer, 3, 3, 0, sent)))
            .empty());
  CHECK_EQ(w.dropped(Drop::kIcmpQuote), 1u);
  Bytes bad = error;
  bad[bad.size() - 1] ^= 1;
  CHECK(w.outside(bad).empty());
  CHECK_EQ(w.dropped(Drop::kIcmpChecksum), 1u);
  CHECK(w.outside(make_icmp(kServer, kPublic1, 3, 3, 0,
                            make_udp(kPublic1, 1, kServer, 53)))
            .empty());
  CHECK(w.outside(make_icmp(kServer, kPublic2, 3, 3, 0, sent)).empty());
  CHECK_EQ(w.dropped(Drop::kIcmpNoMatch), 2u);
}

TEST("icmp: B20 padding behind the packet is not part of it") {
  World w;
  Bytes packet = make_icmp(kHostA, kServer, 8, 0, 0x00050001, {});
  packet.resize(46, 0xee);
  const auto out = w.inside(packet);
  CHECK_EQ(out[0].ip.size(), 28u);
  Bytes answer = make_icmp(
      kServer, kPublic1, 0, 0,
      static_cast<std::uint32_t>(Seen(out[0].ip).dport << 16) | 1, {});
  answer.resize(46, 0xee);
  CHECK_EQ(w.outside(answer)[0].ip.size(), 28u);
}

TEST("icmp: an error neither ends nor refreshes a flow") {
  World w;
  const Bytes sent = w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip;
  const Bytes error = make_icmp(kServer, kPublic1, 3, 3, 0, sent);
  w.run(299000);
  CHECK_EQ(w.outside(error).size(), 1u);
  CHECK_EQ(w.flows(), 1u);
  w.run(2000);
  CHECK_EQ(w.flows(), 0u);
  // A connection has its established time after it, not the closing one.
  const Bytes syn = w.inside(make_tcp(kHostA, 40000, kServer, 80, kSyn))[0].ip;
  const std::uint16_t port = Seen(syn).sport;
  w.outside(make_tcp(kServer, 80, kPublic1, port, kSyn | kAck));
  w.inside(make_tcp(kHostA, 40000, kServer, 80, kAck));
  CHECK_EQ(w.outside(make_icmp(kServer, kPublic1, 3, 1, 0, syn)).size(), 1u);
  w.run(7000000);
  CHECK_EQ(w.flows(), 1u);
}

TEST("icmp: the MTU in an error passes, but never above our own") {
  World w;
  const Bytes sent = w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip;
  for (const int mtu : {0, 1400, 1450, 1480, 9000}) {
    const auto back = w.outside(make_icmp(
        kServer, kPublic1, 3, 4, static_cast<std::uint32_t>(mtu), sent));
    CHECK_EQ(int{get16(&Seen(back[0].ip).payload[6])}, std::min(mtu, 1450));
  }
}

TEST("icmp: source quench, redirect and router discovery do not cross") {
  World w;
  w.add_aip();
  for (const int type : {4, 5, 9, 10}) {
    const auto t = static_cast<std::uint8_t>(type);
    CHECK(w.inside(make_icmp(kHostA, kServer, t, 0, 0, {})).empty());
    CHECK(w.outside(make_icmp(kServer, kAip, t, 0, 0, {})).empty());
  }
  CHECK_EQ(w.dropped(Drop::kIcmpType), 8u);
  // Others pass on an AIP.
  CHECK_EQ(w.outside(make_icmp(kServer, kAip, 17, 0, 0, {})).size(), 1u);
}

TEST("ttl: B34 a packet whose time runs out is reported by the router") {
  World w;
  for (const std::uint8_t ttl : Bytes{0, 1}) {
    const Bytes packet =
        make_udp(kHostA, 40000, kServer, 33434, text("x"), {.ttl = ttl});
    const auto out = w.inside(packet);
    CHECK(out[0].inside);
    CHECK_EQ(out[0].dst_mac, kHostMac);
    CHECK_EQ(out[0].to.dst_port, 4789);
    const Seen seen(out[0].ip);
    CHECK_EQ(seen.src, kRouter1);
    CHECK_EQ(seen.dst, kHostA);
    CHECK_EQ(seen.sport, 0x0b00);
    CHECK_EQ(seen.quote(), packet);
  }
  CHECK_EQ(w.flows(), 0u);
  CHECK_EQ(w.dropped(Drop::kTtlExceeded), 2u);
  CHECK_EQ(
      Seen(w.inside(make_udp(kHostA, 1, kServer, 2, {}, {.ttl = 2}))[0].ip).ttl,
      1);
}

TEST("ttl: from outside the public address reports, as it was sent") {
  World w;
  w.add_aip();
  const Bytes packet = make_udp(kServer, 5, kAip, 6, text("x"), {.ttl = 1});
  const auto out = w.outside(packet);
  CHECK(!out[0].inside);
  const Seen seen(out[0].ip);
  CHECK_EQ(seen.src, kAip);
  CHECK_EQ(seen.dst, kServer);
  CHECK_EQ(seen.quote(), packet);
  // Nothing is said about addresses that are nobody's.
  CHECK(w.outside(make_udp(kServer, 5, kPublic1, 6, {}, {.ttl = 1})).empty());
}

TEST("ttl: reports are limited for each destination, not in all") {
  World w;
  std::size_t reports = 0;
  for (int i = 0; i < 1000; i++) {
    reports += w.inside(make_udp(kHostA, 1, kServer, 2, {}, {.ttl = 1})).size();
  }
  CHECK(reports >= 20 && reports <= 40);
  CHECK_EQ(w.inside(make_udp(kHostB, 1, kServer, 2, {}, {.ttl = 1})).size(),
           1u);
  w.now += 1000;
  CHECK_EQ(w.inside(make_udp(kHostA, 1, kServer, 2, {}, {.ttl = 1})).size(),
           1u);
}

TEST("mtu: too big and not to be fragmented is reported with our MTU") {
  World w;
  w.add_aip();
  const Bytes packet = make_udp(kServer, 5, kAip, 6, Bytes(1423, 7));
  CHECK_EQ(packet.size(), 1451u);
  const auto out = w.outside(packet);
  const Seen seen(out[0].ip);
  CHECK(!out[0].inside);
  CHECK_EQ(seen.src, kAip);
  CHECK_EQ(seen.sport, 0x0304);
  CHECK_EQ(get16(&seen.payload[6]), 1450);
  CHECK_EQ(out[0].ip.size(), 576u);
  CHECK_EQ(w.outside(make_udp(kServer, 5, kAip, 6, Bytes(1422, 7))).size(), 1u);
  CHECK(w.outside(make_udp(kServer, 5, kAip, 6, Bytes(1422, 7)))[0].inside);
}

TEST("mtu: M1 what is configured holds, to the byte, for flows and entries") {
  for (const std::uint16_t mtu : {std::uint16_t{576}, std::uint16_t{8950}}) {
    EngineConfig config = World::small();
    config.inner_mtu = mtu;
    World w(config);
    w.add_aip(kHostB);
    const Seen sent(w.inside(make_udp(kHostA, 6, kServer, 5))[0].ip);
    const std::pair<Ip4, std::uint16_t> targets[] = {{kPublic1, sent.sport},
                                                     {kAip, 6}};
    for (const auto& [ip, port] : targets) {
      const std::size_t most = mtu - 28u;
      for (int i = 0; i < 2; i++) {
        CHECK(w.outside(make_udp(kServer, 5, ip, port, Bytes(most)))[0].inside);
        w.now += 1000;
        const auto told =
            w.outside(make_udp(kServer, 5, ip, port, Bytes(most + 1)));
        CHECK(!told[0].inside);
        CHECK_EQ(get16(&Seen(told[0].ip).payload[6]), mtu);
      }
    }
  }
}

TEST("mtu: too big and open to it is cut into fragments that fit") {
  World w;
  w.add_aip();
  Bytes data(4000);
  for (std::size_t i = 0; i < data.size(); i++) {
    data[i] = static_cast<std::uint8_t>(i * 7);
  }
  const IpOptions o = {.fragment = 0, .options = {7, 3, 4, 1}};
  const auto out = w.outside(make_udp(kServer, 5, kAip, 6, data, o));
  CHECK_EQ(out.size(), 3u);
  Bytes whole;
  for (std::size_t i = 0; i < out.size(); i++) {
    const Seen piece(out[i].ip);
    CHECK(out[i].ip.size() <= 1450);
    CHECK_EQ(piece.dst, kHostA);
    CHECK_EQ((piece.fragment & 0x1fff) * 8u, whole.size());
    CHECK_EQ((piece.fragment & 0x2000) != 0, i + 1 < out.size());
    // The option that is not to be copied is only in the first.
    CHECK_EQ(out[i].ip[20], i == 0 ? 7 : 1);
    CHECK_EQ(out[i].to.entropy, out[0].to.entropy);
    whole.insert(whole.end(), piece.payload.begin(), piece.payload.end());
  }
  CHECK_EQ(whole, udp_payload(kServer, 5, kHostA, 6, data));
}

TEST("icmp: I3 a question from outside for a shared address goes nowhere") {
  World w;
  w.add_aip();
  CHECK(w.outside(make_echo(kServer, kPublic1, 7)).empty());
  CHECK(w.outside(make_echo(kServer, kPublic1, 7, true)).empty());
  CHECK_EQ(w.dropped(Drop::kNoFlow), 2u);
  CHECK_EQ(w.flows(), 0u);
  // Nor by the identifier of a question that is asked.
  const Seen asked(w.inside(make_echo(kHostB, kServer, 9))[0].ip);
  CHECK(w.outside(make_echo(kServer, kPublic1, asked.dport)).empty());
  CHECK_EQ(w.outside(make_echo(kServer, kPublic1, asked.dport, true)).size(),
           1u);
  const auto out = w.outside(make_echo(kServer, kAip, 7));
  CHECK_EQ(Seen(out[0].ip).dst, kHostA);
  CHECK_EQ(Seen(w.inside(make_echo(kHostA, kServer, 7, true))[0].ip).src, kAip);
}

TEST("icmp: I4 a quote whose IP header has options is restored") {
  for (std::size_t words = 1; words <= 10; words++) {
    World w;
    const IpOptions o = {.options = Bytes(words * 4, 1)};
    const Bytes was = make_udp(kHostA, 40000, kServer, 53, text("x"), o);
    const Bytes sent = w.inside(was)[0].ip;
    const auto out =
        w.outside(make_icmp(ip4(198, 51, 100, 1), kPublic1, 3, 3, 0, sent));
    CHECK_EQ(out.size(), 1u);
    const Seen quoted(Seen(out[0].ip).quote());
    CHECK_EQ(quoted.src, kHostA);
    CHECK_EQ(quoted.sport, 40000);
    CHECK_EQ(quoted.payload, Seen(was).payload);
  }
}

TEST("icmp: I4 extensions behind the quote pass under a right checksum") {
  World w;
  Bytes sent = w.inside(make_udp(kHostA, 40000, kServer, 53))[0].ip;
  sent.resize(128);  // as RFC 4884 pads it
  const Bytes extension = from_hex("2000dfff00080101004001ff");
  sent.insert(sent.end(), extension.begin(), extension.end());
  const auto out = w.outside(
      make_icmp(ip4(198, 51, 100, 1), kPublic1, 11, 0, 0x00200000, sent));
  CHECK_EQ(out.size(), 1u);
  const Bytes quote = Seen(out[0].ip).quote();
  CHECK(std::equal(extension.begin(), extension.end(), quote.begin() + 128));
  CHECK_EQ(Seen(quote).sport, 40000);
}

TEST("icmp: I11 a report has the DS field of its cause and no mark") {
  World w;
  const auto out = w.inside(
      make_udp(kHostA, 1, kServer, 53, text("x"), {.ttl = 1, .tos = 0xb9}));
  CHECK_EQ(out[0].ip[1], 0xb8);
}

TEST("icmp: I11 nothing is reported about errors and later fragments") {
  World w;
  const Bytes about = make_udp(kServer, 53, kHostA, 1);
  CHECK(
      w.inside(make_icmp(kHostA, kServer, 3, 3, 0, about, {.ttl = 1})).empty());
  Bytes later = cut(make_udp(kHostA, 1, kServer, 53, Bytes(100, 1)), 64)[1];
  later[8] = 1;
  put16(&later[10], 0);
  put16(&later[10], checksum(later.data(), 20));
  CHECK(w.inside(later).empty());
  CHECK_EQ(w.dropped(Drop::kTtlExceeded), 2u);
}

TEST("icmp: I13 less than eight quoted bytes find no flow, but an AIP") {
  World w;
  w.add_aip(kHostB);
  const Bytes shared = w.inside(make_udp(kHostA, 1, kServer, 53))[0].ip;
  const Ip4 router = ip4(198, 51, 100, 1);
  CHECK(w.outside(make_icmp(router, kPublic1, 3, 3, 0, first(shared, 27)))
            .empty());
  CHECK_EQ(w.dropped(Drop::kIcmpNoMatch), 1u);
  const Bytes own = w.inside(make_udp(kHostB, 1, kServer, 53))[0].ip;
  const auto out = w.outside(make_icmp(router, kAip, 3, 3, 0, first(own, 27)));
  CHECK_EQ(get32(&Seen(out[0].ip).quote()[12]), kHostB);
}

TEST("icmp: I16 an MTU of nought is passed as it is") {
  World w;
  const Bytes sent = w.inside(make_udp(kHostA, 1, kServer, 53))[0].ip;
  const auto out =
      w.outside(make_icmp(ip4(198, 51, 100, 1), kPublic1, 3, 4, 0, sent));
  CHECK_EQ(get16(&Seen(out[0].ip).payload[6]), 0);
}

}  // namespace vxlnat::test
