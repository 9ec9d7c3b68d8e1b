// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Figures of the engine alone, without I/O: JSON lines {id, value, unit,
// ratio, n, min, max}. `value` is the median of n runs, in time of this thread.
// With an argument, only the figures whose id contains it.

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/cloud.h"
#include "engine/checksum.h"

namespace vxlnat::bench {

namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;

void put_udp(std::uint8_t* ip, Ip4 src, std::uint16_t sport, Ip4 dst,
             std::uint16_t dport) {
  ip[0] = 0x45;
  put16(ip + 2, 46);
  put16(ip + 6, 0x4000);
  ip[8] = 64;
  ip[9] = kUdp;
  put32(ip + 12, src);
  put32(ip + 16, dst);
  put16(ip + 10, checksum(ip, 20));
  put16(ip + 20, sport);
  put16(ip + 22, dport);
  put16(ip + 24, 26);
  put16(ip + 26, checksum(ip + 20, 26, pseudo_sum(src, dst, kUdp, 26)));
}

}  // namespace

Datagram make(std::uint32_t n) {
  Datagram d{};
  d.bytes[0] = 8;
  d.bytes[6] = 1;
  put_mac(&d.bytes[8], kRouter);
  put16(&d.bytes[20], 0x0800);
  put_udp(&d.bytes[kHead], host_of(n), port_of(n), remote_of(n), 443);
  return d;
}

Datagram make_answer(std::uint32_t n, std::uint16_t port) {
  Datagram d{};
  put_udp(d.bytes, remote_of(n), 443, kPublic, port);
  return d;
}

Tables::Tables(const EngineConfig& config)
    : size_((Engine::shared_bytes(config) + kHuge) / kHuge * kHuge) {
  void* got = mmap(nullptr, size_ + kHuge, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) fail("there is not enough memory");
  whole_ = static_cast<std::uint8_t*>(got);
  const auto past = reinterpret_cast<std::uintptr_t>(whole_) % kHuge;
  memory_ = whole_ + (past == 0 ? 0 : kHuge - past);
  (void)madvise(memory_, size_, MADV_HUGEPAGE);
}

Tables::~Tables() { munmap(whole_, size_ + kHuge); }

EngineConfig config_for(std::uint32_t flows) {
  EngineConfig config;
  config.max_flows = flows;
  config.vnet_share_percent = 100;
  config.seed[0] = 1;
  return config;
}

std::unique_ptr<Engine> make_engine(const EngineConfig& config,
                                    const Tables& tables, Sink& sink) {
  const char* error = nullptr;
  auto engine = Engine::create(config, &error, tables.span());
  if (engine == nullptr) fail(error);
  apply(*engine, SetRule{1, 0, {0x0a000000, 8}, 0x0a000001, kRouter, kPublic},
        sink);
  for (std::uint32_t i = 0; i < kHosts; i++) {
    apply(*engine, SetRemote{1, kFirstHost + i, kRouter + 1 + i, 0xc0a80901},
          sink);
  }
  return engine;
}

void apply(Engine& engine, const Operation& operation, Sink& sink) {
  if (const char* error = engine.apply(operation, 1, sink)) fail(error);
}

void fail(const char* why) {
  std::fprintf(stderr, "bench: %s\n", why);
  std::exit(1);
}

void Burst::load(std::size_t i, const Datagram& d, std::size_t length) {
  std::uint8_t* at = &memory[i * (kHeadroom + 128) + kHeadroom];
  std::memcpy(at, d.bytes, kSize);
  packets[i].data = at;
  packets[i].length = length;
  packets[i].path.peer_ip = 0xc0a80901;  // where the hosts live
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

bool is_wanted(const char* id, const char* wanted) {
  return std::strstr(id, wanted) != nullptr;
}

}  // namespace vxlnat::bench

int main(int argc, char** argv) {
  const char* wanted = argc < 2 ? "" : argv[1];
  vxlnat::bench::measure_packets(wanted);
  vxlnat::bench::measure_tables(wanted);
  return 0;
}
