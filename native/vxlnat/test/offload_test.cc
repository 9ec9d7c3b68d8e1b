// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Packets as virtual links give them (facts: nat-behaviour K5, M6): with an
// unfinished checksum, and TCP "super-packets" that stand for many.

#include "test/world.h"

namespace vxlnat::test {

namespace {

// Leaves only the pseudo-header's sum in the checksum field.
Bytes unfinished(Bytes b) {
  const Seen seen(b);
  const std::size_t head = wire::ip::header_size(b.data());
  put16(&b[head + wire::checksum_offset(seen.proto)],
        fold(pseudo_sum(seen.src, seen.dst, seen.proto, b.size() - head)));
  return b;
}

constexpr std::size_t kSuper = 60'000;

// One connection of host A, and its port outside.
std::uint16_t connect(World& w) {
  const auto out = w.inside(make_tcp(kHostA, 5000, kServer, 80, kSyn));
  const std::uint16_t port = Seen(out[0].ip).sport;
  w.outside(make_tcp(kServer, 80, kPublic1, port, kSyn | kAck));
  w.inside(make_tcp(kHostA, 5000, kServer, 80, kAck));
  return port;
}

}  // namespace

// World finishes what comes out as a card would, and checks it.
TEST("offload: a partial checksum stays one through every translation (K5)") {
  World w;
  w.add_aip(kHostB);
  w.offload = {.partial = true};
  for (const std::size_t size : {0u, 1u, 700u, 1401u}) {
    const Bytes data(size, 0x5a);
    for (const Ip4 host : {kHostA, kHostB}) {
      const auto udp =
          w.inside(unfinished(make_udp(host, 7000, kServer, 53, data)));
      CHECK_EQ(udp.size(), 1u);
      CHECK(udp[0].offload.partial);
      const Seen sent(udp[0].ip);
      const auto back = w.outside(
          unfinished(make_udp(kServer, 53, sent.src, sent.sport, data)));
      CHECK_EQ(back.size(), 1u);
      CHECK(back[0].offload.partial);
      CHECK_EQ(Seen(back[0].ip).dst, host);
    }
  }
  const auto round = w.inside(unfinished(make_udp(kHostA, 7001, kAip, 9)));
  CHECK_EQ(round.size(), 1u);
  CHECK(round[0].inside && round[0].offload.partial);
}

TEST("offload: a super packet is translated as one, both ways (M6)") {
  World w;
  const std::uint16_t port = connect(w);
  w.offload = {.segment = 1410, .partial = true};
  const Bytes data(kSuper, 0x5a);
  const auto out =
      w.inside(unfinished(make_tcp(kHostA, 5000, kServer, 80, kAck, data)));
  CHECK_EQ(out.size(), 1u);
  CHECK_EQ(out[0].offload.segment, 1410);
  CHECK_EQ(Seen(out[0].ip).payload.size(), kSuper + 20);
  const auto back =
      w.outside(unfinished(make_tcp(kServer, 80, kPublic1, port, kAck, data)));
  CHECK_EQ(back.size(), 1u);
  CHECK(back[0].inside);
  CHECK_EQ(back[0].offload.segment, 1410);
  CHECK_EQ(Seen(back[0].ip).payload.size(), kSuper + 20);
  CHECK_EQ(w.dropped(Drop::kTooBig), 0u);
}

TEST("offload: a super packet whose pieces are too long is told the MTU") {
  World w;
  const std::uint16_t port = connect(w);
  w.offload = {.segment = 1411, .partial = true};
  const auto told = w.outside(unfinished(
      make_tcp(kServer, 80, kPublic1, port, kAck, Bytes(kSuper, 1))));
  CHECK_EQ(told.size(), 1u);
  CHECK(!told[0].inside && !told[0].offload.partial);
  CHECK_EQ(Seen(told[0].ip).sport, 3 << 8 | 4);
  CHECK_EQ(get16(&told[0].ip[26]), 1450);
  CHECK_EQ(w.dropped(Drop::kTooBig), 1u);
}

TEST("offload: an answer of the engine's own is whole") {
  World w;
  connect(w);
  w.offload = {.segment = 1410, .partial = true};
  IpOptions last_hop;
  last_hop.ttl = 1;
  const auto told = w.inside(unfinished(
      make_tcp(kHostA, 5000, kServer, 80, kAck, Bytes(kSuper, 1), last_hop)));
  CHECK_EQ(told.size(), 1u);
  CHECK(told[0].inside && !told[0].offload.partial);
  CHECK_EQ(told[0].offload.segment, 0);
  CHECK_EQ(Seen(told[0].ip).proto, kIcmp);
}

}  // namespace vxlnat::test
