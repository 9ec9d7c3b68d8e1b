// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the ports do to packets around the engine: unfinished checksums are
// finished or left with the order to do so, super-packets are cut as the
// sender's card would have. Every packet that comes out has its checksums
// recomputed and compared.

#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "io/offload.h"
#include "test/harness.h"

namespace vxlnat::io {

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kIp = 22;  // VXLAN and Ethernet come before
constexpr std::uint8_t kFinPshAckCwr = 0x99;

void put16(Bytes& to, std::size_t at, std::uint32_t value) {
  to[at] = static_cast<std::uint8_t>(value >> 8);
  to[at + 1] = static_cast<std::uint8_t>(value);
}

std::uint32_t get16(const Bytes& from, std::size_t at) {
  return static_cast<std::uint32_t>(from[at] << 8 | from[at + 1]);
}

std::uint32_t get32(const Bytes& from, std::size_t at) {
  return get16(from, at) << 16 | get16(from, at + 2);
}

std::uint32_t sum(const Bytes& of, std::size_t from, std::size_t to) {
  std::uint32_t total = 0;
  for (std::size_t i = from; i < to; i++) {
    total += static_cast<std::uint32_t>(of[i]) << ((i - from) % 2 == 0 ? 8 : 0);
    total = (total & 0xffff) + (total >> 16);
  }
  return total;
}

std::uint32_t fold(std::uint32_t total) {
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return total;
}

std::uint32_t pseudo(const Bytes& p, std::size_t ip) {
  const std::uint32_t length = get16(p, ip + 2) - 20;
  return fold(sum(p, ip + 12, ip + 20) + p[ip + 9] + length);
}

// Whether IP and TCP or UDP checksums are right, the slow way.
bool whole(const Bytes& p, std::size_t ip = kIp) {
  const std::size_t end = ip + get16(p, ip + 2);
  return sum(p, ip, ip + 20) == 0xffff &&
         fold(pseudo(p, ip) + sum(p, ip + 20, end)) == 0xffff;
}

// A TCP segment inside VXLAN as a virtual link delivers it: the checksum
// field holds the pseudo-header's sum only.
Bytes partial_tcp(std::size_t payload, bool tagged = false) {
  const std::size_t ip = tagged ? kIp + 4 : kIp;
  Bytes p(ip + 40 + payload, 0);
  p[0] = 0x08;
  put16(p, ip - 2, 0x0800);
  if (tagged) put16(p, kIp - 2, 0x8100);
  p[ip] = 0x45;
  put16(p, ip + 2, static_cast<std::uint32_t>(40 + payload));
  put16(p, ip + 4, 0xfffe);  // the identifier wraps
  put16(p, ip + 6, 0x4000);
  p[ip + 8] = 64;
  p[ip + 9] = 6;
  const std::uint8_t addresses[] = {10, 4, 4, 10, 203, 0, 113, 80};
  std::memcpy(&p[ip + 12], addresses, sizeof(addresses));
  put16(p, ip + 10, ~sum(p, ip, ip + 20) & 0xffff);
  const std::size_t tcp = ip + 20;
  put16(p, tcp, 40000);
  put16(p, tcp + 2, 80);
  put16(p, tcp + 4, 0xffff);  // the sequence number wraps
  put16(p, tcp + 6, 0xff00);
  p[tcp + 12] = 5 << 4;
  p[tcp + 13] = kFinPshAckCwr;
  std::iota(p.begin() + static_cast<std::ptrdiff_t>(tcp + 20), p.end(),
            std::uint8_t{1});
  put16(p, tcp + 16, pseudo(p, ip));
  return p;
}

std::vector<Bytes> cut(const Bytes& packet, std::size_t segment) {
  Headers h;
  std::vector<Bytes> pieces;
  if (!read_headers(packet, find_inner(packet), &h)) return pieces;
  Segmenter segmenter(packet, h, segment);
  while (const std::size_t n = segmenter.next_length()) {
    pieces.emplace_back(n);
    segmenter.next(pieces.back().data());
  }
  return pieces;
}

void finish(Bytes& p) {
  Headers h;
  if (read_headers(p, find_inner(p), &h)) finish_checksum(p, h);
}

Offload take(Bytes& p, std::uint16_t segment = 0) {
  return take_over(p, find_inner(p), 1450, segment);
}

}  // namespace

TEST("offload finishes a partial tcp checksum") {
  for (const std::size_t payload : {0u, 1u, 2u, 3u, 4u, 1399u, 1410u}) {
    Bytes p = partial_tcp(payload);
    CHECK(!whole(p));
    finish(p);
    CHECK(whole(p));
    const Bytes finished = p;
    finish(p);
    CHECK(p == finished);
  }
}

TEST("offload leaves wrong and absent checksums alone") {
  Bytes p = partial_tcp(100);
  put16(p, kIp + 36, get16(p, kIp + 36) ^ 1);
  const Bytes wrong = p;
  finish(p);
  CHECK(p == wrong);
  p[kIp + 9] = 17;
  put16(p, kIp + 26, 0);  // UDP without a checksum stays without
  const Bytes none = p;
  finish(p);
  CHECK(p == none);
  CHECK(!take(p).partial);
}

TEST("offload judges no packet that is cut short") {
  const Bytes p = partial_tcp(50);
  for (std::size_t n = 0; n < p.size(); n++) {
    Bytes part(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(n));
    const Bytes before = part;
    finish(part);
    CHECK(part == before);
    CHECK(cut(part, 60).empty());
    CHECK(!take(part).partial);
    CHECK(describe(part, kIp, {.segment = 60, .partial = true}).flags == 0);
  }
}

TEST("offload leaves a long packet to the card and finishes a short one") {
  Bytes shorter = partial_tcp(200);
  CHECK(!take(shorter).partial);
  CHECK(whole(shorter));
  Bytes longer = partial_tcp(1000);
  const Bytes before = longer;
  CHECK(take(longer).partial);
  CHECK(longer == before);
  Bytes done = partial_tcp(1000);
  finish(done);
  CHECK(!take(done).partial);
}

TEST("offload finishes udp that will be fragmented") {
  Bytes udp = partial_tcp(3000);
  udp[kIp + 9] = 17;
  put16(udp, kIp + 10, 0);
  put16(udp, kIp + 10, ~sum(udp, kIp, kIp + 20) & 0xffff);
  put16(udp, kIp + 24, 3020);
  put16(udp, kIp + 26, pseudo(udp, kIp));
  CHECK(!take(udp).partial);
  CHECK(whole(udp));
}

TEST("offload tells the pieces of a super packet") {
  Bytes p = partial_tcp(60'000);
  CHECK(take(p).segment == 1410);        // unknown: what the MTU holds
  CHECK(take(p, 1200).segment == 1200);  // as its sender wants it
  CHECK(take(p, 1460).segment == 1460);  // DF: its sender waits to be told
  put16(p, kIp + 6, 0);
  CHECK(take(p, 1460).segment == 1410);
  Bytes small = partial_tcp(1200);
  CHECK(take(small, 500).segment == 500);  // fits, and is two all the same
  CHECK(take(small, 1200).segment == 0);
}

TEST("offload tells the kernel what is left to do") {
  const Bytes p = partial_tcp(60'000, true);
  const VnetHeader many =
      describe(p, kIp + 4, {.segment = 1410, .partial = true});
  CHECK(many.flags == VnetHeader::kNeedsChecksum);
  CHECK(many.kind == (VnetHeader::kTcp4 | VnetHeader::kEcn));  // CWR is set
  CHECK(many.segment == 1410);
  CHECK(many.header_length == kIp + 44);
  CHECK(many.checksum_start == kIp + 24);
  CHECK(many.checksum_offset == 16);
  const VnetHeader one = describe(p, kIp + 4, {.partial = true});
  CHECK(one.flags == VnetHeader::kNeedsChecksum && one.kind == 0);
  const VnetHeader none = describe(p, kIp + 4, {});
  CHECK(none.flags == 0 && none.kind == 0);
}

TEST("offload finishes a checksum deep inside") {
  Bytes p = partial_tcp(999);
  finish_checksum_at(p, kIp + 20, 16);
  CHECK(whole(p));
  const Bytes before = p;
  finish_checksum_at(p, p.size() - 1, 16);
  CHECK(p == before);
}

TEST("offload cuts a super packet as a card would") {
  constexpr std::size_t kPayload = 60'001;
  const Bytes p = partial_tcp(kPayload);
  const std::vector<Bytes> pieces = cut(p, 1410);
  CHECK(pieces.size() == (kPayload + 1409) / 1410);
  Bytes joined;
  for (std::size_t i = 0; i < pieces.size(); i++) {
    const Bytes& piece = pieces[i];
    const bool last = i + 1 == pieces.size();
    CHECK(whole(piece));
    CHECK(piece.size() == kIp + get16(piece, kIp + 2));
    CHECK(last || get16(piece, kIp + 2) == 1450);
    CHECK(get16(piece, kIp + 4) == ((0xfffe + i) & 0xffff));
    CHECK(get32(piece, kIp + 24) ==
          0xffffff00u + static_cast<std::uint32_t>(joined.size()));
    const std::uint8_t flags = piece[kIp + 33];
    CHECK((flags & 0x10) != 0);
    CHECK(((flags & 0x09) == 0x09) == last);
    CHECK(((flags & 0x80) != 0) == (i == 0));
    joined.insert(joined.end(), piece.begin() + kIp + 40, piece.end());
  }
  CHECK(joined == Bytes(p.begin() + kIp + 40, p.end()));
}

TEST("offload cuts inside a vlan tag") {
  const std::vector<Bytes> pieces = cut(partial_tcp(5000, true), 1410);
  CHECK(pieces.size() == 4);
  for (const Bytes& piece : pieces) CHECK(whole(piece, kIp + 4));
}

TEST("offload finds no headers where there are none") {
  Headers h;
  const auto found = [&h](const Bytes& p) {
    return read_headers(p, find_inner(p), &h);
  };
  CHECK(found(partial_tcp(3000)));
  Bytes fragment = partial_tcp(3000);
  put16(fragment, kIp + 6, 0x2000);
  CHECK(!found(fragment));
  Bytes header = partial_tcp(3000);
  header[kIp + 32] = 4 << 4;  // a TCP header of 16 bytes
  CHECK(!found(header));
  header[kIp + 32] = 15 << 4;
  CHECK(found(header) && h.payload == kIp + 80);
  Bytes other = partial_tcp(3000);
  other[kIp + 9] = 1;
  CHECK(!found(other));
  Bytes six = partial_tcp(3000);
  put16(six, kIp - 2, 0x86dd);
  CHECK(find_inner(six) == 0 && !found(six));
}

}  // namespace vxlnat::io
