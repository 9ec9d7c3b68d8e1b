// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What goes from the worker to JavaScript: results of tasks, remote misses
// and log lines. All of it waits in one place until Node's main thread comes
// for it, so that a flood of misses costs one wake-up and one call, not one
// each. Events are bounded and the rest is counted; results never get lost.
//
// Threads: `post` from any; the rest from the JavaScript thread.

#ifndef VXLNAT_ADDON_EVENTS_H_
#define VXLNAT_ADDON_EVENTS_H_

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/worker.h"

namespace vxlnat::addon {

// Makes a value, or settles a promise, on the JavaScript thread.
using Completion = std::function<void(Napi::Env)>;

class Events final : public io::EventSink,
                     public std::enable_shared_from_this<Events> {
 public:
  // `on_events` is called with an array of events. Make it shared: a wake-up
  // that Node has not yet delivered keeps it alive.
  Events(Napi::Env env, Napi::Function on_events);
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  ~Events() override;

  void post(io::Event event) override;
  void post(Completion completion);

  // Forgets the events, and runs the completions that wait unless Node is
  // shutting down; nothing is delivered afterwards. Call when no other thread
  // posts any more.
  void close(Napi::Env env, bool run_completions);

 private:
  void wake();
  void deliver(Napi::Env env, Napi::Function on_events);

  Napi::ThreadSafeFunction function_;
  bool closed_ = false;  // JavaScript thread only
  std::mutex mutex_;
  bool woken_ = false;                   // under mutex_
  std::uint64_t lost_ = 0;               // under mutex_
  std::vector<io::Event> events_;        // under mutex_
  std::vector<Completion> completions_;  // under mutex_
};

}  // namespace vxlnat::addon

#endif  // VXLNAT_ADDON_EVENTS_H_
