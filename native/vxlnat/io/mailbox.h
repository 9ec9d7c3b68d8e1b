// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// How other threads reach the engine: they never do. They post tasks, and the
// worker runs them between two bursts. The queue is bounded, so a caller that
// is faster than the worker is told so at once. A long task does a part of its
// work in each pass, so that packets do not wait for a big change of
// configuration.
//
// Threads: `post` from any; the rest from the worker.

#ifndef VXLNAT_IO_MAILBOX_H_
#define VXLNAT_IO_MAILBOX_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace vxlnat {
class Engine;
class Outbox;
}  // namespace vxlnat

namespace vxlnat::io {

struct Task {
  // Does one part of the work at time `now` (milliseconds); returns true when
  // all is done.
  std::function<bool(Engine& engine, std::uint64_t now, Outbox& out)> work;
  // Called after the pass that ended the work, when its effect is visible in
  // the engine's counters.
  std::function<void()> done;
};

class Mailbox {
 public:
  explicit Mailbox(std::size_t limit);
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox();

  // Becomes readable when something was posted.
  int fd() const { return fd_; }
  // Hands a task to the worker; false when the mailbox is full.
  bool post(Task task);
  // Ends a sleep on `fd` without a task.
  void wake();
  // Runs one part of the oldest task, and adds its `done` to `finished` when
  // that was the last. Returns whether there was one.
  bool run_one(Engine& engine, std::uint64_t now, Outbox& out,
               std::vector<std::function<void()>>* finished);
  // Makes `fd` quiet again; call before looking for tasks.
  void quiet();

 private:
  const std::size_t limit_;
  const int fd_;
  std::mutex mutex_;
  std::deque<Task> tasks_;  // under mutex_
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_MAILBOX_H_
