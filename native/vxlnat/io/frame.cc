// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Reading and building frames; see frame.h.

#include "io/frame.h"

#include <cstring>

#include "engine/bytes.h"
#include "engine/checksum.h"
#include "engine/wire.h"

namespace vxlnat::io {

namespace {

constexpr std::uint8_t kHops = 64;
constexpr std::uint16_t kVlanMask = 0x0fff;

// The pseudo-header's sum of an IPv4 packet whose payload has `length` bytes.
std::uint64_t pseudo_of(const std::uint8_t* ip, std::size_t length) {
  return pseudo_sum(get32(ip + wire::ip::kSrc), get32(ip + wire::ip::kDst),
                    ip[wire::ip::kProto], length);
}

// Offset of the IPv4 header behind Ethernet, or 0 when there is none.
std::size_t find_ip(const std::uint8_t* frame, std::size_t length,
                    std::uint16_t vlan) {
  std::size_t at = wire::kEthernetSize;
  if (vlan != 0) {
    at += wire::kTagSize;
    if (length < at || get16(frame + 12) != wire::kTypeTag ||
        (get16(frame + 14) & kVlanMask) != vlan) {
      return 0;
    }
  }
  if (length < at + wire::ip::kSize) return 0;
  return get16(frame + at - 2) == wire::kTypeIpv4 && frame[at] >> 4 == 4 ? at
                                                                         : 0;
}

// A sum may be right, absent, or left to a card that is not there.
bool udp_sum_holds(const std::uint8_t* ip, const std::uint8_t* udp,
                   std::size_t length) {
  const std::uint16_t field = get16(udp + wire::udp::kChecksum);
  const std::uint64_t pseudo = pseudo_of(ip, length);
  return field == 0 || field == fold(pseudo) ||
         checksum(udp, length, pseudo) == 0;
}

bool is_vxlan(const std::uint8_t* ip, std::size_t length,
              const FrameRules& rules) {
  return ip[0] == 0x45 && ip[wire::ip::kProto] == kUdp &&
         !wire::ip::is_fragment(ip) &&
         length >= wire::ip::kSize + wire::udp::kSize &&
         get16(ip + wire::ip::kSize + 2) == rules.vxlan_port;
}

FrameKind read_vxlan(std::uint8_t* ip, std::size_t length, Packet* packet) {
  std::uint8_t* udp = ip + wire::ip::kSize;
  const std::size_t size = get16(udp + wire::udp::kLength);
  if (size < wire::udp::kSize || size > length - wire::ip::kSize) {
    return FrameKind::kForeign;
  }
  packet->data = udp + wire::udp::kSize;
  packet->length = size - wire::udp::kSize;
  packet->path = {.local_ip = get32(ip + wire::ip::kDst),
                  .peer_ip = get32(ip + wire::ip::kSrc),
                  .peer_port = get16(udp),
                  .tos = ip[wire::ip::kTos]};
  // The inner frame may carry one tag, of the fabric.
  const std::uint8_t* inner = packet->data + wire::kVxlanSize;
  std::size_t at = wire::kVxlanSize + wire::kEthernetSize;
  if (packet->length >= at && get16(inner + 12) == wire::kTypeTag) {
    at += wire::kTagSize;
  }
  if (packet->length >= at + wire::ip::kSize &&
      get16(packet->data + at - 2) == wire::kTypeIpv4) {
    finish_ip_checksum(packet->data + at, packet->length - at);
  }
  // The outer sum counts the inner one as it will be when it is finished
  // (Linux, "local checksum offload"), so it is looked at after that.
  if (checksum(ip, wire::ip::kSize) != 0 || !udp_sum_holds(ip, udp, size)) {
    return FrameKind::kBadChecksum;
  }
  return FrameKind::kUnderlay;
}

}  // namespace

void finish_ip_checksum(std::uint8_t* ip, std::size_t length) {
  const std::uint8_t proto = ip[wire::ip::kProto];
  if (proto != kTcp && proto != kUdp) return;
  const std::size_t header = wire::ip::header_size(ip);
  const std::size_t total = get16(ip + wire::ip::kLength);
  const std::size_t least = proto == kTcp ? wire::tcp::kSize : wire::udp::kSize;
  if (total > length || header < wire::ip::kSize || total < header + least ||
      wire::ip::is_fragment(ip)) {
    return;
  }
  std::uint8_t* l4 = ip + header;
  std::uint8_t* field = l4 + wire::checksum_offset(proto);
  const std::uint16_t old = get16(field);
  const std::uint64_t pseudo = pseudo_of(ip, total - header);
  if (old != fold(pseudo) || (old == 0 && proto == kUdp)) return;
  put16(field, 0);
  const std::uint16_t sum = checksum(l4, total - header, pseudo);
  put16(field, sum == 0 && proto == kUdp ? 0xffff : sum);
}

FrameKind read_frame(std::uint8_t* frame, std::size_t length,
                     const FrameRules& rules, Packet* packet) {
  const std::size_t at = find_ip(frame, length, rules.vlan);
  if (at == 0) return FrameKind::kForeign;
  std::uint8_t* ip = frame + at;
  const std::size_t total = get16(ip + wire::ip::kLength);
  // Short frames are padded; what the header does not count is no packet.
  if (total < wire::ip::kSize || total > length - at) {
    return FrameKind::kForeign;
  }
  if (rules.underlay && is_vxlan(ip, total, rules)) {
    return read_vxlan(ip, total, packet);
  }
  if (!rules.external) return FrameKind::kForeign;
  packet->data = ip;
  packet->length = total;
  packet->path = {};
  finish_ip_checksum(ip, total);
  return FrameKind::kExternal;
}

std::uint8_t* put_ethernet(std::uint8_t* ip, const LinkAddresses& link) {
  put16(ip - 2, wire::kTypeIpv4);
  std::uint8_t* frame = ip - wire::kEthernetSize;
  if (link.vlan != 0) {
    put16(ip - 4, link.vlan);
    put16(ip - 6, wire::kTypeTag);
    frame -= wire::kTagSize;
  }
  std::memcpy(frame, link.dst_mac, 6);
  std::memcpy(frame + 6, link.src_mac, 6);
  return frame;
}

std::uint8_t* put_tunnel(std::uint8_t* vxlan, std::size_t length,
                         const Underlay& to) {
  std::uint8_t* udp = vxlan - wire::udp::kSize;
  put16(udp, to.entropy);
  put16(udp + 2, to.dst_port);
  put16(udp + wire::udp::kLength,
        static_cast<std::uint16_t>(length + wire::udp::kSize));
  put16(udp + wire::udp::kChecksum, 0);
  std::uint8_t* ip = udp - wire::ip::kSize;
  ip[0] = 0x45;
  ip[wire::ip::kTos] = to.tos;
  put16(
      ip + wire::ip::kLength,
      static_cast<std::uint16_t>(length + wire::udp::kSize + wire::ip::kSize));
  put16(ip + wire::ip::kId, 0);
  put16(ip + wire::ip::kFragment, wire::ip::kDontFragment);
  ip[wire::ip::kTtl] = kHops;
  ip[wire::ip::kProto] = kUdp;
  put16(ip + wire::ip::kChecksum, 0);
  put32(ip + wire::ip::kSrc, to.src_ip);
  put32(ip + wire::ip::kDst, to.dst_ip);
  put16(ip + wire::ip::kChecksum, checksum(ip, wire::ip::kSize));
  return ip;
}

}  // namespace vxlnat::io
