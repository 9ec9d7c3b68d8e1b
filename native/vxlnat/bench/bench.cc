// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Figures of the engine alone, without I/O: JSON lines {id, value, unit,
// ratio, n, min, max}. `value` is the median of n runs. Flows are picked at
// random, packets come in bursts of 32, and copying the packet in is part of
// the time. `ratio` is the peer's time over ours in the same run (twin.h).

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "bench/twin.h"
#include "engine/engine.h"

namespace vxlnat::bench {
namespace {

constexpr std::size_t kBurst = 32;
constexpr std::size_t kSize = 22 + 20 + 8 + 18;
constexpr std::size_t kRuns = 5;
constexpr Mac kRouter = 0x90b8d0000001;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Sink final : public Outbox {
 public:
  void underlay(std::span<const std::uint8_t> bytes, const Underlay&,
                Offload) override {
    count += bytes.size() > 0;
  }
  void external(std::span<const std::uint8_t> bytes, Offload) override {
    count += bytes.size() > 0;
    last_port = get16(&bytes[20]);
  }
  std::uint64_t count = 0;
  std::uint16_t last_port = 0;
};

struct Datagram {
  std::uint8_t bytes[kSize];
};

// A UDP datagram of flow `n`: hosts and remotes vary, ports a little.
Datagram make(std::uint32_t n) {
  Datagram d{};
  d.bytes[0] = 8;
  d.bytes[6] = 1;
  put_mac(&d.bytes[8], kRouter);
  put16(&d.bytes[20], 0x0800);
  std::uint8_t* ip = &d.bytes[22];
  ip[0] = 0x45;
  put16(ip + 2, 46);
  put16(ip + 6, 0x4000);
  ip[8] = 64;
  ip[9] = kUdp;
  put32(ip + 12, 0x0a000002 + n % 4096);
  put32(ip + 16, 0xc6120000 + n / 4096);
  put16(ip + 10, checksum(ip, 20));
  put16(ip + 20, static_cast<std::uint16_t>(1024 + n % 1000));
  put16(ip + 22, 443);
  put16(ip + 24, 26);
  put16(ip + 26,
        checksum(ip + 20, 26,
                 pseudo_sum(get32(ip + 12), get32(ip + 16), kUdp, 26)));
  return d;
}

// Table memory in huge pages where the system has them, which is
// how a large table is best given to create().
class Tables {
 public:
  explicit Tables(const EngineConfig& config)
      : size_((Engine::shared_bytes(config) + kHuge) / kHuge * kHuge) {
    void* got = mmap(nullptr, size_ + kHuge, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) std::exit(1);
    whole_ = static_cast<std::uint8_t*>(got);
    const auto past = reinterpret_cast<std::uintptr_t>(whole_) % kHuge;
    memory_ = whole_ + (past == 0 ? 0 : kHuge - past);
    (void)madvise(memory_, size_, MADV_HUGEPAGE);
  }
  ~Tables() { munmap(whole_, size_ + kHuge); }
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;
  std::span<std::uint8_t> span() const { return {memory_, size_}; }

 private:
  static constexpr std::size_t kHuge = std::size_t{2} << 20;
  std::size_t size_;
  std::uint8_t* whole_ = nullptr;
  std::uint8_t* memory_ = nullptr;
};

EngineConfig config_for(std::uint32_t flows) {
  EngineConfig config;
  config.max_flows = flows;
  config.vnet_share_percent = 100;
  config.seed[0] = 1;
  return config;
}

std::unique_ptr<Engine> make_engine(std::uint32_t flows, const Tables& tables,
                                    Sink& sink) {
  const char* error = nullptr;
  auto engine = Engine::create(config_for(flows), &error, tables.span());
  if (engine == nullptr ||
      engine->apply(
          SetRule{1, 0, {0x0a000000, 8}, 0x0a000001, kRouter, 0x03030302}, 1,
          sink) != nullptr) {
    std::fprintf(stderr, "bench: no engine\n");
    std::exit(1);
  }
  return engine;
}

void print(const char* id, const char* unit, std::vector<double> values,
           std::vector<double> ratios) {
  std::sort(values.begin(), values.end());
  std::sort(ratios.begin(), ratios.end());
  std::printf("{\"id\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",", id,
              values[values.size() / 2], unit);
  if (!ratios.empty()) {
    std::printf("\"ratio\":%.2f,", ratios[ratios.size() / 2]);
  }
  std::printf("\"n\":%zu,\"min\":%.2f,\"max\":%.2f}\n", values.size(),
              values.front(), values.back());
  std::fflush(stdout);
}

// A burst's buffers, each with headroom.
struct Burst {
  std::vector<std::uint8_t> memory =
      std::vector<std::uint8_t>(kBurst * (kHeadroom + 128));
  Packet packets[kBurst];

  void load(std::size_t i, const Datagram& d) {
    std::uint8_t* at = &memory[i * (kHeadroom + 128) + kHeadroom];
    std::memcpy(at, d.bytes, kSize);
    packets[i].data = at;
    packets[i].length = kSize;
  }
};

// Packets in random order of flows, made before the clock starts.
std::vector<Datagram> shuffled(std::uint32_t flows, std::size_t packets) {
  Random random({3, 4});
  std::vector<Datagram> all(packets);
  for (Datagram& d : all) d = make(random.below(flows));
  return all;
}

void established(const char* id, std::uint32_t flows) {
  Sink sink;
  const Tables tables(config_for(flows));
  auto engine = make_engine(flows, tables, sink);
  Twin twin;
  Burst burst;
  for (std::uint32_t n = 0; n < flows; n++) {
    const Datagram d = make(n);
    burst.load(0, d);
    engine->process_underlay(burst.packets[0], 1, sink);
    const std::uint8_t* ip = &d.bytes[22];
    twin.add(inside_key(1, kUdp, get32(ip + 12), get16(ip + 20), get32(ip + 16),
                        443),
             {0x03030302, sink.last_port});
  }
  const std::vector<Datagram> traffic = shuffled(flows, std::size_t{1} << 20);
  std::vector<double> ours;
  std::vector<double> ratios;
  for (std::size_t run = 0; run < kRuns; run++) {
    auto start = Clock::now();
    for (std::size_t at = 0; at < traffic.size(); at += kBurst) {
      for (std::size_t i = 0; i < kBurst; i++) burst.load(i, traffic[at + i]);
      engine->process_underlay(std::span(burst.packets), 1000 + at / 32768,
                               sink);
    }
    ours.push_back(seconds_since(start) * 1e9 /
                   static_cast<double>(traffic.size()));
    start = Clock::now();
    std::uint64_t hits = 0;
    for (const Datagram& d : traffic) {
      burst.load(0, d);
      hits += twin.translate(burst.packets[0].data, run) ? 1u : 0u;
    }
    const double peer =
        seconds_since(start) * 1e9 / static_cast<double>(traffic.size());
    ratios.push_back(peer / ours.back());
    if (hits != traffic.size()) std::exit(1);
  }
  if (sink.count != flows + kRuns * traffic.size()) std::exit(1);
  print(id, "ns/packet", ours, ratios);
}

void new_flows() {
  constexpr std::uint32_t kFlows = 1 << 19;
  std::vector<double> values;
  for (std::size_t run = 0; run < kRuns; run++) {
    Sink sink;
    const Tables tables(config_for(kFlows));
    auto engine = make_engine(kFlows, tables, sink);
    std::vector<Datagram> traffic(kFlows);
    for (std::uint32_t n = 0; n < kFlows; n++) traffic[n] = make(n);
    Burst burst;
    const auto start = Clock::now();
    for (std::uint32_t n = 0; n < kFlows; n += kBurst) {
      for (std::uint32_t i = 0; i < kBurst; i++) burst.load(i, traffic[n + i]);
      engine->process_underlay(std::span(burst.packets), 1, sink);
    }
    values.push_back(kFlows / seconds_since(start));
    if (engine->stats().flows.read() != kFlows) std::exit(1);
  }
  print("core.new_flow", "flows/s", values, {});
}

void bytes_per_flow() {
  EngineConfig config;
  config.max_flows = 1 << 20;
  EngineConfig least = config;
  least.max_flows = 1;
  const double bytes = static_cast<double>(Engine::shared_bytes(config) -
                                           Engine::shared_bytes(least));
  print("core.bytes_per_flow", "bytes", {bytes / (1 << 20)}, {});
}

}  // namespace
}  // namespace vxlnat::bench

// With an argument, only the figures whose id contains it.
int main(int argc, char** argv) {
  using namespace vxlnat::bench;
  const auto wanted = [&](const char* id) {
    return argc < 2 || std::strstr(id, argv[1]) != nullptr;
  };
  const std::pair<const char*, std::uint32_t> sizes[] = {
      {"core.established.1k", 1000},
      {"core.established.64k", 64000},
      {"core.established.1m", 1000000}};
  for (const auto& [id, flows] : sizes) {
    if (wanted(id)) established(id, flows);
  }
  if (wanted("core.new_flow")) new_flows();
  if (wanted("core.bytes_per_flow")) bytes_per_flow();
  return 0;
}
