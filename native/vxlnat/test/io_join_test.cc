// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Joining the TCP packets of a burst: what is cut again must be what came, byte
// for byte, and a flow's packets must stay in their order.

#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "io/join.h"
#include "test/build.h"

namespace vxlnat::io {

namespace {

using test::Bytes;

constexpr std::size_t kIp = 22;
constexpr std::size_t kTcpAt = kIp + 20;
constexpr std::size_t kRoom = 65'536;

// A flow that sends; its packets have whole checksums.
struct Sender {
  std::uint16_t port = 5000;
  Vni vnet = 1;
  std::uint32_t sequence = 0xffffff00;
  std::uint16_t id = 0xfffe;
  std::uint8_t ttl = 64;

  Bytes next(std::size_t size, std::uint8_t flags = test::kAck) {
    Bytes data(size);
    for (std::size_t i = 0; i < size; i++) {
      data[i] = static_cast<std::uint8_t>(sequence + i * 7 + port);
    }
    Bytes ip = test::make_tcp(0x0a04040a, port, 0xcb007150, 80, flags, data,
                              {.ttl = ttl, .id = id, .options = {}});
    Bytes b(kIp + ip.size());
    b[0] = 8;
    put32(&b[4], vnet << 8);
    put16(&b[20], 0x0800);
    std::copy(ip.begin(), ip.end(), b.begin() + kIp);
    put32(&b[kTcpAt + 4], sequence);
    reseal(b);
    sequence += static_cast<std::uint32_t>(size);
    id++;
    return b;
  }
  // Makes the checksums right again.
  static void reseal(Bytes& b) {
    put16(&b[kIp + 10], 0);
    put16(&b[kIp + 10], checksum(&b[kIp], 20));
    const std::size_t length = b.size() - kTcpAt;
    put16(&b[kTcpAt + 16], 0);
    put16(&b[kTcpAt + 16],
          checksum(&b[kTcpAt], length,
                   pseudo_sum(get32(&b[kIp + 12]), get32(&b[kIp + 16]), kTcp,
                              length)));
  }
};

// What comes out of a burst, each packet with its bytes.
class Burst {
 public:
  Burst() : joiner_(1450), out_(256) {}

  void add(const Bytes& datagram, const Path& path = {}) {
    buffers_.emplace_back(kRoom);
    Bytes& buffer = buffers_.back();
    std::copy(datagram.begin(), datagram.end(), buffer.begin());
    n_ = joiner_.add({buffer.data(), datagram.size()}, {kRoom, buffers_.size()},
                     path, out_, n_);
  }
  // Several in one buffer, as the kernel glues them.
  void add_glued(const std::vector<Bytes>& datagrams) {
    buffers_.emplace_back(kRoom);
    Bytes& buffer = buffers_.back();
    std::size_t at = 0;
    for (const Bytes& each : datagrams) {
      std::copy(each.begin(), each.end(),
                buffer.begin() + static_cast<std::ptrdiff_t>(at));
      at += each.size();
    }
    at = 0;
    for (const Bytes& each : datagrams) {
      n_ = joiner_.add({buffer.data() + at, each.size()},
                       {kRoom - at, buffers_.size()}, {}, out_, n_);
      at += each.size();
    }
  }
  std::vector<Packet> finish() {
    joiner_.finish(out_);
    std::vector<Packet> all(out_.begin(),
                            out_.begin() + static_cast<std::ptrdiff_t>(n_));
    n_ = 0;
    return all;
  }

 private:
  BurstJoiner joiner_;
  std::vector<Packet> out_;
  std::deque<Bytes> buffers_;
  std::size_t n_ = 0;
};

// What the wire would carry of a packet.
std::vector<Bytes> cut(const Packet& p) {
  Bytes b(p.data, p.data + p.length);
  Headers h;
  if (!read_headers(b, find_inner(b), &h)) return {b};
  if (p.offload.partial) CHECK(is_partial(b, h));
  if (p.offload.segment == 0) {
    if (p.offload.partial) finish_checksum(b, h);
    return {b};
  }
  CHECK(checksum(&b[kIp], 20) == 0);
  std::vector<Bytes> pieces;
  Segmenter segmenter(b, h, p.offload.segment);
  while (const std::size_t length = segmenter.next_length()) {
    pieces.emplace_back(length);
    segmenter.next(pieces.back().data());
  }
  return pieces;
}

std::vector<Bytes> cut(const std::vector<Packet>& packets) {
  std::vector<Bytes> all;
  for (const Packet& each : packets) {
    for (Bytes& piece : cut(each)) all.push_back(std::move(piece));
  }
  return all;
}

// Whether two packets of one flow are left as two.
bool kept_apart(const Bytes& one, const Bytes& two, const Path& path = {}) {
  Burst burst;
  burst.add(one);
  burst.add(two, path);
  const auto out = burst.finish();
  return out.size() == 2 && cut(out) == std::vector<Bytes>{one, two};
}

}  // namespace

TEST("join: a run of one flow becomes one packet and cuts into itself") {
  for (const bool partial : {false, true}) {
    Sender sender;
    std::vector<Bytes> sent;
    for (int i = 0; i < 40; i++) sent.push_back(sender.next(1410));
    sent.push_back(sender.next(77, test::kAck | 0x08));
    Burst burst;
    for (Bytes each : sent) {
      Headers h;
      CHECK(read_headers(each, kIp, &h));
      if (partial) seal_partial(each.data(), h);
      burst.add(each);
    }
    const auto out = burst.finish();
    CHECK_EQ(out.size(), 1u);
    CHECK_EQ(out[0].offload.segment, 1410);
    CHECK(out[0].offload.partial);
    CHECK(cut(out) == sent);
  }
}

TEST("join: what the kernel glued is joined in its own buffer") {
  Sender sender;
  std::vector<Bytes> sent;
  for (int i = 0; i < 20; i++) sent.push_back(sender.next(1410));
  Burst burst;
  burst.add_glued(sent);
  sent.push_back(sender.next(1410));
  burst.add(sent.back());
  const auto out = burst.finish();
  CHECK_EQ(out.size(), 1u);
  CHECK(cut(out) == sent);
}

TEST("join: glued packets of two flows do not grow into each other") {
  Sender a;
  Sender b{.port = 6000};
  const std::vector<Bytes> sent = {a.next(500), b.next(500), a.next(500),
                                   b.next(500)};
  Burst burst;
  burst.add_glued(sent);
  CHECK(cut(burst.finish()) == sent);
}

TEST("join: flows that are mixed in a burst are joined each by itself") {
  Sender a;
  Sender b{.port = 6000};
  Sender c{.vnet = 2};
  Burst burst;
  std::map<int, std::vector<Bytes>> sent;
  for (int i = 0; i < 30; i++) {
    Sender* const senders[] = {&a, &b, &c};
    sent[i % 3].push_back(senders[i % 3]->next(1000));
    burst.add(sent[i % 3].back());
  }
  const auto out = burst.finish();
  CHECK_EQ(out.size(), 3u);
  for (int i = 0; i < 3; i++) {
    CHECK(cut(out[static_cast<std::size_t>(i)]) == sent[i]);
  }
}

TEST("join: what could not be cut again stays apart") {
  Sender s;
  const Bytes one = s.next(1000);
  Sender at = s;  // the state after the first
  const auto with = [&at](auto change) {
    Sender copy = at;
    Bytes two = copy.next(1000);
    change(two);
    Sender::reseal(two);
    return two;
  };
  const auto put = [&with](std::size_t where, std::uint8_t value) {
    return with([=](Bytes& b) { b[where] = value; });
  };
  CHECK(!kept_apart(one, with([](Bytes&) {})));
  CHECK(kept_apart(one, put(kIp + 1, 2)));                // congestion, in IP
  CHECK(kept_apart(one, put(kIp + 5, 0x44)));             // identifier
  CHECK(kept_apart(one, put(kIp + 6, 0)));                // DF
  CHECK(kept_apart(one, put(kIp + 8, 63)));               // time to live
  CHECK(kept_apart(one, put(kTcpAt + 7, 1)));             // a gap
  CHECK(kept_apart(one, put(kTcpAt + 11, 1)));            // acknowledgement
  CHECK(kept_apart(one, put(kTcpAt + 13, 0x11 | 2)));     // SYN
  CHECK(kept_apart(one, put(kTcpAt + 13, 0x10 | 4)));     // RST
  CHECK(kept_apart(one, put(kTcpAt + 13, 0x10 | 0x20)));  // URG
  CHECK(kept_apart(one, put(kTcpAt + 13, 0x10 | 0x80)));  // CWR
  CHECK(kept_apart(one, put(kTcpAt + 14, 1)));            // window
  CHECK(kept_apart(one, at.next(1001)));  // longer than the first
  Sender third = s;
  CHECK(kept_apart(one, third.next(1000), {.tos = 3}));  // outer mark
  Sender ack = s;
  CHECK(kept_apart(one, ack.next(0)));
}

TEST("join: nothing follows a push or a short one") {
  for (const bool push : {false, true}) {
    Sender s;
    std::vector<Bytes> sent = {s.next(1000)};
    sent.push_back(push ? s.next(1000, test::kAck | 8) : s.next(999));
    sent.push_back(s.next(999));
    Burst burst;
    for (const Bytes& each : sent) burst.add(each);
    const auto out = burst.finish();
    CHECK_EQ(out.size(), 2u);
    CHECK(cut(out) == sent);
  }
}

// Joined, its checksum would be made anew, and the corruption hidden (K4).
TEST("join: a corrupt packet is never joined") {
  for (const std::size_t which : {0u, 1u}) {
    Sender s;
    std::vector<Bytes> sent = {s.next(1000), s.next(1000)};
    sent[which][500] ^= 1;
    CHECK(kept_apart(sent[0], sent[1]));
  }
}

TEST("join: a super packet never grows too long for the tunnel") {
  Sender s;
  std::vector<Bytes> sent;
  Burst burst;
  for (int i = 0; i < 60; i++) {
    sent.push_back(s.next(1410));
    burst.add(sent.back());
  }
  const auto out = burst.finish();
  CHECK_EQ(out.size(), 2u);
  for (const Packet& each : out) CHECK(each.length + 28 <= 65'535);
  CHECK(cut(out) == sent);
}

// The property, on bursts made by chance: nothing is lost, changed or put
// before what its flow sent earlier.
TEST("join: any burst comes out as it went in, flow by flow") {
  for (unsigned seed = 1; seed <= 300; seed++) {
    std::mt19937 random(seed);
    const auto chance = [&random](unsigned n) {
      return static_cast<unsigned>(random() % n);
    };
    std::vector<Sender> senders(1 + chance(12));
    for (std::size_t i = 0; i < senders.size(); i++) {
      senders[i].port = static_cast<std::uint16_t>(5000 + i);
    }
    std::map<std::uint16_t, std::vector<Bytes>> sent;
    Burst burst;
    for (unsigned left = 1 + chance(60); left > 0; left--) {
      Sender& s = senders[chance(static_cast<unsigned>(senders.size()))];
      std::vector<Bytes> run;
      for (unsigned i = chance(4); i < 4; i++) {
        const std::size_t size = chance(5) == 0 ? chance(1410) : 1410;
        const unsigned flags = chance(9) == 0 ? 0x18 : 0x10;
        run.push_back(s.next(size, static_cast<std::uint8_t>(flags)));
        if (chance(20) == 0) run.back()[kIp + 30] ^= 1;
        if (chance(20) == 0) s.id++;
        sent[s.port].push_back(run.back());
      }
      if (chance(2) == 0) {
        burst.add_glued(run);
      } else {
        for (const Bytes& each : run) burst.add(each);
      }
    }
    std::map<std::uint16_t, std::vector<Bytes>> got;
    for (const Bytes& each : cut(burst.finish())) {
      got[get16(&each[kTcpAt])].push_back(each);
    }
    if (got != sent) std::fprintf(stderr, "seed %u\n", seed);
    CHECK(got == sent);
  }
}

}  // namespace vxlnat::io
