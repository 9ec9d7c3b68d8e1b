// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Frames as a ring shows them: what is found in one, what is built around a
// packet, and which checksums are finished, checked and left alone. And next
// hops, with a kernel of our own.

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/bytes.h"
#include "engine/checksum.h"
#include "engine/wire.h"
#include "io/frame.h"
#include "io/next_hop.h"
#include "test/build.h"
#include "test/harness.h"

namespace vxlnat::io {

namespace {

using namespace vxlnat::test;

constexpr Ip4 kHost = 0x0a040505;
constexpr Ip4 kServer = 0xc6336407;
constexpr Ip4 kCn = 0xc0a80c01;
constexpr Ip4 kUl3 = 0xc0a80c06;
constexpr FrameRules kBoth = {
    .underlay = true, .external = true, .vlan = 0, .vxlan_port = 4789};

Bytes inner() {
  return make_ip(kHost, kServer, kUdp,
                 udp_payload(kHost, 4242, kServer, 53, text("hello")));
}

// `ip` as a link of ours would carry it, with room for headers in front.
Bytes frame_of(const Bytes& ip, std::uint16_t vlan = 0) {
  Bytes frame(kHeadroom);
  frame.insert(frame.end(), ip.begin(), ip.end());
  LinkAddresses link;
  std::memset(link.dst_mac, 2, 6);
  std::memset(link.src_mac, 4, 6);
  link.vlan = vlan;
  const std::uint8_t* begin = put_ethernet(frame.data() + kHeadroom, link);
  frame.erase(frame.begin(), frame.begin() + (begin - frame.data()));
  return frame;
}

// A VXLAN datagram around `ip`, built by the function under test.
Bytes tunnel_of(const Bytes& ip, std::uint8_t tos = 0) {
  Bytes bytes(kHeadroom + 22);
  put32(bytes.data() + kHeadroom, std::uint32_t{wire::kVxlanHasVni} << 24);
  put16(bytes.data() + kHeadroom + 20, wire::kTypeIpv4);
  bytes.insert(bytes.end(), ip.begin(), ip.end());
  const std::uint8_t* begin =
      put_tunnel(bytes.data() + kHeadroom, 22 + ip.size(),
                 {.src_ip = kCn,
                  .dst_ip = kUl3,
                  .dst_port = 4789,
                  .entropy = 50001,
                  .tos = tos});
  bytes.erase(bytes.begin(), bytes.begin() + (begin - bytes.data()));
  return bytes;
}

FrameKind read(Bytes& frame, Packet* packet, FrameRules rules = kBoth) {
  return read_frame(frame.data(), frame.size(), rules, packet);
}

TEST("a tunnel header that we build is one that we read") {
  const Bytes ip = inner();
  Bytes frame = frame_of(tunnel_of(ip, 0x2e));
  Packet packet;
  CHECK(read(frame, &packet) == FrameKind::kUnderlay);
  CHECK(packet.path.local_ip == kUl3);
  CHECK(packet.path.peer_ip == kCn);
  CHECK(packet.path.peer_port == 50001);
  CHECK(packet.path.tos == 0x2e);
  CHECK(packet.length == 22 + ip.size());
  CHECK(std::memcmp(packet.data + 22, ip.data(), ip.size()) == 0);
  const std::uint8_t* outer = frame.data() + 14;
  CHECK(wire::ip::dont_fragment(outer));
  CHECK(get16(outer + 20 + wire::udp::kChecksum) == 0);
}

TEST("padding behind a short packet is no part of it") {
  const Bytes ip = inner();
  Bytes frame = frame_of(ip);
  frame.resize(64);
  Packet packet;
  CHECK(read(frame, &packet) == FrameKind::kExternal);
  CHECK(packet.length == ip.size());
}

TEST("a tag is taken from our VLAN only, and put on what leaves") {
  FrameRules rules = kBoth;
  rules.vlan = 100;
  Packet packet;
  Bytes ours = frame_of(inner(), 100);
  CHECK(read(ours, &packet, rules) == FrameKind::kExternal);
  Bytes other = frame_of(inner(), 101);
  CHECK(read(other, &packet, rules) == FrameKind::kForeign);
  Bytes none = frame_of(inner());
  CHECK(read(none, &packet, rules) == FrameKind::kForeign);
  CHECK(read(ours, &packet) == FrameKind::kForeign);
}

TEST("VXLAN is not taken from outside, nor bare packets from the underlay") {
  Packet packet;
  FrameRules external = kBoth;
  external.underlay = false;
  Bytes tunnel = frame_of(tunnel_of(inner()));
  // It is a packet like any other there.
  CHECK(read(tunnel, &packet, external) == FrameKind::kExternal);
  FrameRules underlay = kBoth;
  underlay.external = false;
  Bytes bare = frame_of(inner());
  CHECK(read(bare, &packet, underlay) == FrameKind::kForeign);
}

TEST("an unfinished checksum is finished, inside a tunnel too") {
  const Bytes good = inner();
  Bytes bad = good;
  put16(&bad[26], fold(pseudo_sum(kHost, kServer, kUdp, bad.size() - 20)));
  Packet packet;
  Bytes bare = frame_of(bad);
  CHECK(read(bare, &packet) == FrameKind::kExternal);
  CHECK(std::memcmp(packet.data, good.data(), good.size()) == 0);
  Bytes tunnel = frame_of(tunnel_of(bad));
  CHECK(read(tunnel, &packet) == FrameKind::kUnderlay);
  CHECK(std::memcmp(packet.data + 22, good.data(), good.size()) == 0);
}

TEST("a wrong checksum, or none, is left as it is") {
  for (const std::uint16_t sum : {std::uint16_t{0}, std::uint16_t{0x1234}}) {
    Bytes ip = inner();
    put16(&ip[26], sum);
    Bytes frame = frame_of(ip);
    Packet packet;
    CHECK(read(frame, &packet) == FrameKind::kExternal);
    CHECK(get16(packet.data + 26) == sum);
  }
}

TEST("X2: an outer checksum that is not zero is checked") {
  const Bytes plain = tunnel_of(inner());
  const std::size_t size = plain.size() - 20;
  const std::uint64_t pseudo = pseudo_sum(kCn, kUl3, kUdp, size);
  const std::uint16_t right = checksum(plain.data() + 20, size, pseudo);
  const auto kind = [&](std::uint16_t sum) {
    Bytes datagram = plain;
    put16(&datagram[26], sum);
    Bytes frame = frame_of(datagram);
    Packet packet;
    return read(frame, &packet);
  };
  CHECK(kind(right) == FrameKind::kUnderlay);
  CHECK(kind(static_cast<std::uint16_t>(right ^ 1)) == FrameKind::kBadChecksum);
  CHECK(kind(fold(pseudo)) == FrameKind::kUnderlay);  // left to a card
}

TEST("an outer checksum counts the inner one as it will be") {
  const Bytes good = tunnel_of(inner());
  const std::size_t size = good.size() - 20;
  const std::uint16_t right =
      checksum(good.data() + 20, size, pseudo_sum(kCn, kUl3, kUdp, size));
  Bytes bad = inner();
  put16(&bad[26], fold(pseudo_sum(kHost, kServer, kUdp, bad.size() - 20)));
  Bytes datagram = tunnel_of(bad);
  put16(&datagram[26], right);
  Bytes frame = frame_of(datagram);
  Packet packet;
  CHECK(read(frame, &packet) == FrameKind::kUnderlay);
}

TEST("a frame cut short anywhere is never read beyond its end") {
  const Bytes whole = frame_of(tunnel_of(inner()));
  for (std::size_t size = 0; size < whole.size(); size++) {
    // Memory of that size exactly, so that a sanitizer sees one byte more.
    Bytes frame(whole.begin(), whole.begin() + static_cast<long>(size));
    Packet packet;
    CHECK(read(frame, &packet) == FrameKind::kForeign);
  }
}

// A kernel whose every route leads to interface 7 by gateway 9.
struct Kernel {
  int calls = 0;
  std::size_t questions = 0;
  int uses = 0;
  std::int32_t result = 0;

  NextHops hops() {
    return NextHops(
        [this](std::span<vxlnat_next_hop> all) {
          calls++;
          questions += all.size();
          for (vxlnat_next_hop& each : all) {
            each.result = result;
            each.ifindex = 7;
            each.mtu = 1500;
            each.dst_ip = 9;
          }
          return true;
        },
        [this](std::uint32_t, std::uint32_t) { uses++; });
  }
};

TEST("B47: a neighbour in use is asked for and kept fresh for ever") {
  Kernel kernel;
  NextHops hops = kernel.hops();
  const Destination to[] = {{.src = 1, .dst = 2, .path = 0, .proto = 17}};
  NextHop hop[1];
  for (std::uint64_t now = 0; now < 60'000; now += 100) {
    hops.find(to, hop, now, 0);
    CHECK(hop[0].ifindex == 7);
  }
  CHECK(kernel.calls == 60);
  CHECK(kernel.uses >= 10);
}

TEST("a change of routes is followed at once") {
  Kernel kernel;
  NextHops hops = kernel.hops();
  const Destination to[] = {{.src = 1, .dst = 2, .path = 0, .proto = 17}};
  NextHop hop[1];
  hops.find(to, hop, 0, 0);
  hops.find(to, hop, 1, 0);
  CHECK(kernel.calls == 1);
  hops.find(to, hop, 2, 1);
  CHECK(kernel.calls == 2);
}

TEST("what has no next hop is left to the kernel and asked for again soon") {
  Kernel kernel;
  kernel.result = 7;
  NextHops hops = kernel.hops();
  const Destination to[] = {{.src = 1, .dst = 2, .path = 0, .proto = 17}};
  NextHop hop[1];
  hops.find(to, hop, 0, 0);
  CHECK(hop[0].ifindex == 0);
  CHECK(kernel.uses == 0);
  kernel.result = 0;
  hops.find(to, hop, 20, 0);
  CHECK(hop[0].ifindex == 7);
}

TEST("more destinations than one call holds are all answered") {
  Kernel kernel;
  NextHops hops = kernel.hops();
  std::vector<Destination> to;
  for (std::uint32_t i = 0; i < 200; i++) {
    to.push_back({.src = 1, .dst = i, .path = 0, .proto = 17});
  }
  std::vector<NextHop> found(to.size());
  hops.find(to, found, 0, 0);
  CHECK(kernel.questions == 200);
  CHECK(std::all_of(found.begin(), found.end(),
                    [](const NextHop& h) { return h.ifindex == 7; }));
}

TEST("a thousand destinations in turn are asked for once, their gateway told") {
  Kernel kernel;
  NextHops hops = kernel.hops();
  NextHop hop[1];
  for (std::uint32_t round = 0; round < 4; round++) {
    for (std::uint32_t i = 0; i < 1024; i++) {
      const Destination to[] = {
          {.src = i * 7919, .dst = i * 104729, .path = i % 8, .proto = 17}};
      hops.find(to, hop, round, 0);
      CHECK(hop[0].ifindex == 7);
    }
  }
  // A few share a place with more than there is room for.
  CHECK(kernel.questions < 1024 + 64);
  CHECK(kernel.uses == 1);
}

}  // namespace

}  // namespace vxlnat::io
