// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Delivers results and events on the JavaScript thread; see events.h.

#include "addon/events.h"

#include <utility>

#include "addon/convert.h"

namespace vxlnat::addon {

namespace {

// More than this in one turn of the event loop and the daemon is not keeping
// up; the engine asks again for what still misses.
constexpr std::size_t kLimit = 4096;

}  // namespace

Events::Events(Napi::Env env, Napi::Function on_events)
    : function_(Napi::ThreadSafeFunction::New(env, on_events, "vxlnat events",
                                              0, 1)) {}

Events::~Events() = default;

void Events::post(io::Event event) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (events_.size() >= kLimit) {
      lost_++;
      return;
    }
    events_.push_back(std::move(event));
    if (std::exchange(woken_, true)) return;
  }
  wake();
}

void Events::post(Completion completion) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    completions_.push_back(std::move(completion));
    if (std::exchange(woken_, true)) return;
  }
  wake();
}

void Events::wake() {
  // Fails only while Node is shutting down, and then nobody listens.
  function_.NonBlockingCall(
      [self = shared_from_this()](Napi::Env env, Napi::Function on_events) {
        if (!self->closed_) self->deliver(env, on_events);
      });
}

void Events::deliver(Napi::Env env, Napi::Function on_events) {
  std::vector<io::Event> events;
  std::vector<Completion> completions;
  std::uint64_t lost = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    woken_ = false;
    lost = std::exchange(lost_, 0);
    events.swap(events_);
    completions.swap(completions_);
  }
  if (lost > 0) {
    events.push_back(io::Event::log(
        io::LogLevel::kWarn,
        std::to_string(lost) + " events were lost: too many at once"));
  }
  for (const Completion& completion : completions) completion(env);
  if (!events.empty()) {
    on_events.Call({events_to_js(env, events)});
  }
}

void Events::close(Napi::Env env, bool run_completions) {
  if (std::exchange(closed_, true)) return;
  std::vector<Completion> completions;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    completions.swap(completions_);
    events_.clear();
  }
  if (run_completions) {
    for (const Completion& completion : completions) completion(env);
  }
  function_.Release();
}

}  // namespace vxlnat::addon
