// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Chance drives an engine through changes of configuration, time and traffic
// of four vnets with the same addresses; what must hold is checked at every
// step. An Internet that answers remembers who sent from each outside tuple,
// so an answer in a foreign vnet is seen.

#include <map>
#include <tuple>

#include "engine/hash.h"
#include "test/world.h"

namespace vxlnat::test {

namespace {

using Tuple = std::tuple<int, Ip4, int, Ip4, int>;
using Owner = std::tuple<Vni, Ip4, int>;

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed) : random_({seed, 99}), w_(config()) {
    for (Vni v = 1; v <= 4; v++) set_rule(v);
    for (Vni v = 1; v <= 4; v++) {
      for (std::uint32_t h = 0; h < 6; h++) {
        w_.apply(SetRemote{v, host(h), kHostMac + v, kNode + v, 4789});
      }
    }
  }

  void step() {
    const std::uint32_t choice = pick(100);
    if (choice < 55) {
      send();
    } else if (choice < 85) {
      answer();
    } else if (choice < 92) {
      change();
    } else if (choice < 98) {
      w_.run(pick(4) == 0 ? pick(400000) : pick(2000));
    } else {
      w_.now += pick(400000);  // without a sweep
    }
  }

  void check_tables() {
    std::map<Tuple, int> outside;
    std::map<std::tuple<Vni, int, Ip4, int, Ip4, int>, int> inside;
    for (const FlowInfo& f : w_.list()) {
      const Tuple out{f.proto, f.public_ip, f.public_port, f.remote_ip,
                      f.remote_port};
      CHECK_EQ(++outside[out], 1);
      const auto in =
          std::make_tuple(f.vnet, int{f.proto}, f.private_ip,
                          int{f.private_port}, f.remote_ip, int{f.remote_port});
      CHECK_EQ(++inside[in], 1);
      CHECK(f.public_port >= 2000 && f.public_port <= 2040);
    }
    const Stats& s = w_.engine->stats();
    CHECK_EQ(s.flows.read(), s.flows_created.read() + s.flows_revived.read() -
                                 s.flows_expired.read());
  }

  void drain() {
    w_.run(8000000);
    w_.run(8000000);
    CHECK_EQ(w_.flows(), 0u);
    CHECK_EQ(w_.engine->stats().fragments.read(), 0u);
    CHECK(answered_ > 100);
  }

 private:
  static EngineConfig config() {
    EngineConfig c = World::small();
    c.max_flows = 300;
    c.port_low = 2000;
    c.port_high = 2040;
    return c;
  }
  std::uint32_t pick(std::uint32_t n) { return random_.below(n); }
  static Ip4 host(std::uint32_t n) { return ip4(10, 4, 4, 5) + n; }
  static Mac router_mac(Vni v) {
    return v == 2 ? kRouterMac2 : v == 3 ? kRouterMac3 : kRouterMac1;
  }
  void set_rule(Vni v) {
    w_.apply(SetRule{v,
                     static_cast<std::uint16_t>(v),
                     {ip4(10, 4, 4, 0), 22},
                     kRouter1,
                     router_mac(v),
                     ip4(3, 3, 3, 2) + pick(2)});
  }

  // Nothing may vanish: every packet is sent on, kept or counted.
  Outs check_outcome(const Outs& out, std::uint64_t before) {
    const Stats& s = w_.engine->stats();
    CHECK(!out.empty() || s.drops.read() + s.kept.read() == before + 1);
    for (const Out& each : out) {
      if (!each.inside) {
        CHECK(Seen(each.ip).src >> 8 == ip4(3, 3, 3, 0) >> 8);
      }
    }
    return out;
  }
  std::uint64_t ended() const {
    return w_.engine->stats().drops.read() + w_.engine->stats().kept.read();
  }

  void send() {
    const Vni v = 1 + pick(4);
    const Ip4 src = host(pick(6));
    const auto sport = static_cast<std::uint16_t>(1 + pick(4));
    const Ip4 dst = kServer + pick(2);
    Bytes packet;
    switch (pick(4)) {
      case 0:
        packet = make_tcp(src, sport, dst, 80,
                          static_cast<std::uint8_t>(1u << pick(5)));
        break;
      case 1:
        packet = make_tcp(src, sport, dst, 80, kSyn);
        break;
      case 2:
        packet = make_udp(src, sport, dst, 53);
        break;
      default:
        packet = make_echo(src, dst, sport);
    }
    const auto before = ended();
    for (const Out& each : check_outcome(w_.inside(packet, v), before)) {
      if (each.inside) continue;
      const Seen s(each.ip);
      const bool icmp = s.proto == kIcmp;
      const Tuple tuple{s.proto, s.src, icmp ? s.dport : s.sport, s.dst,
                        icmp ? 0 : s.dport};
      owners_[tuple] = {v, src, sport};
      last_ = tuple;
    }
  }

  void answer() {
    if (owners_.empty()) return;
    auto at = owners_.begin();
    std::advance(at, pick(static_cast<std::uint32_t>(owners_.size())));
    const auto [proto, pub, port, remote, rport] =
        pick(3) == 0 ? at->first : last_;
    const auto p = static_cast<std::uint16_t>(port);
    const auto r = static_cast<std::uint16_t>(rport);
    Bytes packet = make_echo(remote, pub, p, true);
    if (proto == kTcp) {
      packet = make_tcp(
          remote, r, pub, p,
          pick(3) == 0 ? kAck : static_cast<std::uint8_t>(kSyn | kAck));
    } else if (proto == kUdp) {
      packet = make_udp(remote, r, pub, p);
    }
    const auto before = ended();
    for (const Out& each : check_outcome(w_.outside(packet), before)) {
      const Seen s(each.ip);
      const Owner got{each.vnet, s.dst, s.dport};
      // A 1:1 address may have moved since; a flow's tuple has one owner.
      const Tuple tuple{proto, pub, port, remote, rport};
      if (pub <= ip4(3, 3, 3, 3)) CHECK(got == owners_[tuple]);
      answered_++;
    }
  }

  void change() {
    const Vni v = 1 + pick(4);
    const Ip4 h = host(pick(6));
    switch (pick(6)) {
      case 0:
        w_.apply(RemoveRule{v, {ip4(10, 4, 4, 0), 22}});
        break;
      case 1:
      case 2:
        set_rule(v);
        break;
      case 3:
        // Some of the addresses are rules': refused.
        w_.apply(SetOneToOne{v, 0, h, ip4(3, 3, 3, 8) - pick(7)});
        break;
      case 4:
        w_.apply(RemoveOneToOne{v, h});
        break;
      default:
        w_.apply(SetRemote{v, h, kHostMac + v, kNode + v, 4789});
    }
    w_.take();
  }

  Random random_;
  World w_;
  std::map<Tuple, Owner> owners_;
  Tuple last_;
  int answered_ = 0;
};

}  // namespace

TEST("chance: no foreign vnet, no shared tuple, no private address, no loss") {
  for (std::uint64_t seed = 1; seed <= 6; seed++) {
    Chaos chaos(seed);
    for (int i = 0; i < 20000; i++) {
      chaos.step();
      if (i % 200 == 0) chaos.check_tables();
    }
    chaos.drain();
  }
}

}  // namespace vxlnat::test
