// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Fragments: in order, out of order, from overlapping vnets, tiny, too many.

#include "test/rules.h"

namespace vxlnat::test {

namespace {

Bytes big(Ip4 src, Ip4 dst, std::uint16_t sport, std::uint16_t dport,
          std::uint8_t fill) {
  return make_udp(src, sport, dst, dport, Bytes(2000, fill), {.fragment = 0});
}

// Puts fragments together and checks that they are one sound datagram.
Bytes join(const Outs& pieces) {
  if (pieces.empty()) return {};
  const Seen head(pieces[0].ip);
  Bytes whole(4096);
  std::size_t size = 0;
  for (const Out& each : pieces) {
    const Seen piece(each.ip);
    CHECK_EQ(piece.id, head.id);
    CHECK_EQ(piece.src, head.src);
    CHECK_EQ(piece.dst, head.dst);
    const std::size_t at = (piece.fragment & 0x1fffu) * 8;
    std::copy(piece.payload.begin(), piece.payload.end(),
              whole.begin() + static_cast<std::ptrdiff_t>(at));
    size = std::max(size, at + piece.payload.size());
  }
  whole.resize(size);
  const Bytes packet = make_ip(head.src, head.dst, head.proto, whole);
  check_packet(packet, false);
  return packet;
}

Outs send_all(World& w, const std::vector<Bytes>& pieces, Vni vnet = 1) {
  Outs all;
  for (const Bytes& piece : pieces) {
    for (const Out& out : w.inside(piece, vnet)) all.push_back(out);
  }
  return all;
}

}  // namespace

TEST("fragments: a datagram in pieces leaves whole, and so does the answer") {
  World w;
  const Outs out = send_all(w, cut(big(kHostA, kServer, 7, 53, 1), 1400));
  CHECK_EQ(out.size(), 2u);
  const Seen sent(join(out));
  CHECK_EQ(sent.src, kPublic1);
  CHECK_EQ(sent.payload.size(), 2008u);
  Outs back;
  for (const Bytes& piece :
       cut(big(kServer, kPublic1, 53, sent.sport, 2), 1000)) {
    for (const Out& each : w.outside(piece)) back.push_back(each);
  }
  CHECK_EQ(back.size(), 3u);
  const Seen got(join(back));
  CHECK_EQ(got.dst, kHostA);
  CHECK_EQ(got.dport, 7);
}

TEST("fragments: B33 pieces before the first wait for it, both ways") {
  World w;
  std::vector<Bytes> pieces = cut(big(kHostA, kServer, 7, 53, 1), 400);
  std::reverse(pieces.begin(), pieces.end());
  for (std::size_t i = 0; i + 1 < pieces.size(); i++) {
    CHECK(w.inside(pieces[i]).empty());
  }
  const Outs out = w.inside(pieces.back());
  CHECK_EQ(out.size(), pieces.size());
  const Seen sent(join(out));
  CHECK_EQ(sent.payload.size(), 2008u);
  pieces = cut(big(kServer, kPublic1, 53, sent.sport, 2), 400);
  std::reverse(pieces.begin(), pieces.end());
  Outs back;
  for (const Bytes& piece : pieces) back = w.outside(piece);
  CHECK_EQ(back.size(), pieces.size());
  CHECK_EQ(Seen(join(back)).dst, kHostA);
}

TEST("fragments: F4 two vnets with the same key do not mix") {
  World w;
  const auto one = cut(big(kHostA, kServer, 7, 53, 1), 1400);
  const auto three = cut(big(kHostA, kServer, 7, 53, 3), 1400);
  CHECK(w.inside(one[1], 1).empty());
  CHECK(w.inside(three[1], 3).empty());
  const Seen a(join(w.inside(one[0], 1)));
  const Seen b(join(w.inside(three[0], 3)));
  CHECK_EQ(a.src, kPublic1);
  CHECK_EQ(a.payload[100], 1);
  CHECK_EQ(b.src, kPublic3);
  CHECK_EQ(b.payload[100], 3);
}

TEST("fragments: two hosts with one identifier leave with two") {
  World w;
  const Outs a = send_all(w, cut(big(kHostA, kServer, 7, 53, 1), 1400));
  const Outs b = send_all(w, cut(big(kHostB, kServer, 7, 53, 2), 1400));
  CHECK(Seen(a[0].ip).id != Seen(b[0].ip).id);
  CHECK_EQ(Seen(a[0].ip).id, Seen(a[1].ip).id);
}

TEST("fragments: AIP traffic needs no memory of the first") {
  World w;
  w.add_aip();
  std::vector<Bytes> pieces = cut(big(kServer, kAip, 7, 53, 1), 400);
  std::reverse(pieces.begin(), pieces.end());
  Outs all;
  for (const Bytes& piece : pieces) {
    const Outs out = w.outside(piece);
    CHECK_EQ(out.size(), 1u);
    all.push_back(out[0]);
  }
  CHECK_EQ(Seen(join(all)).dst, kHostA);
  CHECK_EQ(w.engine->stats().fragments.read(), 0u);
}

TEST("fragments: F6 those of every protocol pass, both ways") {
  World w;
  w.add_aip(kHostB);
  constexpr std::uint16_t kPort = 7;  // the server's
  const auto datagram = [](Ip4 src, Ip4 dst, std::uint8_t proto,
                           std::uint16_t port) {
    const Bytes data(1000, 7);
    const IpOptions o = {.fragment = 0};
    const bool back = src == kServer;
    const std::uint16_t from = back ? kPort : port;
    const std::uint16_t to = back ? port : kPort;
    if (proto == kUdp) return make_udp(src, from, dst, to, data, o);
    if (proto == kTcp) return make_tcp(src, from, dst, to, kSyn, data, o);
    if (proto != kIcmp) return make_ip(src, dst, proto, data, o);
    const bool reply = back && dst == kPublic1;
    return make_icmp(src, dst, reply ? 0 : 8, 0,
                     static_cast<std::uint32_t>(port) << 16, data, o);
  };
  const auto from_outside = [&](const Bytes& whole) {
    Outs all;
    for (const Bytes& piece : cut(whole, 400)) {
      for (const Out& out : w.outside(piece)) all.push_back(out);
    }
    return Seen(join(all));
  };
  for (const std::uint8_t proto :
       {kUdp, kTcp, kIcmp, std::uint8_t{47}, std::uint8_t{50}}) {
    const Bytes to = datagram(kHostB, kServer, proto, 7);
    const Seen by_entry(join(send_all(w, cut(to, 400))));
    CHECK_EQ(by_entry.src, kAip);
    CHECK_EQ(by_entry.payload.size() + 20, to.size());
    CHECK_EQ(from_outside(datagram(kServer, kAip, proto, 7)).dst, kHostB);
    if (proto == 47 || proto == 50) continue;  // nothing to share by
    const Seen by_flow(
        join(send_all(w, cut(datagram(kHostA, kServer, proto, 7), 400))));
    CHECK_EQ(by_flow.src, kPublic1);
    CHECK_EQ(by_flow.payload.size() + 20, to.size());
    const std::uint16_t port = proto == kIcmp ? by_flow.dport : by_flow.sport;
    CHECK_EQ(from_outside(datagram(kServer, kPublic1, proto, port)).dst,
             kHostA);
  }
}

TEST("fragments: hairpins carry them, in order and not") {
  for (const bool reversed : {false, true}) {
    World w;
    w.add_aip(kHostB);
    auto pieces = cut(big(kHostA, kAip, 7, 53, 1), 400);
    if (reversed) std::reverse(pieces.begin(), pieces.end());
    const Seen got(join(send_all(w, pieces)));
    CHECK_EQ(got.src, kPublic1);
    CHECK_EQ(got.dst, kHostB);
    CHECK_EQ(got.payload.size(), 2008u);
  }
}

TEST("fragments: F1 pieces of a flow from before an AIP leave alike") {
  for (const bool reversed : {false, true}) {
    World w;
    CHECK_EQ(w.inside(make_udp(kHostA, 7, kServer, 53)).size(), 1u);
    w.add_aip();
    // Of the flow, and of a new exchange, which is the entry's.
    for (const std::uint16_t port : {std::uint16_t{7}, std::uint16_t{8}}) {
      auto pieces = cut(make_udp(kHostA, port, kServer, 53, Bytes(2000, 1),
                                 {.id = port, .fragment = 0}),
                        400);
      if (reversed) std::reverse(pieces.begin(), pieces.end());
      const Outs out = send_all(w, pieces);
      CHECK_EQ(out.size(), pieces.size());
      CHECK_EQ(Seen(join(out)).src, port == 7 ? kPublic1 : kAip);
    }
    CHECK_EQ(w.engine->stats().fragments.read(), 2u);
    // Without a flow nothing waits and nothing is remembered.
    w.run(400'000);
    auto last = cut(big(kHostA, kServer, 7, 53, 1), 400);
    std::reverse(last.begin(), last.end());
    CHECK_EQ(w.inside(last[0]).size(), 1u);
    CHECK_EQ(w.engine->stats().fragments.read(), 0u);
  }
}

TEST("fragments: F1 pieces from an AIP to a shared address turn alike") {
  for (const bool reversed : {false, true}) {
    World w;
    w.add_aip();
    // B has asked the AIP, and A answers in pieces.
    const Seen asked(w.inside(make_udp(kHostB, 9, kAip, 53))[0].ip);
    CHECK_EQ(asked.src, kPublic1);
    auto pieces = cut(big(kHostA, kPublic1, 53, asked.sport, 1), 400);
    if (reversed) std::reverse(pieces.begin(), pieces.end());
    const Outs out = send_all(w, pieces);
    CHECK_EQ(out.size(), pieces.size());
    for (const Out& each : out) CHECK(each.inside);
    CHECK_EQ(Seen(join(out)).dst, kHostB);
    // What is nobody's here may be another zone's: all of it goes on.
    auto other = cut(big(kHostA, kPublic1, 53, 1, 1), 400);
    if (reversed) std::reverse(other.begin(), other.end());
    for (Bytes& piece : other) put16(&piece[4], 0x777);
    for (Bytes& piece : other) {
      put16(&piece[10], 0);
      put16(&piece[10], checksum(piece.data(), 20));
    }
    const Outs away = send_all(w, other);
    CHECK_EQ(away.size(), other.size());
    for (const Out& each : away) CHECK(!each.inside);
    CHECK_EQ(Seen(join(away)).src, kAip);
  }
}

TEST("fragments: F1 a piece of a former AIP does not leave by it") {
  World w;
  CHECK_EQ(w.inside(make_udp(kHostA, 7, kServer, 53)).size(), 1u);
  w.add_aip();
  const auto pieces = cut(big(kHostA, kServer, 8, 53, 1), 1400);
  CHECK_EQ(w.inside(pieces[0]).size(), 1u);
  CHECK(w.apply(RemoveOneToOne{1, kHostA}) == nullptr);
  w.add_aip(kHostB);
  CHECK(w.inside(pieces[1]).empty());
}

TEST("fragments: a piece does not take the rule after its own for its own") {
  // The rule goes while its datagram is on its way, and the next one of its
  // vnet gets its record; its address is another vnet's by then.
  World w;
  const auto pieces = cut(big(kHostA, kServer, 4000, 53, 1), 400);
  CHECK_EQ(w.inside(pieces[0]).size(), 1u);
  CHECK(w.apply(RemoveRule{1, kPrefix}) == nullptr);
  w.run(1);
  CHECK_EQ(set(w, {}, kAip), "");
  CHECK_EQ(set(w, {}, kPublic1, 7), "");
  CHECK(w.inside(pieces[1]).empty());
  CHECK_EQ(w.dropped(Drop::kNoPrivateLeaves), 0u);
  // It waits for a first one, which leaves as the rule says.
  const Outs out = w.inside(pieces[0]);
  CHECK_EQ(out.size(), 2u);
  for (const Out& each : out) CHECK_EQ(Seen(each.ip).src, kAip);
}

TEST("fragments: tiny first ones and overlaps of the header are dropped") {
  World w;
  const Bytes tcp =
      make_tcp(kHostA, 1, kServer, 80, kSyn, Bytes(100, 1), {.fragment = 0});
  const auto pieces = cut(tcp, 8);
  CHECK(w.inside(pieces[0]).empty());
  CHECK(w.inside(pieces[1]).empty());
  CHECK(w.inside(pieces[2]).empty());
  CHECK_EQ(w.dropped(Drop::kTinyFragment), 3u);
  CHECK_EQ(w.flows(), 0u);
}

TEST("fragments: what waits is forgotten in time and in number") {
  World w;
  const auto later = [](std::uint16_t id, Ip4 host) {
    return cut(make_udp(host, 7, kServer, 53, Bytes(2000, 1),
                        {.id = id, .fragment = 0}),
               1400)[1];
  };
  // One source may hold an eighth of 64 datagrams.
  for (std::uint16_t id = 0; id < 100; id++) w.inside(later(id, kHostA));
  CHECK_EQ(w.dropped(Drop::kFragmentLimit), 92u);
  CHECK_EQ(w.engine->stats().fragments.read(), 8u);
  w.inside(later(1, kHostB));
  CHECK_EQ(w.engine->stats().fragments.read(), 9u);
  w.run(2001);
  CHECK_EQ(w.engine->stats().fragments.read(), 0u);
  CHECK_EQ(w.dropped(Drop::kFragmentTimeout), 9u);
  // Nothing else was touched.
  CHECK_EQ(w.inside(make_udp(kHostA, 1, kServer, 53)).size(), 1u);
}

TEST("fragments: a spoofed later fragment is not held") {
  World w;
  auto pieces = cut(big(ip4(10, 9, 9, 9), kServer, 7, 53, 1), 1400);
  CHECK(w.inside(pieces[1]).empty());
  CHECK_EQ(w.dropped(Drop::kSpoofedSource), 1u);
}

}  // namespace vxlnat::test
