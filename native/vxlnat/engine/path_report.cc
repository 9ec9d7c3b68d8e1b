// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What routers of the underlay say about our own tunnel packets: too big
// (ICMP 3/4), for they never may be fragmented (RFC 7348 section 4.3). From
// then on what is too long for that node is refused before the tunnel, and its
// sender is told (facts: nat-behaviour M4; RFC 4459 section 3.2).
//
// Anybody who reaches the underlay can forge a report, so it must quote what
// we may have sent: from an address of ours, with a source port of ours, a
// vnet of ours when the quote goes so far, and longer than it says would pass.
// Believed or not, nothing becomes shorter than what IPv4 hosts must take.

#include <algorithm>

#include "engine/checksum.h"
#include "engine/engine.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

// IPv4, UDP, VXLAN and Ethernet.
constexpr std::uint16_t kOverhead = 20 + 8 + 8 + 14;
constexpr std::uint16_t kLeastInner = 576;
constexpr std::uint16_t kFirstEntropy = 49152;  // entropy_of

std::uint16_t overhead_of(const Packet& p) {
  return p.vlan == 0 ? kOverhead
                     : static_cast<std::uint16_t>(kOverhead + wire::kTagSize);
}

// The datagram that a too-big message quotes, or nothing.
std::span<const std::uint8_t> quoted(std::span<const std::uint8_t> b,
                                     std::uint16_t* mtu) {
  if (b.size() < wire::ip::kSize || b[0] >> 4 != 4) return {};
  const std::size_t header = wire::ip::header_size(b.data());
  const std::size_t total = get16(&b[wire::ip::kLength]);
  if (header < wire::ip::kSize || b[wire::ip::kProto] != kIcmp ||
      total > b.size() ||
      total < header + wire::icmp::kSize + wire::ip::kSize + wire::udp::kSize) {
    return {};
  }
  const auto icmp = b.first(total).subspan(header);
  if (icmp[0] != wire::icmp::kUnreachable ||
      icmp[wire::icmp::kCode] != wire::icmp::kFragmentationNeeded ||
      checksum(icmp.data(), icmp.size()) != 0) {
    return {};
  }
  *mtu = get16(&icmp[wire::icmp::kMtu]);
  return icmp.subspan(wire::icmp::kSize);
}

bool may_be_ours(const Context& c, std::span<const std::uint8_t> quote,
                 std::uint16_t mtu) {
  const std::uint8_t* udp = &quote[wire::ip::kSize];
  if (quote[0] != 0x45 || quote[wire::ip::kProto] != kUdp ||
      c.layout.ul3_count == 0 || !c.serves(get32(&quote[wire::ip::kSrc])) ||
      get16(&quote[wire::ip::kLength]) <= mtu) {
    return false;
  }
  const std::uint16_t port = get16(udp);
  if (port < kFirstEntropy && port != c.config.vxlan_port) return false;
  constexpr std::size_t kVxlan = wire::ip::kSize + wire::udp::kSize;
  if (quote.size() < kVxlan + wire::kVxlanSize) return true;
  return c.rules.find_vnet(get32(&quote[kVxlan + 4]) >> 8) != kNoSlot;
}

}  // namespace

void tell_least_mtu(Context& c) {
  const int least = c.paths.least() - kOverhead - int{wire::kTagSize};
  const int inner = std::min<int>(c.config.inner_mtu, least);
  std::atomic_ref(c.layout.inner_mtu)
      .store(static_cast<std::uint16_t>(inner), std::memory_order_relaxed);
}

std::uint16_t inner_mtu_to(const Context& c, const Packet& p, Ip4 host) {
  const vxlnat_remote* remote = c.remotes.known(p.vnet, host);
  if (remote == nullptr) return c.config.inner_mtu;
  const int mtu = c.paths.to(remote->ul3_ip) - overhead_of(p);
  return static_cast<std::uint16_t>(std::min<int>(c.config.inner_mtu, mtu));
}

std::optional<PathReport> Engine::process_report(
    std::span<const std::uint8_t> message, Tick now) {
  Context& c = *context_;
  PathReport report;
  const auto quote = quoted(message, &report.mtu);
  if (quote.empty() || !may_be_ours(c, quote, report.mtu)) return {};
  constexpr std::uint16_t kLeast = kLeastInner + kOverhead + wire::kTagSize;
  report.mtu = std::max(report.mtu, kLeast);
  report.node = get32(&quote[wire::ip::kDst]);
  const bool news = c.paths.learn(report.node, report.mtu, now);
  tell_least_mtu(c);
  return news ? std::optional(report) : std::nullopt;
}

}  // namespace vxlnat
