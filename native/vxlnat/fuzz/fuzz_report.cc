// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Too-big messages about our own tunnel packets, true and forged, and a packet
// in each direction after each: [flags, mtu, length, at, cut, patch length]
// and the patch, which is written over the message. Flag bit 0: checksums are
// not mended; bit 1: about the AIP's node; bit 2: its packet may be
// fragmented; bits 4 to 7: minutes that pass.

#include <algorithm>
#include <map>

#include "fuzz/cloud.h"

using namespace vxlnat;
using namespace vxlnat::fuzz;

namespace {

constexpr std::size_t kOuter = 20 + 8;
constexpr Ip4 kZone = 0x0a0a0a01;
constexpr Ip4 kNodes[] = {0x0a0a0a08, 0x0a0a0a09};

// A cloud in which no tunnel packet may be longer than what was believed.
class Paths final : public Cloud {
 public:
  void report(const std::vector<std::uint8_t>& message) {
    const auto news = engine->process_report(message, now);
    if (!news) return;
    require(news->mtu >= 576 + kOuter + 8 + 14);
    require(news->mtu < most(news->node));
    believed_[news->node] = {news->mtu, now};
  }
  // What the engine forgets by time.
  void pass(Tick minutes) {
    now += minutes * 60'000;
    for (int i = 0; i < 64 && engine->sweep(now, 16); i++) {
    }
    std::erase_if(believed_, [this](const auto& each) {
      return now - each.second.heard >= kKept;
    });
  }
  void underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                Offload offload) override {
    Cloud::underlay(bytes, to, offload);
    require(bytes.size() + kOuter <= most(to.dst_ip));
  }

 private:
  static constexpr Tick kKept = 600'000;
  struct Report {
    std::uint16_t mtu;
    Tick heard;
  };

  std::size_t most(Ip4 node) const {
    const auto known = believed_.find(node);
    return known == believed_.end() ? 0xffff : known->second.mtu;
  }

  std::map<Ip4, Report> believed_;
};

// A tunnel packet of ours to `node` as a router quotes it, and its message.
std::vector<std::uint8_t> too_big(Ip4 node, std::uint16_t mtu,
                                  std::uint16_t length) {
  std::vector<std::uint8_t> b(20 + 8 + 20 + 8 + 8);
  b[0] = b[28] = 0x45;
  put16(&b[2], static_cast<std::uint16_t>(b.size()));
  b[8] = b[36] = 64;
  b[9] = kIcmp;
  put32(&b[12], 0xc0a80101);
  put32(&b[16], kZone);
  b[20] = 3;
  b[21] = 4;
  put16(&b[26], mtu);
  put16(&b[30], length);
  b[37] = kUdp;
  put32(&b[40], kZone);
  put32(&b[44], node);
  put16(&b[48], 51000);
  put16(&b[50], 4789);
  b[56] = 8;
  put32(&b[60], 1 << 8);
  return b;
}

// UDP to the AIP of `length` bytes.
std::vector<std::uint8_t> datagram(std::size_t length, bool may_fragment) {
  std::vector<std::uint8_t> b(std::max<std::size_t>(length, 28));
  b[0] = 0x45;
  put16(&b[2], static_cast<std::uint16_t>(b.size()));
  put16(&b[6], may_fragment ? 0 : 0x4000);
  b[8] = 64;
  b[9] = kUdp;
  put32(&b[12], 0xc0000201);
  put32(&b[16], 0x03030309);
  put16(&b[22], 53);
  put16(&b[24], static_cast<std::uint16_t>(b.size() - 20));
  Cloud::mend(b, 0);
  return b;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  Paths cloud;
  cloud.furnish();
  Input in(data, size);
  for (int n = 0; n < 16 && !in.empty(); n++) {
    const std::uint8_t flags = in.byte();
    const std::uint16_t mtu = in.word();
    const std::uint16_t length = in.word();
    std::vector<std::uint8_t> message =
        too_big(kNodes[flags >> 1 & 1], mtu, length);
    const std::size_t at = in.byte();
    message.erase(message.end() - in.byte() % 64, message.end());
    const std::vector<std::uint8_t> patch = in.bytes(in.byte());
    overwrite(message, at, patch);
    if ((flags & 1) == 0) Cloud::mend(message, 0);
    cloud.report(message);
    const std::vector<std::uint8_t> packet =
        datagram(length % 700, (flags & 4) != 0);
    cloud.outside(packet);
    cloud.inside(Cloud::framed(packet));
    cloud.pass(flags >> 4);
  }
  cloud.settle();
  return 0;
}
