// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Packets that a ring cannot send, on their way to the worker's ports: their
// neighbour is not known yet, they leave by an interface that is not ours, or
// they are too long. The kernel, which owns those ports' other ends, resolves
// the neighbour, routes, fragments or answers. Bounded; what finds no room is
// lost and counted.
//
// Threads: `put` from any; `take` from the worker.

#ifndef VXLNAT_IO_DETOUR_H_
#define VXLNAT_IO_DETOUR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "engine/packet.h"
#include "io/port.h"

namespace vxlnat::io {

class Detour {
 public:
  struct Item {
    std::vector<std::uint8_t> bytes;
    bool underlay;
    Underlay to;
    Offload offload;
  };

  // `wake` is called when there is something to take again.
  explicit Detour(std::function<void()> wake) : wake_(std::move(wake)) {}

  void put(std::span<const std::uint8_t> bytes, const Underlay* to,
           Offload offload = {}) {
    bool first = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      first = items_.empty();
      if (items_.size() >= kMost) {
        lost_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      items_.push_back({{bytes.begin(), bytes.end()},
                        to != nullptr,
                        to != nullptr ? *to : Underlay{},
                        offload});
    }
    taken_.fetch_add(1, std::memory_order_relaxed);
    if (first) wake_();
  }

  std::vector<Item> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(items_, {});
  }

  std::uint64_t packets() const { return taken_.load(relaxed); }
  std::uint64_t lost() const { return lost_.load(relaxed); }

 private:
  static constexpr std::size_t kMost = 1024;
  static constexpr auto relaxed = std::memory_order_relaxed;
  const std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<Item> items_;  // under mutex_
  std::atomic<std::uint64_t> taken_{0};
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_DETOUR_H_
