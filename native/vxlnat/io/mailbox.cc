// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The queue of tasks for the worker; see mailbox.h.

#include "io/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace vxlnat::io {

Mailbox::Mailbox(std::size_t limit)
    : limit_(limit), fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Mailbox::~Mailbox() { close(fd_); }

bool Mailbox::post(Task task) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (tasks_.size() >= limit_) return false;
    tasks_.push_back(std::move(task));
  }
  wake();
  return true;
}

void Mailbox::wake() {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the worker is awake.
  [[maybe_unused]] const ssize_t n = write(fd_, &one, sizeof(one));
}

void Mailbox::quiet() {
  std::uint64_t value = 0;
  [[maybe_unused]] const ssize_t n = read(fd_, &value, sizeof(value));
}

bool Mailbox::run_one(Engine& engine, std::uint64_t now, Outbox& out,
                      std::vector<std::function<void()>>* finished) {
  Task* task = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (tasks_.empty()) return false;
    // A deque does not move its elements when others are appended, and only
    // the worker removes: the task may run without the lock.
    task = &tasks_.front();
  }
  if (!task->work(engine, now, out)) return true;
  finished->push_back(std::move(task->done));
  const std::lock_guard<std::mutex> lock(mutex_);
  tasks_.pop_front();
  return true;
}

}  // namespace vxlnat::io
