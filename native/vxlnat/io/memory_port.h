// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A port without a network, for tests of the worker: what is given to `push`
// comes out of `receive`, and what is sent can be taken with `take`. Safe to
// use from a test's thread while a worker runs.

#ifndef VXLNAT_IO_MEMORY_PORT_H_
#define VXLNAT_IO_MEMORY_PORT_H_

#include <cstring>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "io/port.h"

namespace vxlnat::io {

class MemoryPort final : public Port {
 public:
  struct In {
    std::vector<std::uint8_t> bytes;
    Path path;
  };
  struct Out {
    std::vector<std::uint8_t> bytes;
    Underlay to;
  };

  explicit MemoryPort(std::size_t burst)
      : burst_(burst), buffers_(burst, kHeadroom, kRoom) {}

  void push(In item) {
    const std::lock_guard<std::mutex> lock(mutex_);
    in_.push_back(std::move(item));
  }

  std::vector<Out> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(out_, {});
  }

  int fd() const override { return -1; }

  std::size_t receive(std::span<Packet> out) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::size_t n = 0;
    while (n < out.size() && n < burst_ && !in_.empty()) {
      const In& item = in_.front();
      std::memcpy(buffers_.data(n), item.bytes.data(), item.bytes.size());
      out[n] = {};
      out[n].data = buffers_.data(n);
      out[n].length = item.bytes.size();
      out[n].path = item.path;
      in_.pop_front();
      n++;
    }
    count(counters_.rx_packets, n);
    return n;
  }

  void send(std::span<const std::uint8_t> bytes, const Underlay& to,
            Offload) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    out_.push_back({{bytes.begin(), bytes.end()}, to});
    count(counters_.tx_packets);
  }

  void flush() override {}

 private:
  const std::size_t burst_;
  std::mutex mutex_;
  std::deque<In> in_;     // under mutex_
  std::vector<Out> out_;  // under mutex_
  Buffers buffers_;       // worker only
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_MEMORY_PORT_H_
