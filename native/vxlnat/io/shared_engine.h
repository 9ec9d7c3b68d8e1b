// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// One engine for several threads. An engine belongs to one thread at a time;
// whoever wants it holds the lock while the engine works on one burst or one
// part of a task, and does all reading, sending and waiting without it
// (docs/adr/0008-one-engine-many-queues.md).

#ifndef VXLNAT_IO_SHARED_ENGINE_H_
#define VXLNAT_IO_SHARED_ENGINE_H_

#include <memory>
#include <mutex>
#include <utility>

#include "engine/engine.h"

namespace vxlnat::io {

class SharedEngine {
 public:
  explicit SharedEngine(std::unique_ptr<Engine> engine)
      : engine_(std::move(engine)) {}

  // Calls `use` with the engine; others wait meanwhile.
  template <typename Use>
  auto with(Use&& use) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return use(*engine_);
  }
  // Atomics: may be read by any thread without the lock.
  const Stats& stats() const { return engine_->stats(); }

 private:
  std::mutex mutex_;
  const std::unique_ptr<Engine> engine_;  // what it points to: under mutex_
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_SHARED_ENGINE_H_
