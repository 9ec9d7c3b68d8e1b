// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The short way of flows and 1:1 entries against the stages: what it takes,
// what it leaves alone, and that both give the same bytes, counts and flows. An
// engine that somebody looks on takes the stages for every packet.

#include "engine/established.h"

#include "engine/hash.h"
#include "test/world.h"

namespace vxlnat::test {

namespace {

EngineConfig strict() {
  EngineConfig c = World::small();
  c.check_senders = true;
  return c;
}

constexpr std::size_t kRoom = 256;

// Packets with headroom, as a port hands them in.
struct Burst {
  explicit Burst(const std::vector<Bytes>& all, const Path& path = {})
      : memory(all.size() * kRoom), packets(all.size()) {
    for (std::size_t i = 0; i < all.size(); i++) {
      std::uint8_t* at = &memory[i * kRoom + kHeadroom];
      std::copy(all[i].begin(), all[i].end(), at);
      packets[i].data = at;
      packets[i].length = all[i].size();
      packets[i].path = path;
    }
  }
  Bytes memory;
  std::vector<Packet> packets;
};

// Whether the short way takes a packet; then it has.
bool takes(World& w, const Bytes& bytes, bool outbound,
           const Path& path = World::path_in()) {
  Burst burst({bytes}, path);
  Context& c = w.engine->context();
  c.now = w.now;
  c.out = &w;
  LookAhead seen;
  if (outbound) {
    seen.outbound(c, burst.packets);
    return pass_outbound(c, burst.packets[0], seen, 0);
  }
  seen.inbound(c, burst.packets);
  return pass_inbound(c, burst.packets[0], seen, 0);
}

Bytes frame(const Bytes& ip, Mac dst = kRouterMac1) {
  return World::frame(ip, 1, dst, -1);
}

bool same(const Out& a, const Out& b) {
  return a.inside == b.inside && a.ip == b.ip && a.vnet == b.vnet &&
         a.dst_mac == b.dst_mac && a.src_mac == b.src_mac && a.vlan == b.vlan &&
         a.to.src_ip == b.to.src_ip && a.to.dst_ip == b.to.dst_ip &&
         a.to.dst_port == b.to.dst_port && a.to.entropy == b.to.entropy &&
         a.to.tos == b.to.tos;
}

// Two engines with the same seed; one of them is looked on.
class Ways {
 public:
  explicit Ways(std::uint64_t seed) : random_({seed, 11}) {
    for (World* w : {&quick_, &staged_}) {
      w->check_output = false;
      w->add_aip(ip4(10, 4, 4, 7), kAip);
      CHECK(w->apply(SetRemote{1, ip4(10, 4, 4, 7), kHostMac, kNode, 4789}) ==
            nullptr);
    }
    std::uint32_t tap = 0;
    const TapSpec nothing = {.filter = {.vnet = 77}, .lifetime_ms = 600000};
    CHECK(staged_.engine->open_tap(nothing, staged_.now, &tap) == nullptr);
  }

  void step() {
    const bool outbound = pick(2) == 0;
    std::vector<Bytes> burst(1 + pick(80));
    for (Bytes& each : burst) each = outbound ? from_inside() : from_outside();
    Path path = World::path_in();
    path.tos = static_cast<std::uint8_t>(pick(8) == 0 ? pick(4) : 0);
    if (pick(16) == 0) path.peer_ip = kNode + 1;
    const Outs quick = give(quick_, burst, outbound, path);
    const Outs staged = give(staged_, burst, outbound, path);
    CHECK(staged_.engine->context().look != nullptr);
    CHECK_EQ(quick.size(), staged.size());
    for (std::size_t i = 0; i < quick.size() && i < staged.size(); i++) {
      CHECK(same(quick[i], staged[i]));
    }
    for (const Out& out : quick) {
      if (!out.inside && out.ip.size() >= 28) sent_.push_back(out.ip);
    }
    const Tick later = pick(20) == 0 ? pick(200000) : pick(100);
    quick_.now += later;
    staged_.now += later;
    compare();
  }

  std::size_t sent() const { return sent_.size(); }

 private:
  std::uint32_t pick(std::uint32_t n) { return random_.below(n); }
  std::uint16_t port() { return static_cast<std::uint16_t>(4000 + pick(6)); }

  IpOptions options() {
    IpOptions o;
    if (pick(16) == 0) o.ttl = static_cast<std::uint8_t>(pick(3));
    if (pick(6) == 0) o.fragment = 0;
    if (pick(24) == 0) o.fragment = 0x2000;
    if (pick(8) == 0) o.tos = static_cast<std::uint8_t>(pick(256));
    return o;
  }

  std::uint8_t flags() {
    if (pick(3) != 0) return kAck;
    return static_cast<std::uint8_t>(pick(32));
  }

  void spoil(Bytes& b) {
    if (pick(12) == 0) b[pick(static_cast<std::uint32_t>(b.size()))] ^= 1;
    if (pick(12) == 0) b.resize(b.size() + pick(20));
    if (pick(24) == 0) b.resize(pick(static_cast<std::uint32_t>(b.size())));
  }

  Bytes from_inside() {
    const Ip4 hosts[] = {kHostA, kHostB, ip4(10, 4, 4, 7), ip4(10, 9, 9, 9)};
    const Ip4 remotes[] = {kServer, kServer + 1,      kAip, kPublic1, kRouter1,
                           kHostB,  ip4(224, 0, 0, 1)};
    const Ip4 host = hosts[pick(16) == 0 ? 3 : pick(3)];
    const Ip4 remote = remotes[pick(8) == 0 ? pick(7) : pick(2)];
    Bytes ip = pick(2) == 0
                   ? make_udp(host, port(), remote, 53, text("x"), options())
                   : make_tcp(host, port(), remote, 80, flags(), text("abc"),
                              options());
    spoil(ip);
    const Mac router = pick(24) == 0 ? kRouterMac2 : kRouterMac1;
    return World::frame(ip, pick(12) == 0 ? 3 : 1, router,
                        pick(6) == 0 ? 5 : -1);
  }

  // The answer to something that was sent, or to nothing.
  Bytes from_outside() {
    if (sent_.empty()) return make_udp(kServer, 53, kPublic1, port());
    const Seen to(sent_[pick(static_cast<std::uint32_t>(sent_.size()))]);
    Bytes ip = to.proto == kUdp ? make_udp(to.dst, to.dport, to.src, to.sport,
                                           text("y"), options())
                                : make_tcp(to.dst, to.dport, to.src, to.sport,
                                           flags(), text("de"), options());
    spoil(ip);
    return ip;
  }

  static Outs give(World& w, const std::vector<Bytes>& all, bool outbound,
                   const Path& path) {
    Burst burst(all, outbound ? path : Path{});
    if (outbound) {
      w.engine->process_underlay(burst.packets, w.now, w);
    } else {
      w.engine->process_external(burst.packets, w.now, w);
    }
    return w.take();
  }

  void compare() {
    CHECK_EQ(quick_.drops(), staged_.drops());
    const Stats& a = quick_.engine->stats();
    const Stats& b = staged_.engine->stats();
    CHECK_EQ(a.tx_external_bytes.read(), b.tx_external_bytes.read());
    CHECK_EQ(a.tx_underlay_bytes.read(), b.tx_underlay_bytes.read());
    CHECK_EQ(a.rx_underlay_bytes.read(), b.rx_underlay_bytes.read());
    CHECK_EQ(a.rx_external_packets.read(), b.rx_external_packets.read());
    const std::vector<FlowInfo> one = quick_.list();
    const std::vector<FlowInfo> other = staged_.list();
    CHECK_EQ(one.size(), other.size());
    for (std::size_t i = 0; i < one.size() && i < other.size(); i++) {
      CHECK_EQ(one[i].public_port, other[i].public_port);
      CHECK_EQ(std::string(one[i].state), std::string(other[i].state));
      CHECK_EQ(one[i].idle_ms, other[i].idle_ms);
      CHECK_EQ(one[i].packets_out, other[i].packets_out);
      CHECK_EQ(one[i].packets_in, other[i].packets_in);
    }
    PublicInfo publics[2][8];
    std::uint32_t at[2] = {0, 0};
    const std::size_t n = quick_.engine->list_publics(publics[0], &at[0]);
    CHECK_EQ(n, staged_.engine->list_publics(publics[1], &at[1]));
    for (std::size_t i = 0; i < n; i++) {
      CHECK_EQ(publics[0][i].traffic.bytes_out,
               publics[1][i].traffic.bytes_out);
      CHECK_EQ(publics[0][i].traffic.bytes_in, publics[1][i].traffic.bytes_in);
    }
  }

  Random random_;
  World quick_{strict()};
  World staged_{strict()};
  std::vector<Bytes> sent_;
};

}  // namespace

TEST("established: the second packet of a flow takes the short way") {
  World w(strict());
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  CHECK(!takes(w, frame(packet), true));
  const Seen sent(w.inside(packet)[0].ip);
  CHECK(takes(w, frame(packet), true));
  CHECK_EQ(w.take().size(), 1u);
  CHECK(takes(w, make_udp(kServer, 53, kPublic1, sent.sport), false));
  CHECK_EQ(w.take().size(), 1u);
}

TEST("established: what is not quiet is left to the stages as it came") {
  World w(strict());
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  (void)w.inside(packet);
  Path elsewhere = World::path_in();
  elsewhere.peer_ip = kNode + 1;
  CHECK(!takes(w, frame(packet), true, elsewhere));
  Path marked = World::path_in();
  marked.tos = 3;
  CHECK(!takes(w, frame(packet), true, marked));
  CHECK(!takes(w, frame(packet, kRouterMac2), true));
  CHECK(!takes(w, frame(make_udp(kHostA, 40000, kServer, 53, {}, {.ttl = 1})),
               true));
  Bytes corrupt = packet;
  corrupt[10] ^= 1;
  CHECK(!takes(w, frame(corrupt), true));
  CHECK(!takes(
      w, frame(make_udp(kHostA, 40000, kServer, 53, {}, {.fragment = 0x2000})),
      true));
  w.now += 10 * 60 * 1000;
  CHECK(!takes(w, frame(packet), true));
  CHECK(w.take().empty());
}

TEST("established: a rule that is gone ends the short way") {
  World w(strict());
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  (void)w.inside(packet);
  CHECK(takes(w, frame(packet), true));
  CHECK(w.apply(RemoveRule{1, {ip4(10, 4, 4, 0), 22}}) == nullptr);
  CHECK(!takes(w, frame(packet), true));
}

TEST("established: a flow that ended in the burst takes nothing more") {
  World w(strict());
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  (void)w.inside(packet);
  CHECK(w.apply(RemoveRule{1, {ip4(10, 4, 4, 0), 22}}) == nullptr);
  Bytes corrupt = packet;
  corrupt[10] ^= 1;
  // The first finds the flow dead and frees its record, which keeps its key.
  Burst burst({frame(packet), frame(corrupt)}, World::path_in());
  w.engine->process_underlay(burst.packets, w.now, w);
  CHECK(w.take().empty());
  CHECK_EQ(w.dropped(Drop::kSpoofedSource), 1u);
  CHECK_EQ(w.dropped(Drop::kBadIpChecksum), 1u);
}

TEST("established: a 1:1 host's packets take the short way at once") {
  World w(strict());
  w.add_aip();
  const Bytes out = make_udp(kHostA, 40000, kServer, 53);
  CHECK(takes(w, frame(out), true));
  const Outs sent = w.take();
  CHECK_EQ(Seen(sent[0].ip).src, kAip);
  CHECK_EQ(Seen(sent[0].ip).sport, 40000);
  CHECK(takes(w, make_tcp(kServer, 80, kAip, 9, kAck), false));
  const Outs came = w.take();
  CHECK_EQ(Seen(came[0].ip).dst, kHostA);
  CHECK(came[0].to.dst_ip == kNode);
}

TEST("established: what a 1:1 host may not send is left to the stages") {
  World w(strict());
  w.add_aip();
  const auto to = [](Ip4 ip) { return frame(make_udp(kHostA, 9, ip, 53)); };
  for (const Ip4 ip : {kAip, kPublic1, kRouter1, kHostB, ip4(224, 0, 0, 1),
                       ip4(127, 0, 0, 1)}) {
    CHECK(!takes(w, to(ip), true));
  }
  Path elsewhere = World::path_in();
  elsewhere.peer_ip = kNode + 1;
  CHECK(!takes(w, to(kServer), true, elsewhere));
  CHECK(!takes(w, frame(make_tcp(kHostA, 9, kServer, 80, kSyn)), true));
  CHECK(!takes(w, frame(make_udp(kHostA, 9, kServer, 53), kRouterMac2), true));
  CHECK(!takes(w, make_udp(ip4(224, 0, 0, 1), 9, kAip, 53), false));
  CHECK(w.apply(RemoveOneToOne{1, kHostA}) == nullptr);
  CHECK(!takes(w, to(kServer), true));
  CHECK(!takes(w, make_udp(kServer, 53, kAip, 9), false));
  CHECK(w.take().empty());
}

TEST("established: a flow from before its host's 1:1 entry goes first") {
  World w(strict());
  const Bytes packet = make_udp(kHostA, 40000, kServer, 53);
  const Seen before(w.inside(packet)[0].ip);
  w.add_aip();
  CHECK(takes(w, frame(packet), true));
  const Outs sent = w.take();
  CHECK_EQ(Seen(sent[0].ip).src, kPublic1);
  CHECK_EQ(Seen(sent[0].ip).sport, before.sport);
}

TEST("established: both ways give the same bytes, counts and flows") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    Ways ways(seed);
    for (int i = 0; i < 300; i++) ways.step();
    CHECK(ways.sent() > 1000);
  }
}

}  // namespace vxlnat::test
