// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Chance drives the engine and its twin through the same packets, changes and
// times; they must agree on every verdict and every byte. VXLNAT_TWIN_STEPS
// and VXLNAT_TWIN_SEED say how long and which way.

#include "test/twin/twin.h"

#include <cstdlib>
#include <set>

#include "engine/hash.h"

namespace vxlnat::test {

namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

EngineConfig small() {
  EngineConfig c = World::small();
  c.check_senders = true;
  c.port_low = 2000;
  c.port_high = 2030;
  c.max_fragments = 8192;
  c.max_held = 2048;
  return c;
}

// A packet that came through, for errors about it.
struct Passed {
  Vni vnet = 0;
  bool outbound = false;
  Bytes was;
  Bytes became;
};

class Pair {
 public:
  explicit Pair(std::uint64_t seed) : random_({seed, 5}), twin_(small()) {
    twin_.chosen_port = [this](const TwinFlow& f) { return port_of(f); };
    twin_.chosen_id = [this] {
      return outs_.empty() ? std::uint16_t{0} : Seen(outs_[0].ip).id;
    };
    for (const Prefix& prefix :
         {Prefix{ip4(10, 4, 4, 0), 22}, Prefix{ip4(10, 5, 5, 0), 24},
          Prefix{ip4(10, 6, 6, 0), 24}}) {
      for (Vni v = 1; v <= 3; v++) w_.apply(RemoveRule{v, prefix});
    }
    twin_.run(w_.now);
    for (Vni v = 1; v <= 4; v++) set_rule(v, 22);
  }

  void step() {
    step_++;
    const std::uint32_t choice = pick(1000);
    if (choice < 480) {
      send();
    } else if (choice < 800) {
      answer();
    } else if (choice < 880) {
      tell_error();
    } else if (choice < 910) {
      send_pieces();
    } else if (choice < 960) {
      change();
    } else {
      w_.run(pick(3) == 0 ? pick(300000) : pick(3000));
      twin_.run(w_.now);
    }
  }

  // The flows of both, field for field.
  void compare_flows() {
    std::uint64_t live = 0;
    for (const TwinFlow& f : twin_.flows()) live += Twin::is_live(f);
    CHECK_EQ(w_.list().size(), live);
    for (const FlowInfo& info : w_.list()) {
      const TwinFlow* found = nullptr;
      for (const TwinFlow& f : twin_.flows()) {
        if (f.vnet == info.vnet && f.proto == info.proto &&
            f.inside == info.private_ip && f.remote == info.remote_ip &&
            f.inside_port == info.private_port &&
            f.remote_port == info.remote_port) {
          found = &f;
        }
      }
      CHECK(found != nullptr);
      if (found == nullptr) continue;
      CHECK_EQ(info.public_ip, found->shown);
      CHECK_EQ(info.public_port, found->shown_port);
      CHECK_EQ(info.idle_ms, w_.now - found->seen);
      CHECK_EQ(info.packets_out, found->packets_out);
      CHECK_EQ(info.packets_in, found->packets_in);
    }
  }
  std::uint64_t agreed() const { return agreed_; }

 private:
  std::uint32_t pick(std::uint32_t n) { return random_.below(n); }
  bool one_in(std::uint32_t n) { return pick(n) == 0; }
  static Ip4 host(std::uint32_t n) { return ip4(10, 4, 4, 5) + n; }
  static Ip4 node(Vni v) { return kNode + v; }

  std::optional<std::uint16_t> port_of(const TwinFlow& f) {
    FlowFilter filter;
    filter.vnet = f.vnet;
    filter.private_ip = f.inside;
    filter.remote_ip = f.remote;
    for (const FlowInfo& info : w_.list(filter)) {
      if (info.proto == f.proto && info.private_port == f.inside_port &&
          info.remote_port == f.remote_port) {
        return info.public_port;
      }
    }
    return std::nullopt;
  }

  template <typename Op>
  void apply(const Op& op) {
    const char* error = w_.apply(op);
    CHECK_EQ(error == nullptr, twin_.apply(op));
  }
  void set_rule(Vni v, std::uint8_t bits) {
    apply(SetRule{v,
                  static_cast<std::uint16_t>(v - 1),
                  {bits == 22 ? ip4(10, 4, 4, 0) : ip4(10, 4, 4, 4), bits},
                  bits == 22 ? kRouter1 : ip4(10, 4, 4, 4),
                  kRouterMac1 + v,
                  ip4(3, 3, 3, 2) + pick(2)});
    for (std::uint32_t h = 0; h < 6; h++) {
      apply(SetRemote{v, host(h), kHostMac + v * 16 + h, node(v), 4789});
    }
  }
  void change() {
    const Vni v = 1 + pick(4);
    const Ip4 h = host(pick(6));
    const std::uint8_t bits = one_in(2) ? 22 : 30;
    const Prefix prefix = {bits == 22 ? ip4(10, 4, 4, 0) : ip4(10, 4, 4, 4),
                           bits};
    switch (pick(7)) {
      case 0:
        apply(RemoveRule{v, prefix});
        break;
      case 1:
        set_rule(v, bits);
        break;
      case 2:
      case 3:
        apply(SetOneToOne{v, static_cast<std::uint16_t>(v - 1), h,
                          ip4(3, 3, 3, 3) + pick(5)});
        break;
      case 4:
        apply(RemoveOneToOne{v, h});
        break;
      case 5:
        if (twin_.match(v, h) == nullptr) break;
        apply(SetRemote{v, h, kHostMac + pick(99), node(v), 4789});
        break;
      default: {
        const auto flows = w_.list();
        if (flows.empty()) break;
        const auto& f = flows[pick(static_cast<std::uint32_t>(flows.size()))];
        apply(RemoveFlow{f.proto, f.public_ip, f.public_port, f.remote_ip,
                         f.remote_port});
      }
    }
    w_.take();
  }

  IpOptions some_options() {
    IpOptions o;
    o.ttl = one_in(30) ? static_cast<std::uint8_t>(pick(3)) : std::uint8_t{64};
    o.id = static_cast<std::uint16_t>(pick(65536));
    o.fragment = one_in(4) ? 0 : 0x4000;
    o.tos = static_cast<std::uint8_t>(pick(256));
    if (one_in(10)) o.options = {1, 1, 0x94, 4, 0, 0, 1, 0};
    return o;
  }
  Bytes some_data() {
    Bytes data(pick(40));
    for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(pick(256));
    return data;
  }
  Bytes segment(Ip4 src, std::uint16_t sport, Ip4 dst, std::uint16_t dport) {
    static constexpr int kUsual[] = {kSyn,        kSyn | kAck, kAck,       kAck,
                                     kFin | kAck, kRst,        kRst | kAck};
    const int flags = one_in(20) ? static_cast<int>(pick(64))
                                 : kUsual[pick(std::size(kUsual))];
    Bytes b = make_tcp(src, sport, dst, dport, static_cast<std::uint8_t>(flags),
                       some_data(), some_options());
    if (one_in(5)) {
      put32(&b[wire::ip::header_size(&b[0]) + 4], pick(0xffffffff));
    }
    return changed(b, {});
  }
  Bytes some_packet(Ip4 src, std::uint16_t sport, Ip4 dst, std::uint16_t dport,
                    std::uint32_t kind) {
    switch (kind) {
      case 0: {
        Bytes b = make_udp(src, sport, dst, dport, some_data(), some_options());
        if (one_in(4)) put16(&b[wire::ip::header_size(&b[0]) + 6], 0);
        return b;
      }
      case 1:
        return make_echo(src, dst, sport, false, some_options());
      case 2:
        return make_echo(src, dst, dport, true, some_options());
      case 3:
        return make_ip(src, dst, 47, some_data(), some_options());
      default:
        return segment(src, sport, dst, dport);
    }
  }

  // Runs the engine; `outs_` and `reason_` are what came of it.
  template <typename Run>
  void observe(Run&& run) {
    const auto& drops = w_.engine->stats().drop;
    std::array<std::uint64_t, kDropCount> before{};
    for (std::size_t i = 0; i < kDropCount; i++) before[i] = drops[i].read();
    outs_ = run();
    reason_.clear();
    for (std::size_t i = 0; i < kDropCount; i++) {
      if (drops[i].read() != before[i]) reason_ += kDropTexts[i].name;
    }
  }

  static bool same(const Out& a, const Out& b) {
    if (a.inside != b.inside || a.ip != b.ip) return false;
    if (!a.inside) return true;
    return a.vnet == b.vnet && a.vlan == b.vlan && a.dst_mac == b.dst_mac &&
           a.src_mac == b.src_mac && a.to.dst_ip == b.to.dst_ip &&
           a.to.dst_port == b.to.dst_port;
  }

  void compare(const Bytes& packet, const Want& want, bool is_outbound) {
    bool right = reason_ == want.drop;
    if (want.report && outs_.size() == 1) {
      right = right && same(outs_[0], *want.report);
    } else {
      right = right && outs_.size() == want.outs.size();
      for (std::size_t i = 0; right && i < outs_.size(); i++) {
        right = same(outs_[i], want.outs[i]);
      }
    }
    agreed_ += right;
    if (right) return;
    fail(__FILE__, __LINE__,
         "step " + std::to_string(step_) + (is_outbound ? " out " : " in ") +
             hex(packet) + ": " + reason_ + ", twin: " + want.drop);
    for (const Out& out : outs_) fail("engine", 0, hex(out.ip));
    for (const Out& out : want.outs) fail("twin", 0, hex(out.ip));
  }

  void remember(Vni v, bool is_outbound, const Bytes& was) {
    if (outs_.size() != 1 || outs_[0].inside == is_outbound) return;
    Passed passed = {v, is_outbound, was, outs_[0].ip};
    if (passed_.size() < 64) {
      passed_.push_back(passed);
    } else {
      passed_[pick(64)] = passed;
    }
  }

  void send_inside(const Bytes& packet, Vni v) {
    const Ip4 from = one_in(50) ? kNode + 99 : node(v);
    observe([&] {
      return w_.datagram(World::frame(packet, v, kRouterMac1 + v, -1),
                         World::path_from(from));
    });
    const Want want = twin_.outbound(packet, v, from);
    // What the router answers, gateway tests look at.
    if (want.drop.empty() && want.outs.empty()) {
      CHECK_EQ(outs_.size(), 1u);
      return;
    }
    compare(packet, want, true);
    remember(v, true, packet);
  }

  void send() {
    const Vni v = 1 + pick(4);
    const Ip4 src = one_in(60) ? ip4(10, 9, 9, 9) : host(pick(6));
    Ip4 dst = kServer + pick(2);
    std::uint16_t dport = one_in(2) ? 80 : 53;
    if (one_in(8)) {  // a hairpin, perhaps to a flow's own port
      dst = ip4(3, 3, 3, 2) + pick(6);
      dport = static_cast<std::uint16_t>(2000 + pick(31));
    } else if (one_in(40)) {
      dst = one_in(2) ? kRouter1 : host(pick(6));
    }
    const auto sport =
        static_cast<std::uint16_t>(one_in(8) ? 2000 + pick(31) : 1 + pick(3));
    send_inside(some_packet(src, sport, dst, dport, one_in(20) ? 3 : pick(8)),
                v);
  }

  void answer() {
    Ip4 shown = ip4(3, 3, 3, 2) + pick(6);
    Ip4 remote = kServer + pick(2);
    auto port = static_cast<std::uint16_t>(2000 + pick(31));
    std::uint16_t remote_port = one_in(2) ? 80 : 53;
    std::uint32_t kind = pick(6);
    const auto& flows = twin_.flows();
    if (!flows.empty() && !one_in(6)) {
      auto at = flows.begin();
      std::advance(at, pick(static_cast<std::uint32_t>(flows.size())));
      shown = at->shown;
      remote = at->remote;
      port = at->shown_port;
      remote_port = at->remote_port;
      kind = at->proto == kUdp ? 0 : at->proto == kIcmp ? 2 : 5;
    }
    if (remote >> 24 == 3) return;  // only a host of ours has that address
    if (one_in(30)) kind = pick(8);
    const Bytes packet = some_packet(remote, remote_port, shown, port, kind);
    observe([&] { return w_.outside(packet); });
    compare(packet, twin_.inbound(packet), false);
    remember(outs_.size() == 1 ? outs_[0].vnet : 0, false, packet);
  }

  // A router on the way, or the receiver, says that a packet came to nothing.
  void tell_error() {
    if (passed_.empty()) return;
    const Passed passed =
        passed_[pick(static_cast<std::uint32_t>(passed_.size()))];
    const Seen about(passed.became);
    if (about.proto != kTcp && about.proto != kUdp && about.proto != kIcmp) {
      return;
    }
    const std::size_t head = wire::ip::header_size(&passed.became[0]);
    std::size_t size =
        head + 8 +
        pick(static_cast<std::uint32_t>(passed.became.size() - head));
    // Half a checksum cannot be told right from wrong.
    if (about.proto == kTcp && size == head + 17) size++;
    const std::uint8_t type = one_in(2) ? 3 : one_in(2) ? 11 : 12;
    const Bytes quote = first(passed.became, size);
    const Ip4 from = passed.outbound ? ip4(198, 51, 100, 1) : about.dst;
    IpOptions o = some_options();
    o.ttl = 64;
    o.fragment = 0x4000;
    const Bytes error = make_icmp(from, about.src, type, 4, 1400, quote, o);
    const auto want =
        passed.outbound
            ? twin_.error_inbound(error, passed.was, passed.became, passed.vnet)
            : twin_.error_outbound(error, passed.was, passed.became,
                                   passed.vnet);
    if (!want) return;
    observe([&] {
      return passed.outbound
                 ? w_.outside(error)
                 : w_.datagram(World::frame(error, passed.vnet,
                                            kRouterMac1 + passed.vnet, -1),
                               World::path_from(node(passed.vnet)));
    });
    compare(error, *want, !passed.outbound);
  }

  // A datagram in pieces, in any order: what leaves is the datagram that
  // would have left whole, in the same pieces.
  void send_pieces() {
    const Vni v = 1 + pick(4);
    const bool turns = one_in(4);
    const Ip4 to = turns ? ip4(3, 3, 3, 2) + pick(6) : kServer + pick(2);
    const std::uint32_t port = turns && one_in(2) ? 2000 + pick(31) : 53;
    const Bytes whole =
        make_udp(host(pick(6)), static_cast<std::uint16_t>(1 + pick(3)), to,
                 static_cast<std::uint16_t>(port), Bytes(100 + pick(2000), 7),
                 {.id = next_id_++, .fragment = 0});
    std::vector<Bytes> pieces = cut(whole, 8 + 8 * (5 + pick(100)));
    if (pieces.size() < 2 || pieces.size() > 16) return;
    for (std::size_t i = pieces.size(); i > 1; i--) {
      std::swap(pieces[i - 1], pieces[pick(static_cast<std::uint32_t>(i))]);
    }
    Outs all;
    for (const Bytes& piece : pieces) {
      for (Out& out : w_.datagram(World::frame(piece, v, kRouterMac1 + v, -1),
                                  World::path_from(node(v)))) {
        all.push_back(std::move(out));
      }
    }
    outs_ = all;
    const Want want = twin_.outbound(whole, v, node(v));
    if (want.outs.empty()) {
      CHECK(outs_.size() <= (want.report ? 1u : 0u));
      return;
    }
    std::multiset<Bytes> got;
    for (const Out& out : outs_) got.insert(out.ip);
    std::multiset<Bytes> expected;
    std::size_t longest = 0;
    for (const Bytes& piece : pieces) longest = std::max(longest, piece.size());
    for (const Bytes& piece : cut(want.outs[0].ip, longest - 20)) {
      expected.insert(piece);
    }
    agreed_ += got == expected;
    if (got == expected) return;
    fail(__FILE__, __LINE__, "step " + std::to_string(step_) + " in pieces");
    for (const Bytes& piece : got) fail("engine", 0, hex(first(piece, 32)));
    for (const Bytes& piece : expected) fail("twin", 0, hex(first(piece, 32)));
  }

  Random random_;
  World w_{small()};
  Twin twin_;
  Outs outs_;
  std::string reason_;
  std::vector<Passed> passed_;
  std::uint64_t step_ = 0;
  std::uint64_t agreed_ = 0;
  std::uint16_t next_id_ = 0;
};

}  // namespace

TEST("twin: a naive NAT agrees on every verdict and every byte") {
  const std::uint64_t steps = number_from("VXLNAT_TWIN_STEPS", 60000);
  const std::uint64_t seed = number_from("VXLNAT_TWIN_SEED", 1);
  Pair pair(seed);
  for (std::uint64_t i = 0; i < steps && failures() == 0; i++) {
    pair.step();
    if (i % 500 == 0) pair.compare_flows();
  }
  // The comparison has taken place.
  CHECK(failures() > 0 || pair.agreed() > steps / 2);
}

}  // namespace vxlnat::test
