// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// See traffic.h.

#include "test/fastpath/traffic.h"

#include "io/frame.h"

namespace vxlnat::test {

Ip4 Traffic::remote() {
  switch (pick(40)) {
    case 0:
      return any_public();  // a hairpin
    case 1:
      return host(pick(kHosts));  // inside
    case 2:
      return kRouter;
    case 3:
      return ip4(198, 51, 100, 7);  // no neighbour
    case 4:
      return ip4(198, 18, 0, 1);  // no route
    case 5:
      return ip4(224, 0, 0, 5);
    default:
      return ip4(192, 0, 2, 1) + pick(4);
  }
}

Bytes Traffic::transport(const Ends& e, bool reply) {
  Bytes data(pick(30) == 0 ? pick(1500) : pick(60));
  for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(pick(256));
  if (once_in(50)) std::fill(data.begin(), data.end(), 0);
  switch (e.proto) {
    case kTcp: {
      std::uint8_t flags = kAck;
      if (once_in(4)) flags = static_cast<std::uint8_t>(pick(64));
      if (once_in(6)) flags = reply ? kSyn | kAck : kSyn;
      Bytes b = make_tcp(e.src, e.sport, e.dst, e.dport, flags, data);
      put32(&b[24], pick(0x7fffffff));
      put32(&b[28], pick(4) == 0 ? 0 : pick(0x7fffffff));
      put16(&b[36], 0);
      put16(&b[36], checksum(&b[20], b.size() - 20,
                             pseudo_sum(e.src, e.dst, kTcp, b.size() - 20)));
      return Bytes(b.begin() + 20, b.end());
    }
    case kUdp:
      return udp_payload(e.src, e.sport, e.dst, e.dport, data);
    case kIcmp: {
      const std::uint8_t type = once_in(8) ? static_cast<std::uint8_t>(pick(20))
                                : reply    ? 0
                                           : 8;
      const std::uint32_t id = reply ? e.dport : e.sport;
      const Bytes b = make_icmp(e.src, e.dst, type, 0, id << 16, data);
      return Bytes(b.begin() + 20, b.end());
    }
    default:
      return data;
  }
}

// Absent, unfinished or wrong.
void Traffic::spoil_sum(Bytes* ip) {
  const std::size_t offset = wire::checksum_offset((*ip)[9]);
  if (offset == 0 || ip->size() < 20 + offset + 2) return;
  std::uint8_t* sum = ip->data() + 20 + offset;
  switch (pick(12)) {
    case 0:
      return put16(sum, 0);
    case 1:
      return put16(sum, fold(pseudo_sum(get32(&(*ip)[12]), get32(&(*ip)[16]),
                                        (*ip)[9], ip->size() - 20)));
    case 2:
      return put16(sum, static_cast<std::uint16_t>(pick(65536)));
    default:
      return;
  }
}

// Linux sends one by default, RFC 7348 section 5 would have none.
void Traffic::spoil_tunnel_sum(Ip4 src, Ip4 dst, Bytes* udp) {
  if (once_in(2)) return put16(&(*udp)[6], 0);
  if (once_in(20)) {
    put16(&(*udp)[6], fold(pseudo_sum(src, dst, kUdp, udp->size())));
  }
  if (once_in(20)) put16(&(*udp)[6], static_cast<std::uint16_t>(pick(65536)));
}

Bytes Traffic::packet(const Ends& ends, bool reply) {
  IpOptions o;
  if (once_in(20)) o.ttl = static_cast<std::uint8_t>(pick(3));
  o.id = static_cast<std::uint16_t>(pick(65536));
  o.tos = once_in(3) ? static_cast<std::uint8_t>(pick(256)) : std::uint8_t{0};
  if (once_in(3)) o.fragment = 0;
  if (once_in(30)) o.fragment = static_cast<std::uint16_t>(pick(65536));
  if (once_in(40)) o.options = Bytes(4, 1);
  Bytes ip = make_ip(ends.src, ends.dst, ends.proto, transport(ends, reply), o);
  if (o.options.empty()) spoil_sum(&ip);
  return ip;
}

Bytes Traffic::framed(const Bytes& ip, std::uint16_t vlan) {
  Bytes frame(io::kMostOuter + ip.size());
  std::copy(ip.begin(), ip.end(), frame.begin() + io::kMostOuter);
  io::LinkAddresses link = {.dst_mac = {2, 0, 0, 0, 0, 1},
                            .src_mac = {2, 0, 0, 0, 0, 2}};
  link.vlan = once_in(60) ? static_cast<std::uint16_t>(pick(3)) : vlan;
  const std::uint8_t* at =
      io::put_ethernet(frame.data() + io::kMostOuter, link);
  frame.erase(frame.begin(), frame.begin() + (at - frame.data()));
  // Links pad short frames, and some others.
  const std::size_t least = once_in(10) ? frame.size() + pick(40) : 60;
  if (frame.size() < least && !once_in(4)) frame.resize(least);
  return frame;
}

Bytes Traffic::from_inside() {
  static constexpr std::uint8_t kProtos[] = {kTcp, kTcp, kUdp,
                                             kUdp, kUdp, kIcmp};
  const Vni vni = 1 + pick(kVnets);
  Ends ends = {.src = host(pick(kHosts)),
               .dst = remote(),
               .sport = static_cast<std::uint16_t>(1000 + pick(4)),
               .dport = static_cast<std::uint16_t>(pick(2) == 0 ? 53 : 80),
               .proto = kProtos[pick(6)]};
  if (once_in(12)) ends.proto = static_cast<std::uint8_t>(pick(256));
  const Bytes ip = packet(ends, once_in(20));
  const std::size_t tag = once_in(8) ? 4 : 0;
  Bytes b(8 + 14 + tag);
  b[0] = once_in(60) ? 0 : 0x08;
  put32(&b[4], (once_in(60) ? 99 : vni) << 8);
  put_mac(&b[8], once_in(40) ? router_mac(9) : router_mac(vni));
  put_mac(&b[14], host_mac(vni));
  if (tag != 0) put16(&b[20], wire::kTypeTag);
  put16(&b[20 + tag], once_in(80) ? 0x0806 : 0x0800);
  b.insert(b.end(), ip.begin(), ip.end());
  if (once_in(10)) b.resize(b.size() + pick(20));
  const Ip4 from = once_in(30) ? node(5) : node(vni);
  const Ip4 to = once_in(60) ? kZone + 1 : kZone;
  Bytes udp = udp_payload(from, 51000, to, 4789, b);
  spoil_tunnel_sum(from, to, &udp);
  IpOptions o;
  o.tos = once_in(3) ? static_cast<std::uint8_t>(pick(256)) : std::uint8_t{0};
  if (once_in(80)) o.fragment = 0x2000;
  return framed(make_ip(from, to, kUdp, udp, o), 0);
}

Bytes Traffic::from_outside(std::span<const FlowInfo> flows) {
  Ends ends = {.src = remote(),
               .dst = any_public(),
               .sport = static_cast<std::uint16_t>(pick(2) == 0 ? 53 : 80),
               .dport = static_cast<std::uint16_t>(2000 + pick(40)),
               .proto = static_cast<std::uint8_t>(
                   once_in(4) ? pick(256) : (once_in(2) ? kTcp : kUdp))};
  if (!flows.empty() && !once_in(4)) {
    const FlowInfo& f = flows[pick(static_cast<std::uint32_t>(flows.size()))];
    ends = {f.remote_ip, f.public_ip, f.remote_port, f.public_port, f.proto};
  }
  return framed(packet(ends, !once_in(20)), vlan_);
}

void Traffic::damage(Bytes* frame) {
  if (once_in(8)) {
    for (std::uint32_t n = 1 + pick(3); n > 0; n--) {
      const auto at = pick(static_cast<std::uint32_t>(frame->size()));
      (*frame)[at] = static_cast<std::uint8_t>(pick(256));
    }
  }
  if (once_in(30) && frame->size() > 20) {
    frame->resize(14 + pick(static_cast<std::uint32_t>(frame->size()) - 14));
  }
}

}  // namespace vxlnat::test
