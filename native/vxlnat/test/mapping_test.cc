// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The mapping modes of a rule: endpoint-independent with filtering alike,
// deterministic, and ports in blocks.

#include <map>
#include <set>

#include "engine/deterministic.h"
#include "test/world.h"

namespace vxlnat::test {

namespace {

const Prefix kPrefix{ip4(10, 4, 4, 0), 22};
constexpr Ip4 kOther = ip4(192, 0, 2, 77);

std::string set(World& w, const RuleOptions& options, Ip4 public_ip = kPublic1,
                const Prefix& prefix = kPrefix, Vni vnet = 1) {
  const char* error =
      w.apply(SetRule{vnet, 0, prefix, prefix.address + 1, kRouterMac1,
                      public_ip, std::make_shared<const RuleOptions>(options)});
  return error == nullptr ? "" : error;
}

RuleOptions independent() {
  RuleOptions options;
  options.mapping = Mapping::kIndependent;
  return options;
}

Seen send(World& w, const Bytes& packet) {
  const Outs out = w.inside(packet);
  return Seen(out.size() == 1 && !out[0].inside ? out[0].ip : Bytes{});
}

Seen udp(World& w, Ip4 from, std::uint16_t port, Ip4 to = kServer,
         std::uint16_t to_port = 53) {
  return send(w, make_udp(from, port, to, to_port));
}

}  // namespace

TEST("mapping: U1 U9 an independent endpoint has one port, open to anybody") {
  World w;
  CHECK_EQ(set(w, independent()), "");
  const Seen one = udp(w, kHostA, 5000);
  CHECK_EQ(udp(w, kHostA, 5000, kServer, 54).sport, one.sport);
  CHECK_EQ(udp(w, kHostA, 5000, kOther, 53).sport, one.sport);
  CHECK(udp(w, kHostA, 5001).sport != one.sport);
  // A third party reaches it, and gets its answer from the same port.
  const auto in = w.outside(make_udp(kOther, 9999, kPublic1, one.sport));
  CHECK_EQ(in.size(), 1u);
  CHECK_EQ(Seen(in[0].ip).dst, kHostA);
  CHECK_EQ(Seen(in[0].ip).dport, 5000);
  CHECK_EQ(udp(w, kHostA, 5000, kOther, 9999).sport, one.sport);
  // U3: no other endpoint has the port, towards anybody.
  for (std::uint16_t n = 1; n <= 1000; n++) {
    CHECK(udp(w, kHostB, n, kOther).sport != one.sport);
  }
  // The protocols are apart, and I1 holds for identifiers.
  const Seen echo = send(w, make_echo(kHostA, kServer, 7));
  CHECK_EQ(send(w, make_echo(kHostA, kOther, 7)).dport, echo.dport);
  CHECK(w.outside(make_echo(kOther + 1, kPublic1, echo.dport, true)).empty());
}

TEST("mapping: U3 who has a flow from before a mapping gets no second one") {
  World w;
  const Seen old = udp(w, kHostA, 5000);
  RuleOptions other_ports = independent();
  other_ports.port_low = old.sport < 40'000 ? 40'000 : 2000;
  other_ports.port_high = static_cast<std::uint16_t>(other_ports.port_low + 99);
  CHECK_EQ(set(w, other_ports), "");
  const Seen mapped = udp(w, kHostA, 5000, kOther, 53);
  CHECK(mapped.sport != old.sport);
  // The first remote finds the mapping; both ends go on with their flow.
  CHECK(w.outside(make_udp(kServer, 53, kPublic1, mapped.sport)).empty());
  CHECK_EQ(w.dropped(Drop::kNoFlow), 1u);
  CHECK_EQ(w.outside(make_udp(kServer, 53, kPublic1, old.sport)).size(), 1u);
  CHECK_EQ(udp(w, kHostA, 5000).sport, old.sport);
  CHECK_EQ(w.list({.remote_ip = kServer}).size(), 1u);
}

TEST("mapping: T3 a request from outside is half open until it is answered") {
  World w;
  CHECK_EQ(set(w, independent()), "");
  const Seen out = send(w, make_tcp(kHostA, 80, kServer, 443, kSyn));
  CHECK(w.outside(make_tcp(kOther, 5, kPublic1, out.sport, kAck)).empty());
  CHECK_EQ(w.dropped(Drop::kNoFlow), 1u);
  const Bytes syn = make_tcp(kOther, 5, kPublic1, out.sport, kSyn);
  CHECK_EQ(w.outside(syn).size(), 1u);
  CHECK_EQ(w.outside(syn).size(), 1u);
  const auto half = w.list({.remote_ip = kOther});
  CHECK_EQ(half.size(), 1u);
  CHECK_EQ(std::string(half.at(0).state), "opening");
  // A challenge passes and is no answer.
  CHECK_EQ(send(w, make_tcp(kHostA, 80, kOther, 5, kAck)).sport, out.sport);
  CHECK_EQ(std::string(w.list({.remote_ip = kOther}).at(0).state), "opening");
  CHECK_EQ(send(w, make_tcp(kHostA, 80, kOther, 5, kSyn | kAck)).sport,
           out.sport);
  CHECK_EQ(std::string(w.list({.remote_ip = kOther}).at(0).state),
           "established");
  // Both ends of a hairpin see public addresses only.
  const auto turn = w.inside(make_tcp(kHostB, 1234, kPublic1, out.sport, kSyn));
  CHECK_EQ(turn.size(), 1u);
  CHECK(turn[0].inside);
  CHECK_EQ(Seen(turn[0].ip).src, kPublic1);
  CHECK_EQ(Seen(turn[0].ip).dst, kHostA);
}

TEST("mapping: P8 an independent port is kept two minutes for its endpoint") {
  World w;
  RuleOptions options = independent();
  options.port_low = options.port_high = 7000;
  CHECK_EQ(set(w, options), "");
  CHECK_EQ(udp(w, kHostA, 1).sport, 7000);
  CHECK_EQ(udp(w, kHostB, 1).src, 0u);
  CHECK_EQ(w.dropped(Drop::kPortExhausted), 1u);
  w.run(300001);
  CHECK_EQ(w.flows(), 0u);
  // Nobody is let in by a mapping without flows, and nobody gets the port.
  CHECK(w.outside(make_udp(kOther, 1, kPublic1, 7000)).empty());
  w.now += 100000;
  CHECK_EQ(udp(w, kHostB, 1).src, 0u);
  // Its endpoint does, and it is held anew.
  CHECK_EQ(udp(w, kHostA, 1).sport, 7000);
  w.run(300001);
  w.now += 119998;
  CHECK_EQ(udp(w, kHostB, 1).src, 0u);
  w.now += 2;
  CHECK_EQ(udp(w, kHostB, 1).sport, 7000);
}

TEST("mapping: every port of an address is bound, and each once") {
  EngineConfig config = World::small();
  config.vnet_share_percent = 100;
  World w(config);
  RuleOptions options = independent();
  options.port_low = 3000;
  options.port_high = 3299;
  CHECK_EQ(set(w, options), "");
  std::set<std::uint16_t> ports;
  for (std::uint16_t n = 1; n <= 300; n++) {
    ports.insert(udp(w, kHostA, n, kServer + n).sport);
  }
  CHECK_EQ(ports.size(), 300u);
  CHECK_EQ(udp(w, kHostA, 301).src, 0u);
  // A rule of the other kind on the same address keeps out of their way.
  CHECK_EQ(set(w, {}, kPublic1, {ip4(10, 5, 5, 0), 24}), "");
  for (std::uint16_t n = 1; n <= 200; n++) {
    const Seen seen = udp(w, ip4(10, 5, 5, 5), n);
    CHECK(seen.sport < 3000 || seen.sport > 3299);
  }
}

TEST("mapping: bindings end with their rule, and a full table is counted") {
  EngineConfig config = World::small();
  config.max_bindings = 8;
  World w(config);
  CHECK_EQ(set(w, independent()), "");
  for (std::uint16_t n = 1; n <= 9; n++) udp(w, kHostA, n);
  CHECK_EQ(w.dropped(Drop::kBindingTableFull), 1u);
  CHECK(w.apply(RemoveRule{1, kPrefix}) == nullptr);
  w.run(1);
  CHECK_EQ(w.flows(), 0u);
  CHECK_EQ(set(w, independent()), "");
  for (std::uint16_t n = 21; n <= 28; n++) CHECK(udp(w, kHostA, n).src != 0);
  // Back to dependent: what is mapped goes on until it ends.
  const Seen old = udp(w, kHostA, 21, kOther);
  CHECK_EQ(set(w, {}), "");
  CHECK_EQ(udp(w, kHostA, 21, kOther).sport, old.sport);
  CHECK(w.outside(make_udp(kOther + 1, 1, kPublic1, old.sport)).empty());
}

// One table with test/unit/vxlnatd/deterministic.test.ts.
TEST("mapping: P11 the arithmetic of a deterministic rule") {
  struct Row {
    unsigned bits;
    std::size_t pool;
    unsigned low, high;
    Ip4 host;
    std::size_t address;
    unsigned from, to;
  };
  const Row rows[] = {
      {28, 1, 1024, 65535, 0, 0, 1024, 5055},
      {28, 1, 1024, 65535, 15, 0, 61504, 65535},
      {24, 2, 1024, 65535, 127, 0, 65032, 65535},
      {24, 2, 1024, 65535, 128, 1, 1024, 1527},
      {24, 3, 1024, 65535, 171, 1, 64774, 65523},
      {22, 1, 2000, 5000, 1023, 0, 4046, 4047},
      {32, 1, 1024, 65535, 0, 0, 1024, 65535},
  };
  for (const Row& row : rows) {
    const Prefix prefix{ip4(10, 4, 4, 0), static_cast<std::uint8_t>(row.bits)};
    const HostPorts own = ports_of(prefix, row.pool,
                                   {static_cast<std::uint16_t>(row.low),
                                    static_cast<std::uint16_t>(row.high)},
                                   prefix.address + row.host);
    CHECK_EQ(own.address, row.address);
    CHECK_EQ(unsigned{own.ports.low}, row.from);
    CHECK_EQ(unsigned{own.ports.high}, row.to);
  }
}

TEST("mapping: P11 a deterministic rule gives what its arithmetic says") {
  World w;
  const Prefix prefix{ip4(10, 4, 4, 0), 24};
  RuleOptions options;
  options.mapping = Mapping::kDeterministic;
  options.more_public_ips = {ip4(3, 3, 3, 51)};
  CHECK_EQ(set(w, options, ip4(3, 3, 3, 50), prefix), "");
  for (std::uint32_t n = 2; n < 250; n += 31) {
    const Ip4 host = prefix.address + n;
    const HostPorts own = ports_of(prefix, 2, {1024, 65535}, host);
    for (std::uint16_t port = 1; port <= 3; port++) {
      const Seen seen = udp(w, host, port);
      CHECK_EQ(seen.src, ip4(3, 3, 3, 50) + own.address);
      CHECK(own.ports.holds(seen.sport));
    }
  }
  // A host has all of its ports towards a remote, and no more.
  const HostPorts own = ports_of(prefix, 2, {1024, 65535}, kHostB);
  std::set<std::uint16_t> ports;
  for (std::uint32_t n = 0; n < own.ports.size(); n++) {
    ports.insert(
        udp(w, kHostB, static_cast<std::uint16_t>(1 + n), kOther).sport);
  }
  CHECK_EQ(ports.size(), own.ports.size());
  CHECK_EQ(udp(w, kHostB, 9999, kOther).src, 0u);
  CHECK(udp(w, kHostB, 9999, kOther + 1).src != 0);
  // Nobody shares its addresses, and another arithmetic ends its flows.
  CHECK(set(w, {}, ip4(3, 3, 3, 51), kPrefix, 9).find("alone") !=
        std::string::npos);
  CHECK_EQ(set(w, options, ip4(3, 3, 3, 50), prefix), "");
  w.run(1);
  CHECK(w.flows() > 500);
  options.port_low = 2000;
  options.port_high = 60000;
  CHECK_EQ(set(w, options, ip4(3, 3, 3, 50), prefix), "");
  w.run(1);
  CHECK_EQ(w.flows(), 0u);
  CHECK_EQ(set(w, {}, ip4(3, 3, 3, 50), prefix), "");
  CHECK_EQ(set(w, {}, ip4(3, 3, 3, 51), kPrefix, 9), "");
}

TEST("mapping: P10 a host's ports come in blocks that are its alone") {
  EngineConfig config = World::small();
  config.vnet_share_percent = 100;
  World w(config);
  RuleOptions options;
  options.block_size = 64;
  CHECK_EQ(set(w, options), "");
  std::map<unsigned, Ip4> owner;
  std::map<Ip4, std::set<unsigned>> blocks;
  for (std::uint32_t n = 0; n < 1500; n++) {
    const Ip4 host = kHostA + n % 10;
    const Seen seen = udp(w, host, static_cast<std::uint16_t>(1 + n));
    const unsigned block = seen.sport / 64u;
    CHECK_EQ(owner.emplace(block, host).first->second, host);
    blocks[host].insert(block);
  }
  // 150 flows towards one remote need three blocks and no more.
  for (const auto& [host, own] : blocks) CHECK_EQ(own.size(), 3u);
  // Towards another remote the same ports serve again.
  for (std::uint16_t n = 0; n < 100; n++) {
    const Seen seen = udp(w, kHostA, static_cast<std::uint16_t>(1 + n), kOther);
    CHECK(blocks[kHostA].count(seen.sport / 64u) == 1);
  }
  // A rule without blocks keeps out of them.
  CHECK_EQ(set(w, {}, kPublic1, {ip4(10, 5, 5, 0), 24}), "");
  for (std::uint16_t n = 1; n <= 200; n++) {
    CHECK_EQ(owner.count(udp(w, ip4(10, 5, 5, 5), n).sport / 64u), 0u);
  }
  w.run(301000);
  CHECK_EQ(w.flows(), 0u);
}

TEST("mapping: blocks are used up and given back to the last one") {
  EngineConfig config = World::small();
  config.vnet_share_percent = 100;
  World w(config);
  for (const Mapping mapping : {Mapping::kDependent, Mapping::kIndependent}) {
    RuleOptions options;
    options.mapping = mapping;
    options.block_size = 128;
    options.port_low = 2000;
    options.port_high = 2700;
    CHECK_EQ(set(w, options), "");
    for (int round = 0; round < 3; round++) {
      // Whole blocks from 2048 to 2687: five.
      for (std::uint32_t n = 0; n < 5; n++) {
        const Seen seen = udp(w, kHostA + n, 1);
        CHECK(seen.sport >= 2048 && seen.sport < 2688);
      }
      CHECK_EQ(udp(w, kHostA + 5, 1).src, 0u);
      CHECK(udp(w, kHostA, 2).src != 0);
      w.run(301000);
      w.run(120000);
      CHECK_EQ(w.flows(), 0u);
    }
  }
}

}  // namespace vxlnat::test
