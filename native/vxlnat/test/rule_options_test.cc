// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a rule may say beyond where it leads: pools, ranges, idle times, what is
// exempt, the longest segment, and draining an address.

#include <map>
#include <set>

#include "engine/port_range.h"
#include "test/rules.h"

namespace vxlnat::test {

TEST("options: a wrong option is refused with its reason, nothing changed") {
  World w;
  w.add_aip();
  const Seen before = udp(w, kHostB, 1);
  const auto refused = [&](auto change, const char* text) {
    RuleOptions options;
    change(options);
    const std::string error = set(w, options);
    if (error.find(text) == std::string::npos) CHECK_EQ(error, text);
  };
  using O = RuleOptions;
  refused([](O& o) { o.port_low = 5; }, "port_low");
  refused([](O& o) { o.port_low = 9, o.port_high = 5; }, "port_low");
  refused([](O& o) { o.slice = o.slices = 2; }, "slice");
  refused([](O& o) { o.slices = 65535; }, "slices");
  refused([](O& o) { o.block_size = 100; }, "block_size");
  refused([](O& o) { o.mss = 100; }, "mss");
  refused([](O& o) { o.more_public_ips = {kPublic1}; }, "twice");
  refused([](O& o) { o.more_public_ips = {0}; }, "0.0.0.0");
  refused([](O& o) { o.more_public_ips = {kAip}; }, "1:1 entry");
  refused([](O& o) { o.more_public_ips.resize(64, 1); }, "at most 64");
  refused([](O& o) { o.exempt = {{kHostA, 8}}; }, "exempt");
  refused([](O& o) { o.exempt.resize(65); }, "at most 64");
  refused([](O& o) { o.timers = Timers{.udp = 0}; }, "timers");
  refused([](O& o) { o.mapping = Mapping::kDeterministic; }, "its alone");
  CHECK_EQ(udp(w, kHostB, 1).sport, before.sport);
  CHECK_EQ(w.engine->stats().rules.read(), 4u);
}

TEST("options: U2 P1 a host stays with one address, hosts use all") {
  EngineConfig config = World::small();
  config.max_flows = 16384;
  World w(config);
  CHECK_EQ(set(w, pool_options()), "");
  std::set<Ip4> used;
  for (std::uint16_t n = 1; n <= 500; n++) {
    used.insert(udp(w, kHostA, n).src);
    used.insert(send(w, make_tcp(kHostA, n, kServer + 1, 80, kSyn)).src);
  }
  CHECK_EQ(used.size(), 1u);
  CHECK_EQ(send(w, make_echo(kHostA, kServer, 9)).src, *used.begin());
  std::map<Ip4, unsigned> spread;
  for (std::uint32_t n = 0; n < 1000; n++) {
    spread[udp(w, kRouter1 + 1 + n % 900, 1).src]++;
  }
  CHECK_EQ(spread.size(), 4u);
  for (const auto& [ip, hosts] : spread) CHECK(hosts > 190 && hosts < 310);
  // P2: each is answered.
  for (const Ip4 ip : kPool) CHECK_EQ(w.list({.public_ip = ip}).empty(), false);
  // Nor does it leave its address when that has no port for it.
  RuleOptions narrow = pool_options();
  narrow.port_low = narrow.port_high = 2000;
  CHECK_EQ(set(w, narrow), "");
  CHECK_EQ(udp(w, kHostA, 1, kServer + 2).src, *used.begin());
  CHECK_EQ(udp(w, kHostA, 2, kServer + 2).src, 0u);
}

TEST("options: G2 a pool that grows moves nobody, one that shrinks its own") {
  World w;
  for (std::uint32_t n = 0; n < 140; n++) {
    CHECK(w.apply(SetRemote{1, host(n), kHostMac, kNode, 4789}) == nullptr);
  }
  std::map<Ip4, Seen> sent;
  for (std::uint32_t n = 0; n < 40; n++) {
    sent.emplace(host(n), udp(w, host(n), 1));
  }
  CHECK_EQ(set(w, pool_options()), "");
  for (auto& [ip, seen] : sent) {
    const Seen now = udp(w, ip, 1, kServer + 1);
    CHECK_EQ(now.src, kPublic1);
    CHECK(answers(w, kPublic1, seen.sport));
  }
  // New hosts go everywhere.
  std::map<Ip4, Seen> later;
  for (std::uint32_t n = 40; n < 140; n++) {
    later.emplace(host(n), udp(w, host(n), 1));
  }
  // The first address leaves, head of the rule: its flows end, no others.
  RuleOptions fewer;
  fewer.more_public_ips = {kPool[2], kPool[3]};
  w.add_aip(kHostB);
  CHECK_EQ(set(w, fewer, kPool[1]), "");
  for (auto& [ip, seen] : later) {
    CHECK_EQ(answers(w, seen.src, seen.sport), seen.src != kPublic1);
  }
  for (auto& [ip, seen] : sent) CHECK(!answers(w, kPublic1, seen.sport));
  w.run(1);
  CHECK(w.list({.public_ip = kPublic1}).empty());
  CHECK(w.list().size() > 50);
  // The 1:1 entry has gone over to the head that is left.
  CHECK_EQ(w.outside(make_udp(kServer, 1, kAip, 1)).size(), 1u);
  CHECK_EQ(w.engine->stats().rules.read(), 4u);
}

TEST("options: a pool is used up to its last port") {
  World w;
  RuleOptions options;
  options.more_public_ips = {kPool[1], kPool[2]};
  options.port_low = 2000;
  options.port_high = 2199;
  CHECK_EQ(set(w, options), "");
  std::set<std::pair<Ip4, std::uint16_t>> tuples;
  for (std::uint32_t n = 0; n < 600; n++) {
    const Seen seen = udp(w, host(n), 7);
    CHECK(seen.sport >= 2000 && seen.sport <= 2199);
    tuples.emplace(seen.src, seen.sport);
  }
  CHECK_EQ(tuples.size(), 600u);
  CHECK_EQ(udp(w, host(700), 7).src, 0u);
  CHECK_EQ(w.dropped(Drop::kPortExhausted), 1u);
  CHECK(udp(w, host(700), 7, kServer + 1).src != 0);
  const Seen seen = udp(w, host(3), 7);
  CHECK(w.apply(RemoveFlow{kUdp, seen.src, seen.sport, kServer, 53}) ==
        nullptr);
  // Host 700 is paired by now; one that is not finds the free port.
  const Seen next = udp(w, host(701), 7);
  CHECK(next.src == seen.src && next.sport == seen.sport);
}

TEST("options: an address that left the pool holds no host to its successor") {
  World w;
  RuleOptions options;
  options.port_low = options.port_high = 2000;
  CHECK_EQ(set(w, options), "");
  // Two flows of a host, the later one at an address that then leaves.
  CHECK_EQ(udp(w, kHostA, 1).src, kPublic1);
  options.more_public_ips = {kPool[1]};
  CHECK_EQ(set(w, options), "");
  CHECK(w.apply(SetDrain{kPublic1, true}) == nullptr);
  CHECK_EQ(udp(w, kHostA, 2).src, kPool[1]);
  options.more_public_ips.clear();
  CHECK_EQ(set(w, options), "");
  w.run(1);
  // The next one gets its record, and has no port left for the host.
  options.more_public_ips = {kPool[2]};
  CHECK_EQ(set(w, options), "");
  CHECK_EQ(udp(w, kHostB, 1, kServer + 1).src, kPool[2]);
  CHECK(w.apply(SetDrain{kPublic1, false}) == nullptr);
  CHECK_EQ(udp(w, kHostA, 3, kServer + 1).src, kPublic1);
}

TEST("options: a rule's record with its next rule holds no host") {
  // A host used a narrower rule last. That goes, and its record becomes a
  // member of the wider rule, by which the host still has a flow.
  World w;
  RuleOptions options;
  options.port_low = options.port_high = 2000;
  const Prefix narrow{kHostA & ~7u, 29};
  CHECK_EQ(set(w, options), "");
  CHECK_EQ(udp(w, kHostA, 1).src, kPublic1);
  CHECK(w.apply(SetRule{1, 0, narrow, kHostA - 4, kRouterMac1, kPool[1]}) ==
        nullptr);
  CHECK_EQ(udp(w, kHostA, 2).src, kPool[1]);
  CHECK(w.apply(RemoveRule{1, narrow}) == nullptr);
  w.run(1);
  options.more_public_ips = {kPool[1]};
  CHECK_EQ(set(w, options), "");
  CHECK(w.apply(SetDrain{kPublic1, true}) == nullptr);
  CHECK_EQ(udp(w, kHostB, 1, kServer + 1).src, kPool[1]);
  CHECK(w.apply(SetDrain{kPublic1, false}) == nullptr);
  CHECK_EQ(udp(w, kHostA, 3, kServer + 1).src, kPublic1);
}

TEST("options: B13 P12 slices tile the range to its last port") {
  for (const std::uint32_t slices : {1u, 3u, 5u, 7u, 64u, 1000u, 64512u}) {
    std::uint32_t next = 1024;
    for (std::uint32_t i = 0; i < slices; i++) {
      const PortRange part = slice_of({1024, 65535}, i, slices);
      CHECK_EQ(std::uint32_t{part.low}, next);
      next = part.high + 1u;
    }
    CHECK_EQ(next, 65536u);
  }
  World w;
  RuleOptions options;
  options.slice = 4;
  options.slices = 5;
  CHECK_EQ(set(w, options), "");
  const PortRange part = slice_of({1024, 65535}, 4, 5);
  for (std::uint16_t n = 1; n < 300; n++) {
    CHECK(part.holds(udp(w, kHostA, n).sport));
  }
  // A slice of the rule's own range has all of its ports, and no others.
  options.slice = 1;
  options.slices = 3;
  options.port_low = 2000;
  options.port_high = 2010;
  CHECK_EQ(set(w, options), "");
  std::set<std::uint16_t> ports;
  for (std::uint16_t n = 1; n < 9; n++) ports.insert(udp(w, kHostB, n).sport);
  CHECK((ports == std::set<std::uint16_t>{0, 2003, 2004, 2005, 2006}));
}

TEST("options: B43 a changed range leaves flows, and decides about new ones") {
  World w;
  const Seen old = udp(w, kHostA, 1);
  RuleOptions options;
  options.port_low = options.port_high = old.sport == 5000 ? 5001 : 5000;
  CHECK_EQ(set(w, options), "");
  CHECK_EQ(udp(w, kHostA, 1).sport, old.sport);
  CHECK(answers(w, kPublic1, old.sport));
  CHECK_EQ(udp(w, kHostA, 2).sport, options.port_low);
  // What ended outside of the range does not come back there.
  CHECK(w.apply(RemoveFlow{kUdp, kPublic1, old.sport, kServer, 53}) == nullptr);
  CHECK_EQ(udp(w, kHostA, 1).src, 0u);
}

TEST("options: B41 a thousand reloads at work lose and double nothing") {
  EngineConfig config = World::small();
  config.max_flows = 8192;
  config.vnet_share_percent = 100;
  World w(config);
  std::vector<Seen> sent;
  for (std::uint16_t n = 1; n <= 1000; n++) sent.push_back(udp(w, kHost2, n));
  sent.clear();
  for (std::uint16_t n = 1; n <= 1000; n++) sent.push_back(udp(w, kHostA, n));
  RuleOptions options;
  for (std::uint16_t i = 0; i < 1000; i++) {
    options.host.flows = i % 3 == 0 ? 0 : 5000;
    options.mss = i % 2 == 0 ? 0 : 1400;
    options.more_public_ips.clear();
    if (i % 4 != 0) options.more_public_ips.push_back(kPool[i % 4]);
    options.block_size = i % 5 == 0 ? 64 : 0;
    options.timers = Timers{.udp = 300000u + i % 10};
    CHECK_EQ(set(w, options), "");
    CHECK_EQ(set(w, {}, kPublic3, 7), "");
    CHECK(w.apply(RemoveRule{7, kPrefix}) == nullptr);
    CHECK(answers(w, kPublic1, sent[i].sport));
    CHECK_EQ(udp(w, kHostA, static_cast<std::uint16_t>(i + 1)).sport,
             sent[i].sport);
    udp(w, host(1 + i % 200), static_cast<std::uint16_t>(i + 1));
    if (i % 16 == 0) w.run(1);
  }
  std::set<std::tuple<Ip4, std::uint16_t, Ip4>> tuples;
  for (const FlowInfo& f : w.list()) {
    CHECK(tuples.emplace(f.public_ip, f.public_port, f.remote_ip).second);
  }
  for (const Seen& seen : sent) CHECK(answers(w, kPublic1, seen.sport));
}

TEST("options: P4 what is exempt does not leave, and its host is told") {
  World w;
  RuleOptions options;
  options.exempt = {{kServer, 32}};
  CHECK(udp(w, kHostA, 1).src != 0);
  CHECK_EQ(set(w, options), "");
  // The flow that was there goes on.
  CHECK(udp(w, kHostA, 1).src != 0);
  const Outs out = w.inside(make_udp(kHostA, 2, kServer, 53));
  CHECK_EQ(out.size(), 1u);
  CHECK(out[0].inside);
  CHECK_EQ(Seen(out[0].ip).sport, 0x030d);
  CHECK_EQ(w.dropped(Drop::kExempt), 1u);
  CHECK(udp(w, kHostA, 2, kServer + 1).src != 0);
}

namespace {

// A SYN with options: NOPs, then MSS, so that it begins where told.
Bytes syn(Ip4 src, std::uint16_t sport, Ip4 dst, std::uint16_t dport,
          std::uint8_t flags, unsigned nops, std::uint16_t mss) {
  Bytes b(20);
  put16(&b[0], sport);
  put16(&b[2], dport);
  b[13] = flags;
  b.insert(b.end(), nops, 1);
  b.insert(b.end(), {2, 4, static_cast<std::uint8_t>(mss >> 8),
                     static_cast<std::uint8_t>(mss & 0xff)});
  while (b.size() % 4 != 0) b.push_back(0);
  b[12] = static_cast<std::uint8_t>(b.size() / 4 << 4);
  put16(&b[16],
        checksum(b.data(), b.size(), pseudo_sum(src, dst, kTcp, b.size())));
  return make_ip(src, dst, kTcp, b);
}

std::uint16_t mss_of(const Bytes& ip, unsigned nops) {
  const Bytes payload = Seen(ip).payload;
  return payload.size() < 24 + nops ? 0 : get16(&payload[22 + nops]);
}

}  // namespace

TEST("options: T14 a SYN announces no more than fits, both ways, anywhere") {
  World w;
  w.add_aip(kHostB);
  RuleOptions options;
  options.mss = 1410;
  CHECK_EQ(set(w, options), "");
  for (unsigned nops = 0; nops < 4; nops++) {
    const auto port = static_cast<std::uint16_t>(100 + nops);
    const auto out = w.inside(syn(kHostA, port, kServer, 80, kSyn, nops, 1460));
    CHECK_EQ(mss_of(out[0].ip, nops), 1410);
    const auto back = w.outside(syn(
        kServer, 80, kPublic1, Seen(out[0].ip).sport, kSyn | kAck, nops, 8960));
    CHECK_EQ(mss_of(back[0].ip, nops), 1410);
    // A 1:1 host is behind the same tunnel.
    const auto aip = w.outside(syn(kServer, 80, kAip, 9, kSyn, nops, 1460));
    CHECK_EQ(mss_of(aip[0].ip, nops), 1410);
    const auto small =
        w.inside(syn(kHostA, static_cast<std::uint16_t>(200 + nops), kServer,
                     80, kSyn, nops, 900));
    CHECK_EQ(mss_of(small[0].ip, nops), 900);
  }
  // Options that run past the header are left alone.
  Bytes odd = syn(kHostA, 300, kServer, 80, kSyn, 0, 1460);
  odd[41] = 40;
  const Bytes head = first(odd, 20);
  Bytes l4(odd.begin() + 20, odd.end());
  put16(&l4[16], 0);
  put16(&l4[16], checksum(l4.data(), l4.size(),
                          pseudo_sum(kHostA, kServer, kTcp, l4.size())));
  CHECK_EQ(w.inside(make_ip(kHostA, kServer, kTcp, l4)).size(), 1u);
}

TEST("options: idle times of a rule are its own, and hold at once") {
  World w;
  RuleOptions options;
  options.timers = Timers{.udp = 5000};
  const Seen first_one = udp(w, kHostA, 1);
  CHECK_EQ(set(w, options), "");
  const Seen other = send(w, make_udp(kHost2, 1, kServer, 53), 2);
  w.now += 4999;
  CHECK(answers(w, kPublic1, first_one.sport));
  w.now += 5000;
  CHECK(!answers(w, kPublic1, first_one.sport));
  CHECK(answers(w, kPublic2, other.sport));
  // Each change gives up what was there before.
  for (std::uint32_t i = 100; i < 140; i++) {
    options.timers = Timers{.udp = 1000 * i};
    CHECK_EQ(set(w, options), "");
  }
  CHECK_EQ(set(w, {}), "");
  // Fifteen sets beside the engine's, and no more; equal ones are one.
  for (std::uint32_t i = 1; i < 20; i++) {
    options.timers = Timers{.udp = 1000 * i};
    CHECK_EQ(set(w, options, kPublic1, 100 + i).empty(), i <= 15);
    CHECK_EQ(set(w, options, kPublic1, 200 + i).empty(), i <= 15);
  }
  CHECK(w.apply(RemoveRule{101, kPrefix}) == nullptr);
  CHECK(w.apply(RemoveRule{201, kPrefix}) == nullptr);
  CHECK_EQ(set(w, options), "");
}

TEST("options: G2 a draining address keeps its flows and gets no new ones") {
  World w;
  const Seen old = udp(w, kHostA, 1);
  CHECK(w.apply(SetDrain{kPublic1, true}) == nullptr);
  CHECK_EQ(udp(w, kHostA, 2).src, 0u);
  CHECK_EQ(w.dropped(Drop::kPublicDraining), 1u);
  CHECK_EQ(udp(w, kHostA, 1).sport, old.sport);
  CHECK(answers(w, kPublic1, old.sport));
  // Another address of the pool takes over, for this host too.
  CHECK_EQ(set(w, pool_options()), "");
  for (std::uint16_t n = 10; n < 50; n++) {
    CHECK(udp(w, kHostA, n).src != kPublic1);
    CHECK(udp(w, host(n), 1).src != kPublic1);
  }
  CHECK_EQ(w.list({.public_ip = kPublic1}).size(), 1u);
  CHECK(w.apply(SetDrain{kPublic1, false}) == nullptr);
  std::set<Ip4> used;
  for (std::uint32_t n = 100; n < 200; n++) used.insert(udp(w, host(n), 1).src);
  CHECK_EQ(used.size(), 4u);
}

TEST("options: B44 a late kill does not meet the tuple's next owner") {
  EngineConfig config = World::small();
  config.port_low = config.port_high = 2000;
  World w(config);
  const RemoveFlow kill{kUdp,    kPublic1, 2000,
                        kServer, 53,       FlowOwner{1, kHostA, 1}};
  udp(w, kHostA, 1);
  CHECK(w.apply(kill) == nullptr);
  CHECK_EQ(w.flows(), 0u);
  udp(w, kHostB, 1);
  CHECK(w.apply(kill) == nullptr);
  CHECK_EQ(w.flows(), 1u);
}

}  // namespace vxlnat::test
