// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The packets that chance sends to the engine and its twin; see pair.h.

#include <set>

#include "test/twin/pair.h"

namespace vxlnat::test {

// An address of rules or entries, mostly one that is in use.
Ip4 Pair::some_public() {
  if (!twin_.flows().empty() && !one_in(4)) return one_of(twin_.flows()).shown;
  return ip4(3, 3, 3, 2) + pick(6);
}

std::uint16_t Pair::some_port() {
  if (!twin_.flows().empty() && one_in(2)) {
    return one_of(twin_.flows()).shown_port;
  }
  const EngineConfig& c = mode_.config;
  return static_cast<std::uint16_t>(c.port_low +
                                    pick(c.port_high - c.port_low + 1u));
}

IpOptions Pair::some_options() {
  IpOptions o;
  o.ttl = one_in(30) ? static_cast<std::uint8_t>(pick(3)) : std::uint8_t{64};
  o.id = static_cast<std::uint16_t>(pick(65536));
  o.fragment = one_in(4) ? 0 : 0x4000;
  o.tos = static_cast<std::uint8_t>(pick(256));
  if (one_in(10)) o.options = {1, 1, 0x94, 4, 0, 0, 1, 0};
  return o;
}

Bytes Pair::some_data() {
  Bytes data(pick(40));
  for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(pick(256));
  return data;
}

Bytes Pair::segment(Ip4 src, std::uint16_t sport, Ip4 dst,
                    std::uint16_t dport) {
  static constexpr int kUsual[] = {kSyn,        kSyn | kAck, kAck,       kAck,
                                   kFin | kAck, kRst,        kRst | kAck};
  const int flags =
      one_in(20) ? static_cast<int>(pick(64)) : kUsual[pick(std::size(kUsual))];
  Bytes b = make_tcp(src, sport, dst, dport, static_cast<std::uint8_t>(flags),
                     some_data(), some_options());
  if ((flags & kSyn) != 0 && one_in(2)) {
    // What is announced, at an even place and at an odd one.
    const bool odd = one_in(2);
    Bytes options = {1,
                     2,
                     4,
                     static_cast<std::uint8_t>(pick(8)),
                     static_cast<std::uint8_t>(pick(256)),
                     1,
                     1,
                     0};
    if (!odd) std::rotate(options.begin(), options.begin() + 1, options.end());
    const auto head = static_cast<std::ptrdiff_t>(wire::ip::header_size(&b[0]));
    b.insert(b.begin() + head + 20, options.begin(), options.end());
    b[static_cast<std::size_t>(head) + 12] = 0x70;
    put16(&b[2], static_cast<std::uint16_t>(b.size()));
  }
  if (one_in(5)) {
    put32(&b[wire::ip::header_size(&b[0]) + 4], pick(0xffffffff));
  }
  return changed(b, {});
}

Bytes Pair::some_packet(Ip4 src, std::uint16_t sport, Ip4 dst,
                        std::uint16_t dport, std::uint32_t kind) {
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

void Pair::send_inside(const Bytes& packet, Vni v) {
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

void Pair::send() {
  const Vni v = 1 + pick(4);
  const Ip4 src = one_in(60) ? ip4(10, 9, 9, 9) : host(pick(6));
  Ip4 dst = kServer + pick(2);
  std::uint16_t dport = one_in(2) ? 80 : 53;
  if (one_in(8)) {  // a hairpin, perhaps to a flow's own port
    dst = some_public();
    dport = some_port();
  } else if (one_in(40)) {
    dst = one_in(2) ? kRouter1 : host(pick(6));
  }
  const std::uint16_t sport = one_in(8) ? some_port() : private_port();
  send_inside(some_packet(src, sport, dst, dport, one_in(20) ? 3 : pick(8)), v);
}

void Pair::answer() {
  Ip4 shown = some_public();
  Ip4 remote = kServer + pick(2);
  std::uint16_t port = some_port();
  std::uint16_t remote_port = one_in(2) ? 80 : 53;
  std::uint32_t kind = pick(6);
  const auto& flows = twin_.flows();
  if (!flows.empty() && !one_in(6)) {
    const TwinFlow& f = one_of(flows);
    shown = f.shown;
    remote = f.remote;
    port = f.shown_port;
    remote_port = f.remote_port;
    kind = f.proto == kUdp ? 0 : f.proto == kIcmp ? 2 : 5;
  }
  if (one_in(6)) {  // a stranger, who knows the port
    remote = kServer + pick(4);
    remote_port = static_cast<std::uint16_t>(50 + pick(4));
  }
  if (remote >> 24 == 3) return;  // only a host of ours has that address
  if (one_in(30)) kind = pick(8);
  const Bytes packet = some_packet(remote, remote_port, shown, port, kind);
  observe([&] { return w_.outside(packet); });
  compare(packet, twin_.inbound(packet), false);
  remember(outs_.size() == 1 ? outs_[0].vnet : 0, false, packet);
}

void Pair::tell_error() {
  if (passed_.empty()) return;
  const Passed passed =
      passed_[pick(static_cast<std::uint32_t>(passed_.size()))];
  const Seen about(passed.became);
  if (about.proto != kTcp && about.proto != kUdp && about.proto != kIcmp) {
    return;
  }
  const std::size_t head = wire::ip::header_size(&passed.became[0]);
  std::size_t size =
      head + 8 + pick(static_cast<std::uint32_t>(passed.became.size() - head));
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
          : twin_.error_outbound(error, passed.was, passed.became, passed.vnet);
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

// A datagram in pieces, in any order: what leaves is the datagram that would
// have left whole, in the same pieces.
void Pair::send_pieces() {
  const Vni v = 1 + pick(4);
  const bool turns = one_in(4);
  const Ip4 to = turns ? some_public() : kServer + pick(2);
  const std::uint16_t port = turns ? some_port() : std::uint16_t{53};
  const Bytes whole =
      make_udp(host(pick(6)), private_port(), to, port,
               Bytes(100 + pick(2000), 7), {.id = next_id_++, .fragment = 0});
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

}  // namespace vxlnat::test
