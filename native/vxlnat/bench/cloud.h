// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the figures share: a cloud of one vnet with 4,096 hosts, its packets,
// tables in huge pages, and how a figure is printed.

#ifndef VXLNAT_BENCH_CLOUD_H_
#define VXLNAT_BENCH_CLOUD_H_

#include <ctime>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/hash.h"

namespace vxlnat::bench {

inline constexpr std::size_t kBurst = 32;
inline constexpr std::size_t kHead = 22;  // VXLAN and Ethernet
inline constexpr std::size_t kSize = kHead + 20 + 8 + 18;
inline constexpr std::size_t kRuns = 5;
inline constexpr std::uint32_t kHosts = 4096;
inline constexpr Mac kRouter = 0x90b8d0000001;
inline constexpr Ip4 kPublic = 0x03030302;
inline constexpr Ip4 kFirstHost = 0x0a000002;

// Nanoseconds of this thread: what others do on the machine does not count.
inline double thread_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

class Sink final : public Outbox {
 public:
  void underlay(std::span<const std::uint8_t> bytes, const Underlay&,
                Offload) override {
    count += bytes.size() > 0;
  }
  void external(std::span<const std::uint8_t> bytes, Offload) override {
    count += bytes.size() > 0;
    last_port = static_cast<std::uint16_t>(bytes[20] << 8 | bytes[21]);
  }
  std::uint64_t count = 0;
  std::uint16_t last_port = 0;
};

struct Datagram {
  std::uint8_t bytes[kSize];
};

// Flow `n`: hosts and remotes vary, ports a little.
inline Ip4 host_of(std::uint32_t n) { return kFirstHost + n % kHosts; }
inline Ip4 remote_of(std::uint32_t n) { return 0xc6120000 + n / kHosts; }
inline std::uint16_t port_of(std::uint32_t n) {
  return static_cast<std::uint16_t>(1024 + n % 1000);
}
// Its UDP datagram.
Datagram make(std::uint32_t n);
// Its answer, without VXLAN and Ethernet in front, to public port `port`.
Datagram make_answer(std::uint32_t n, std::uint16_t port);

// Memory in huge pages where the system has them, which is how a large table
// is best given to create().
class Tables {
 public:
  explicit Tables(const EngineConfig& config);
  ~Tables();
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;
  std::span<std::uint8_t> span() const { return {memory_, size_}; }

 private:
  std::size_t size_;
  std::uint8_t* whole_ = nullptr;
  std::uint8_t* memory_ = nullptr;
};

EngineConfig config_for(std::uint32_t flows);
// An engine with the vnet's rule and hosts; ends the program when it fails.
std::unique_ptr<Engine> make_engine(const EngineConfig& config,
                                    const Tables& tables, Sink& sink);
void apply(Engine& engine, const Operation& operation, Sink& sink);
[[noreturn]] void fail(const char* why);

// A burst's buffers, each with headroom.
struct Burst {
  std::vector<std::uint8_t> memory =
      std::vector<std::uint8_t>(kBurst * (kHeadroom + 128));
  Packet packets[kBurst];

  void load(std::size_t i, const Datagram& d, std::size_t length = kSize);
};

// One figure: the median of `values`, and of the ratios when there are any.
void print(const char* id, const char* unit, std::vector<double> values,
           std::vector<double> ratios = {});

// The figures, each by the part of its id behind "core.".
void measure_packets(const char* wanted);
void measure_tables(const char* wanted);
bool is_wanted(const char* id, const char* wanted);

}  // namespace vxlnat::bench

#endif  // VXLNAT_BENCH_CLOUD_H_
