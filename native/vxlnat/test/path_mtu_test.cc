// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What routers of the underlay say about tunnel packets (M4).

#include "test/world.h"

namespace vxlnat::test {

namespace {

constexpr Ip4 kRelay = ip4(192, 168, 1, 1);
constexpr std::uint16_t kPath = 1400;
constexpr std::uint16_t kInner = kPath - 50;
constexpr Tick kTenMinutes = 600'000;

// A tunnel packet of ours as a router quotes it: UDP and VXLAN headers.
Bytes quote(Ip4 src = kZone, Ip4 dst = kNode, Vni vni = 1,
            std::uint16_t length = 1500) {
  Bytes vxlan(8);
  vxlan[0] = 8;
  put32(&vxlan[4], vni << 8);
  Bytes b = make_ip(src, dst, kUdp, udp_payload(src, 50000, dst, 4789, vxlan));
  put16(&b[2], length);
  put16(&b[10], 0);
  put16(&b[10], checksum(b.data(), 20));
  return b;
}

Bytes too_big(const Bytes& quoted, std::uint16_t mtu = kPath) {
  return make_icmp(kRelay, kZone, 3, 4, mtu, quoted);
}

bool tell(World& w, const Bytes& message) {
  return w.engine->process_report(message, w.now).has_value();
}

// An AIP's packet of `length` bytes comes in.
Outs big(World& w, std::size_t length, bool may_fragment = false,
         Ip4 to = kAip) {
  IpOptions o;
  if (may_fragment) o.fragment = 0;
  return w.outside(make_udp(kServer, 53, to, 5000, Bytes(length - 28), o));
}

// Whether it came through whole.
bool passes(World& w, std::size_t length, Ip4 to = kAip) {
  const Outs outs = big(w, length, false, to);
  return outs.size() == 1 && outs[0].inside;
}

}  // namespace

TEST("path: M4 a node's way that carries less: senders are told") {
  World w;
  w.add_aip();
  CHECK(passes(w, 1450));
  const auto report = w.engine->process_report(too_big(quote()), w.now);
  CHECK(report && report->node == kNode && report->mtu == kPath);
  CHECK(passes(w, kInner));
  const Outs outs = big(w, kInner + 1);
  CHECK_EQ(outs.size(), 1u);
  CHECK(!outs[0].inside);
  CHECK_EQ(outs[0].ip[20], 3);
  CHECK_EQ(outs[0].ip[21], 4);
  CHECK_EQ(get16(&outs[0].ip[26]), kInner);
  // Twice the same is no news, more is not believed.
  CHECK(!tell(w, too_big(quote())));
  CHECK(!tell(w, too_big(quote(), kPath + 1)));
  CHECK(!passes(w, kInner + 1));
}

TEST("path: M4 what may be fragmented is, before the tunnel") {
  World w;
  w.add_aip();
  CHECK(tell(w, too_big(quote())));
  const Outs outs = big(w, 1450, true);
  CHECK_EQ(outs.size(), 2u);
  for (const Out& out : outs) {
    CHECK(out.inside);
    CHECK(out.ip.size() <= kInner);
  }
}

TEST("path: M4 other nodes keep what they had") {
  World w;
  w.add_aip();
  w.add_aip(kHostB, kAip + 1);
  CHECK(w.apply(SetRemote{1, kHostB, kHostMac, kNode + 7, 4789}) == nullptr);
  CHECK(tell(w, too_big(quote())));
  CHECK(!passes(w, 1450));
  CHECK(passes(w, 1450, kAip + 1));
}

TEST("path: M4 after ten minutes it is tried again") {
  World w;
  w.add_aip();
  CHECK(tell(w, too_big(quote())));
  w.run(kTenMinutes - 1);
  CHECK(!passes(w, 1450));
  w.run(1);
  CHECK(passes(w, 1450));
}

TEST("path: M4 a report that quotes nothing of ours is not believed") {
  World w;
  w.add_aip();
  CHECK(!tell(w, too_big(quote(kZone + 1))));               // not our address
  CHECK(!tell(w, too_big(quote(kZone, kNode, 77))));        // nor our vnet
  CHECK(!tell(w, too_big(quote(kZone, kNode, 1, kPath))));  // not too big
  CHECK(!tell(w, make_icmp(kRelay, kZone, 3, 1, kPath, quote())));
  Bytes wrong = too_big(quote());
  wrong[22] ^= 1;  // the checksum
  CHECK(!tell(w, wrong));
  const Bytes whole = too_big(quote());
  for (std::size_t n = 0; n < whole.size(); n++) {
    CHECK(!tell(w, Bytes(whole.begin(),
                         whole.begin() + static_cast<std::ptrdiff_t>(n))));
  }
  CHECK(passes(w, 1450));
}

TEST("path: M4 nothing becomes shorter than hosts must take") {
  World w;
  w.add_aip();
  CHECK(tell(w, too_big(quote(), 100)));
  CHECK(passes(w, 576));
}

TEST("path: M4 a super-packet is cut smaller, with its checksum unfinished") {
  World w;
  w.add_aip();
  CHECK(tell(w, too_big(quote())));
  IpOptions o;
  o.fragment = 0;
  w.offload = {.segment = 1400, .partial = true};
  const Outs outs =
      w.outside(make_tcp(kServer, 80, kAip, 5000, kAck, Bytes(5600), o));
  CHECK_EQ(outs.size(), 1u);
  CHECK_EQ(outs[0].offload.segment, kInner - 40);
  CHECK(outs[0].offload.partial);
}

}  // namespace vxlnat::test
