// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Makes packets for tests, checksums included, and reads those that come out.

#ifndef VXLNAT_TEST_BUILD_H_
#define VXLNAT_TEST_BUILD_H_

#include <algorithm>

#include "engine/checksum.h"
#include "engine/wire.h"
#include "test/harness.h"

namespace vxlnat::test {

constexpr Ip4 ip4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return a << 24 | b << 16 | c << 8 | d;
}

struct IpOptions {
  std::uint8_t ttl = 64;
  std::uint16_t id = 0x1234;
  std::uint16_t fragment = 0x4000;
  std::uint8_t tos = 0;
  Bytes options = {};
};

inline Bytes make_ip(Ip4 src, Ip4 dst, std::uint8_t proto, const Bytes& payload,
                     const IpOptions& o = {}) {
  const std::size_t size = 20 + o.options.size();
  Bytes b(size);
  b[0] = static_cast<std::uint8_t>(0x40 | size / 4);
  b[1] = o.tos;
  put16(&b[2], static_cast<std::uint16_t>(size + payload.size()));
  put16(&b[4], o.id);
  put16(&b[6], o.fragment);
  b[8] = o.ttl;
  b[9] = proto;
  put32(&b[12], src);
  put32(&b[16], dst);
  std::copy(o.options.begin(), o.options.end(), b.begin() + 20);
  put16(&b[10], checksum(b.data(), size));
  b.insert(b.end(), payload.begin(), payload.end());
  return b;
}

inline Bytes text(const std::string& s) { return Bytes(s.begin(), s.end()); }

inline Bytes udp_payload(Ip4 src, std::uint16_t sport, Ip4 dst,
                         std::uint16_t dport, const Bytes& data) {
  Bytes b(8);
  put16(&b[0], sport);
  put16(&b[2], dport);
  b.insert(b.end(), data.begin(), data.end());
  put16(&b[4], static_cast<std::uint16_t>(b.size()));
  const std::uint16_t sum =
      checksum(b.data(), b.size(), pseudo_sum(src, dst, kUdp, b.size()));
  put16(&b[6], sum == 0 ? 0xffff : sum);
  return b;
}

inline Bytes make_udp(Ip4 src, std::uint16_t sport, Ip4 dst,
                      std::uint16_t dport, const Bytes& data = text("test"),
                      const IpOptions& o = {}) {
  return make_ip(src, dst, kUdp, udp_payload(src, sport, dst, dport, data), o);
}

inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

inline constexpr std::uint32_t kSequence = 0x11223344;

inline Bytes make_tcp(Ip4 src, std::uint16_t sport, Ip4 dst,
                      std::uint16_t dport, std::uint8_t flags,
                      const Bytes& data = {}, const IpOptions& o = {}) {
  Bytes b(20);
  put16(&b[0], sport);
  put16(&b[2], dport);
  // Both sides begin with one number and send nothing: all segments are due.
  put32(&b[4], kSequence + ((flags & kSyn) != 0 ? 0 : 1));
  put32(&b[8], (flags & kAck) != 0 ? kSequence + 1 : 0);
  b[12] = 0x50;
  b[13] = flags;
  put16(&b[14], 64240);
  b.insert(b.end(), data.begin(), data.end());
  put16(&b[16],
        checksum(b.data(), b.size(), pseudo_sum(src, dst, kTcp, b.size())));
  return make_ip(src, dst, kTcp, b, o);
}

inline Bytes make_icmp(Ip4 src, Ip4 dst, std::uint8_t type, std::uint8_t code,
                       std::uint32_t rest, const Bytes& data,
                       const IpOptions& o = {}) {
  Bytes b(8);
  b[0] = type;
  b[1] = code;
  put32(&b[4], rest);
  b.insert(b.end(), data.begin(), data.end());
  put16(&b[2], checksum(b.data(), b.size()));
  return make_ip(src, dst, kIcmp, b, o);
}

inline Bytes make_echo(Ip4 src, Ip4 dst, std::uint16_t id, bool reply = false,
                       const IpOptions& o = {}) {
  return make_icmp(src, dst, reply ? 0 : 8, 0,
                   static_cast<std::uint32_t>(id << 16) | 1, text("abcd"), o);
}

inline Bytes first(const Bytes& b, std::size_t n) {
  return Bytes(b.begin(),
               b.begin() + static_cast<std::ptrdiff_t>(std::min(n, b.size())));
}

// Cuts an unfragmented packet into fragments of at most `size` payload bytes
// each, a multiple of 8.
inline std::vector<Bytes> cut(const Bytes& packet, std::size_t size) {
  const std::size_t head = wire::ip::header_size(packet.data());
  std::vector<Bytes> pieces;
  for (std::size_t at = head; at < packet.size(); at += size) {
    const std::size_t n = std::min(size, packet.size() - at);
    Bytes b = first(packet, head);
    b.insert(b.end(), packet.begin() + static_cast<std::ptrdiff_t>(at),
             packet.begin() + static_cast<std::ptrdiff_t>(at + n));
    put16(&b[2], static_cast<std::uint16_t>(b.size()));
    put16(&b[6], static_cast<std::uint16_t>(
                     (at - head) / 8 | (at + n < packet.size() ? 0x2000 : 0)));
    put16(&b[10], 0);
    put16(&b[10], checksum(b.data(), head));
    pieces.push_back(b);
  }
  return pieces;
}

// What a packet says, read naively.
struct Seen {
  Ip4 src = 0;
  Ip4 dst = 0;
  std::uint8_t proto = 0;
  std::uint8_t ttl = 0;
  std::uint16_t id = 0;
  std::uint16_t fragment = 0;
  std::uint16_t sport = 0;  // ICMP: type << 8 | code
  std::uint16_t dport = 0;  // ICMP: identifier
  Bytes payload;            // after the IP header

  explicit Seen(const Bytes& b) {
    if (b.size() < 20) return;
    const std::size_t head = wire::ip::header_size(b.data());
    src = get32(&b[12]);
    dst = get32(&b[16]);
    proto = b[9];
    ttl = b[8];
    id = get16(&b[4]);
    fragment = get16(&b[6]);
    payload.assign(b.begin() + static_cast<std::ptrdiff_t>(head), b.end());
    if (payload.size() < 8 || (fragment & 0x1fff) != 0) return;
    sport = get16(&payload[0]);
    dport = get16(&payload[proto == kIcmp ? 4 : 2]);
  }
  // The packet an ICMP error quotes.
  Bytes quote() const { return Bytes(payload.begin() + 8, payload.end()); }
};

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_BUILD_H_
