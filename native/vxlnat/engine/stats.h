// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the engine counts. The worker thread is the only writer; any thread
// may read, a value at a time. Names are those of StatsDto in ts/native.ts.

#ifndef VXLNAT_ENGINE_STATS_H_
#define VXLNAT_ENGINE_STATS_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vxlnat {

enum class Drop : std::uint8_t {
#define X(name, sentence) k##name,
#include "engine/drops.def"
#undef X
  kCount
};

inline constexpr std::size_t kDropCount =
    static_cast<std::size_t>(Drop::kCount);

struct DropText {
  const char* name;      // as in drops.def
  const char* sentence;  // for the operator
};

inline constexpr std::array<DropText, kDropCount> kDropTexts = {{
#define X(name, sentence) {#name, sentence},
#include "engine/drops.def"
#undef X
}};

// A number with one writer: a plain add costs no locked instruction.
class Counter {
 public:
  Counter() = default;
  Counter(const Counter& other) : value_(other.read()) {}
  Counter& operator=(const Counter& other) {
    set(other.read());
    return *this;
  }
  void add(std::uint64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by,
                 std::memory_order_relaxed);
  }
  void set(std::uint64_t value) {
    value_.store(value, std::memory_order_relaxed);
  }
  std::uint64_t read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct Packet;
class EventLog;

// Drops of each vnet by reason, by vnet slot. Worker thread only.
class VnetDrops {
 public:
  explicit VnetDrops(std::size_t vnets) : counts_(vnets * kDropCount) {}
  void add(std::uint32_t slot, Drop reason) {
    const std::size_t at =
        std::size_t{slot} * kDropCount + static_cast<std::size_t>(reason);
    if (at < counts_.size()) counts_[at]++;
  }
  const std::uint32_t* of(std::uint32_t slot) const {
    return &counts_[std::size_t{slot} * kDropCount];
  }
  void reset(std::uint32_t slot) {
    std::fill_n(&counts_[std::size_t{slot} * kDropCount], kDropCount, 0);
  }

 private:
  std::vector<std::uint32_t> counts_;
};

// Told of each drop while somebody looks on (tap.h).
class DropWatcher {
 public:
  virtual void dropped(const Packet& packet, Drop reason) = 0;

 protected:
  ~DropWatcher() = default;
};

struct Stats {
  Counter rx_underlay_packets;
  Counter rx_underlay_bytes;
  Counter tx_underlay_packets;
  Counter tx_underlay_bytes;
  Counter rx_external_packets;
  Counter rx_external_bytes;
  Counter tx_external_packets;
  Counter tx_external_bytes;
  Counter hairpin_packets;
  Counter icmp_errors_sent;
  Counter gateway_replies;
  Counter probes_reflected;
  Counter drops;
  // Packets the engine kept to send later: held fragments, unknown remotes.
  Counter kept;
  Counter flows_created;
  Counter flows_expired;
  // Flows that went on after quarantine with the tuple they had.
  Counter flows_revived;
  Counter remote_misses;
  // Gauges.
  Counter flows;
  Counter fragments;
  Counter rules;
  Counter one_to_ones;
  Counter vnets;
  Counter remotes;
  // Index by Drop; texts in kDropTexts.
  std::array<Counter, kDropCount> drop;
  // Worker thread only; may be null.
  DropWatcher* drop_watcher = nullptr;
  EventLog* events = nullptr;
  VnetDrops* vnet_drops = nullptr;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_STATS_H_
