// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The passes of a lane; see lane.h.

#include "io/lane.h"

#include <pthread.h>

#include <string>
#include <utility>

#include "engine/engine.h"
#include "io/clock.h"

namespace vxlnat::io {

Lane::Lane(std::unique_ptr<LaneIo> io, SharedEngine* engine, Report report)
    : io_(std::move(io)), engine_(engine), report_(std::move(report)) {}

Lane::~Lane() { stop(); }

void Lane::start(unsigned number) {
  thread_ = std::thread([this] { run(); });
  const std::string name = "vxlnat-q" + std::to_string(number);
  pthread_setname_np(thread_.native_handle(), name.c_str());
}

void Lane::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  io_->wake();
  if (thread_.joinable()) thread_.join();
}

void Lane::run() {
  while (!stopping_.load(std::memory_order_relaxed)) {
    const LaneIo::Burst burst = io_->receive();
    if (burst.empty()) {
      io_->sleep();
      continue;
    }
    const std::uint64_t now = clock_ms();
    engine_->with([&](Engine& engine) {
      if (!burst.underlay.empty()) {
        engine.process_underlay(burst.underlay, now, *io_);
      }
      if (!burst.external.empty()) {
        engine.process_external(burst.external, now, *io_);
      }
      report_(engine);
    });
    io_->flush(now);
  }
}

}  // namespace vxlnat::io
