// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 1b: the reflector of liveness probes, in the manner of seamless BFD
// (RFC 7880 section 7.2, RFC 7881). It answers from the data path itself, with
// no rule and no state, so an answer means that packets are being forwarded.
// The probe is an IPv4 UDP packet to port 7784 with a BFD control packet
// (RFC 5880 section 4.1) in a frame on the probe vnet; what was swapped goes
// back to the outer source address and port.
//
// Before: decap. After: sent. Drops: ProbeMalformed.

#include <algorithm>

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::uint16_t kSbfdPort = 7784;
constexpr std::size_t kBfdSize = 24;
constexpr std::uint8_t kStateUp = 3 << 6;
constexpr std::uint8_t kPoll = 0x20;
constexpr std::uint8_t kFinal = 0x10;

bool is_probe(const Packet& p) {
  constexpr std::size_t kLeast = wire::ip::kSize + wire::udp::kSize + kBfdSize;
  if (p.arp || p.length < kLeast || p.data[0] != 0x45 ||
      checksum(p.data, wire::ip::kSize) != 0 ||
      p.data[wire::ip::kProto] != kUdp || wire::ip::is_fragment(p.data)) {
    return false;
  }
  const std::uint8_t* udp = p.data + wire::ip::kSize;
  const std::uint8_t* bfd = udp + wire::udp::kSize;
  const std::size_t total = get16(p.data + wire::ip::kLength);
  const std::size_t udp_size = get16(udp + wire::udp::kLength);
  return total >= kLeast && total <= p.length &&
         udp_size >= wire::udp::kSize + kBfdSize &&
         udp_size <= total - wire::ip::kSize && get16(udp + 2) == kSbfdPort &&
         bfd[0] >> 5 == 1 && bfd[3] == kBfdSize;
}

void swap32(std::uint8_t* a, std::uint8_t* b) {
  const std::uint32_t kept = get32(a);
  put32(a, get32(b));
  put32(b, kept);
}

}  // namespace

Verdict reflect_probe(Context& c, Packet& p) {
  if (!is_probe(p)) return c.drop(p, Drop::kProbeMalformed);
  p.length = get16(p.data + wire::ip::kLength);
  std::uint8_t* udp = p.data + wire::ip::kSize;
  std::uint8_t* bfd = udp + wire::udp::kSize;
  swap32(p.data + wire::ip::kSrc, p.data + wire::ip::kDst);
  p.data[wire::ip::kTtl] = 255;
  put16(p.data + wire::ip::kChecksum, 0);
  put16(p.data + wire::ip::kChecksum, checksum(p.data, wire::ip::kSize));
  const std::uint16_t port = get16(udp);
  put16(udp, get16(udp + 2));
  put16(udp + 2, port);
  // Up; no demand, no authentication; a poll is answered with a final.
  bfd[1] = kStateUp | ((bfd[1] & kPoll) != 0 ? kFinal : 0);
  swap32(bfd + 4, bfd + 8);
  if (get16(udp + wire::udp::kChecksum) != 0) {
    const std::size_t size = get16(udp + wire::udp::kLength);
    put16(udp + wire::udp::kChecksum, 0);
    const std::uint16_t sum =
        checksum(udp, size,
                 pseudo_sum(get32(p.data + wire::ip::kSrc),
                            get32(p.data + wire::ip::kDst), kUdp, size));
    put16(udp + wire::udp::kChecksum, sum == 0 ? 0xffff : sum);
  }
  c.stats.probes_reflected.add();
  const Underlay to = {.src_ip = p.path.local_ip,
                       .dst_ip = p.path.peer_ip,
                       .dst_port = p.path.peer_port,
                       .entropy = c.config.vxlan_port};
  send_frame(c, p, {p.inner_src, p.inner_dst, wire::kTypeIpv4}, to);
  return Verdict::done();
}

}  // namespace vxlnat
