// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the XDP program costs by itself, without a driver: one JSON line for
// each direction and number of flows. The frame is made anew before each run,
// and what that costs is subtracted. Needs root.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "engine/engine.h"
#include "engine/shared_tables.h"
#include "test/build.h"
#include "test/fastpath/kernel.h"

using namespace vxlnat;
using namespace vxlnat::test;

namespace {

constexpr Ip4 kZone = ip4(192, 168, 9, 6);
constexpr Ip4 kNode = ip4(192, 168, 9, 1);
constexpr Ip4 kHost = ip4(10, 4, 4, 5);
constexpr Ip4 kPublic = ip4(3, 3, 3, 2);
constexpr Ip4 kAip = ip4(3, 3, 3, 9);
constexpr Ip4 kRemote = ip4(192, 0, 2, 0);
constexpr Mac kRouter = 0x90b8d0000001;
constexpr int kRepeat = 1000000;
constexpr std::size_t kShot = 128;  // MOST of fast_path.bpf.c

struct Shot {
  std::uint8_t frame[kShot];
  std::uint32_t length, flows, ip, port, side;
  std::uint16_t ports[1 << 20];
};

class Nowhere final : public Outbox {
 public:
  void underlay(std::span<const std::uint8_t>, const Underlay&,
                Offload) override {}
  void external(std::span<const std::uint8_t>, Offload) override {}
};

Bytes inner(Ip4 src, std::uint16_t sport, Ip4 dst, std::uint16_t dport) {
  Bytes ip = make_udp(src, sport, dst, dport, Bytes(kShot));
  put16(&ip[26], 0);
  return ip;
}

Bytes vxlan(const Bytes& ip) {
  Bytes b(8 + 14);
  b[0] = 8;
  put32(&b[4], 1 << 8);
  put_mac(&b[8], kRouter);
  put16(&b[20], 0x0800);
  b.insert(b.end(), ip.begin(), ip.end());
  return b;
}

Bytes ethernet(const Bytes& ip) {
  Bytes b(14);
  put16(&b[12], 0x0800);
  b.insert(b.end(), ip.begin(), ip.end());
  return b;
}

Bytes datagram(const Bytes& ip) {
  Bytes udp = udp_payload(kNode, 50000, kZone, 4789, vxlan(ip));
  put16(&udp[6], 0);
  return make_ip(kNode, kZone, kUdp, udp);
}

class Scene {
 public:
  Scene(std::uint32_t flows, bool aip) : flows_(flows) {
    EngineConfig config;
    config.max_flows = flows + 1024;
    config.port_low = 1024;
    config.vnet_share_percent = 100;
    config.rows = 1 + static_cast<std::uint32_t>(sysconf(_SC_NPROCESSORS_CONF));
    std::string error;
    kernel_ = Kernel::open(Engine::shared_bytes(config), 0, &error);
    const char* refused = nullptr;
    if (kernel_ != nullptr) {
      engine_ = Engine::create(config, &refused, kernel_->tables());
    }
    if (engine_ == nullptr) {
      std::fprintf(stderr, "fast path: %s\n", error.c_str());
      return;
    }
    engine_->apply(AddUl3{kZone}, now(), out_);
    engine_->apply(
        SetRule{
            1, 0, {ip4(10, 4, 4, 0), 24}, ip4(10, 4, 4, 1), kRouter, kPublic},
        now(), out_);
    engine_->apply(SetRemote{1, kHost, 0x90b8d00000aa, kNode, 4789}, now(),
                   out_);
    if (aip) engine_->apply(SetOneToOne{1, 0, kHost, kAip}, now(), out_);
    for (std::uint32_t i = 0; i < (aip ? 0 : flows); i++) open_flow(i);
  }

  void measure(const char* name, bool out, bool aip) {
    if (engine_ == nullptr) return;
    const Bytes ip = out ? inner(kHost, 2000, kRemote, 53)
                         : inner(kRemote, 53, aip ? kAip : kPublic, 2000);
    const Bytes frame = ethernet(out ? datagram(ip) : ip);
    const std::uint32_t at = out ? 14 + 20 + 8 + 8 + 14 : 14;
    const auto held = std::make_unique<Shot>();
    Shot& shot = *held;
    const SharedTables s(kernel_->tables().data());
    for (std::uint32_t i = 0; i < flows_; i++) {
      const std::uint16_t own = static_cast<std::uint16_t>(2000 + (i & 32767));
      // Records are taken in order.
      put16(reinterpret_cast<std::uint8_t*>(&shot.ports[i]),
            out || aip ? own : s.flows.flows[i].public_port);
    }
    std::memcpy(shot.frame, frame.data(), kShot);
    shot.length = static_cast<std::uint32_t>(frame.size());
    shot.flows = flows_;
    shot.ip = at;
    shot.port = at + 20 + (out ? 0 : 2);
    shot.side = out;
    const std::string error =
        kernel_->load(VXLNAT_BENCH_OBJECT,
                      {reinterpret_cast<std::uint8_t*>(&shot), sizeof shot});
    if (!error.empty()) {
      std::fprintf(stderr, "fast path: %s\n", error.c_str());
      return;
    }
    const std::uint32_t port = out ? Kernel::kUnderlay : Kernel::kExternal;
    std::uint32_t bare[3], timed[3];
    for (int i = 0; i < 3; i++) {
      bare[i] = kernel_->time("bare", frame, port, kRepeat);
      timed[i] = kernel_->time("timed", frame, port, kRepeat);
    }
    std::sort(bare, bare + 3);
    std::sort(timed, timed + 3);
    const std::uint64_t forwarded =
        kernel_->counter(out ? VXLNAT_FAST_OUT : VXLNAT_FAST_IN);
    std::printf(
        "{\"id\":\"%s\",\"value\":%d,\"unit\":\"ns\",\"forwarded\":%.3f}\n",
        name, static_cast<int>(timed[1] - bare[1]),
        static_cast<double>(forwarded) / (3.0 * kRepeat));
  }

 private:
  static Tick now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<Tick>(t.tv_sec) * 1000 +
           static_cast<Tick>(t.tv_nsec) / 1000000;
  }
  void open_flow(std::uint32_t i) {
    Bytes b(kHeadroom);
    const Bytes p =
        vxlan(inner(kHost, static_cast<std::uint16_t>(2000 + (i & 32767)),
                    kRemote + (i >> 15), 53));
    b.insert(b.end(), p.begin(), p.end());
    Packet packet;
    packet.data = b.data() + kHeadroom;
    packet.length = p.size();
    packet.path = {kZone, kNode, 50000, 0};
    engine_->process_underlay(packet, now(), out_);
  }
  std::uint32_t flows_;
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<Engine> engine_;
  Nowhere out_;
};

}  // namespace

int main() {
  Scene(1024, false).measure("fastpath.out.snat.1k", true, false);
  Scene(1024, false).measure("fastpath.in.snat.1k", false, false);
  Scene(1024, true).measure("fastpath.out.aip.1k", true, true);
  Scene(1024, true).measure("fastpath.in.aip.1k", false, true);
  Scene(1 << 20, false).measure("fastpath.out.snat.1m", true, false);
  Scene(1 << 20, false).measure("fastpath.in.snat.1m", false, false);
}
