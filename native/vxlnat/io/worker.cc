// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The worker's passes; see worker.h.

#include "io/worker.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>

#include <iterator>
#include <utility>

#include "io/clock.h"

namespace vxlnat::io {

namespace {

constexpr std::size_t kMailboxLimit = 1024;
// Parts of tasks in one pass: each is small, packets wait for all of them.
constexpr int kTasksInPass = 4;
// Entries the engine may look at in one sweep.
constexpr std::size_t kSweepBudget = 256;
// An idle worker wakes this often to sweep and to show progress.
constexpr int kIdleMs = 20;
// Ports without a descriptor (tests) are polled this often.
constexpr int kPollingMs = 1;
// Losses are told at most this often.
constexpr std::uint64_t kTellMs = 10'000;
// Well below the kernel's reachable time of a neighbour (30 s by default).
constexpr std::uint64_t kOftenMs = 5'000;
constexpr std::size_t kMissesInPass = 64;
// A sender that is told a moment later has lost a few packets more.
constexpr std::uint64_t kReportsMs = 50;

std::uint64_t lost_at(const Port& port) {
  const auto read = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  const PortCounters& counters = port.counters();
  return read(counters.rx_overflow) + read(counters.rx_oversize) +
         read(counters.tx_refused);
}

bool broken(const pollfd& wait) {
  return (wait.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 &&
         (wait.revents & POLLIN) == 0;
}

}  // namespace

Worker::Worker(std::unique_ptr<Engine> engine, std::unique_ptr<Port> underlay,
               std::unique_ptr<Port> external, std::size_t burst,
               EventSink* sink)
    : engine_(std::move(engine)),
      underlay_(std::move(underlay)),
      external_(std::move(external)),
      burst_(burst),
      sink_(sink),
      mailbox_(kMailboxLimit),
      detour_([this] { mailbox_.wake(); }) {}

Worker::~Worker() { stop(); }

void Worker::add_lane(std::unique_ptr<LaneIo> io) {
  lanes_.push_back(std::make_unique<Lane>(
      std::move(io), &engine_,
      [this](Engine& engine) { report_misses(engine); }));
}

void Worker::start() {
  unsigned number = 0;
  for (const auto& lane : lanes_) lane->start(number++);
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "vxlnat-engine");
}

void Worker::stop() {
  for (const auto& lane : lanes_) lane->stop();
  stopping_.store(true, std::memory_order_relaxed);
  mailbox_.wake();
  if (thread_.joinable()) thread_.join();
}

void Worker::run() {
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (!pass()) sleep();
  }
}

// Returns whether there may be more to do at once.
bool Worker::pass() {
  now_ = clock_ms();
  progress_.store(progress() + 1, std::memory_order_relaxed);
  bool busy = take_underlay();
  busy |= take_external();
  busy |= run_tasks();
  busy |= engine_.with(
      [this](Engine& engine) { return engine.sweep(now_, kSweepBudget); });
  send_detoured();
  underlay_->flush();
  external_->flush();
  report();
  for (const auto& done : finished_) done();
  finished_.clear();
  return busy;
}

bool Worker::run_tasks() {
  mailbox_.quiet();
  for (int i = 0; i < kTasksInPass; i++) {
    const bool ran = engine_.with([this](Engine& engine) {
      return mailbox_.run_one(engine, now_, *this, &finished_);
    });
    if (!ran) return false;
  }
  return true;
}

bool Worker::take_underlay() {
  const std::size_t n = underlay_->receive(burst_);
  if (n == 0) return false;
  engine_.with([&](Engine& engine) {
    engine.process_underlay(std::span(burst_.data(), n), now_, *this);
  });
  return true;
}

bool Worker::take_external() {
  const std::size_t n = external_->receive(burst_);
  if (n == 0) return false;
  engine_.with([&](Engine& engine) {
    engine.process_external(std::span(burst_.data(), n), now_, *this);
  });
  return true;
}

void Worker::underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                      Offload offload) {
  underlay_->send(bytes, to, offload);
}

void Worker::external(std::span<const std::uint8_t> bytes, Offload offload) {
  external_->send(bytes, {}, offload);
}

void Worker::send_detoured() {
  for (const Detour::Item& each : detour_.take()) {
    Port& port = each.underlay ? *underlay_ : *external_;
    port.send(each.bytes, each.to, each.offload);
  }
}

void Worker::report_misses(Engine& engine) {
  Miss misses[kMissesInPass];
  const std::size_t n = engine.take_misses(misses);
  for (std::size_t i = 0; i < n; i++) {
    sink_->post(Event::remote_miss(misses[i].vnet, misses[i].ip));
  }
}

void Worker::hear_reports() {
  if (reports_ == nullptr || now_ - reports_at_ < kReportsMs) return;
  reports_at_ = now_;
  reports_->read([this](std::span<const std::uint8_t> message) {
    const auto news = engine_.with(
        [&](Engine& engine) { return engine.process_report(message, now_); });
    if (!news) return;
    in_addr node{};
    node.s_addr = htonl(news->node);
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &node, text, sizeof(text));
    sink_->post(Event::log(LogLevel::kWarn, "the underlay carries packets of " +
                                                std::to_string(news->mtu) +
                                                " bytes at most to " + text +
                                                "; hosts there are told"));
  });
}

void Worker::report() {
  engine_.with([this](Engine& engine) { report_misses(engine); });
  hear_reports();
  if (changes_ != nullptr && now_ - often_at_ >= kOftenMs) {
    often_at_ = now_;
    changes_->read();
    often_(now_);
  }
  if (now_ - told_at_ < kTellMs) return;
  told_at_ = now_;
  underlay_->count_losses();
  external_->count_losses();
  const std::uint64_t lost = lost_at(*underlay_) + lost_at(*external_);
  if (lost == told_) return;
  sink_->post(Event::log(LogLevel::kWarn,
                         std::to_string(lost - told_) +
                             " packets were lost at a port: came too fast, "
                             "too long, or the kernel did not take them"));
  told_ = lost;
}

void Worker::sleep() {
  pollfd waits[] = {
      {mailbox_.fd(), POLLIN, 0},
      {underlay_->fd(), POLLIN, 0},
      {external_->fd(), POLLIN, 0},
      {changes_ != nullptr ? changes_->fd() : -1, POLLIN, 0},
  };
  // poll() passes over negative descriptors.
  const bool polling = underlay_->fd() < 0 || external_->fd() < 0;
  poll(waits, std::size(waits), polling ? kPollingMs : kIdleMs);
  if (waits[3].revents != 0) changes_->read();
  if (broken(waits[1]) || broken(waits[2])) {
    // A device that was taken away is always "ready": do not spin on it.
    poll(waits, 1, kIdleMs);
    tell_broken(broken(waits[1]) ? "the VXLAN socket" : "the TUN device");
  }
}

void Worker::tell_broken(const char* what) {
  if (broken_) return;
  broken_ = true;
  sink_->post(Event::log(LogLevel::kError,
                         std::string(what) + " has failed or was removed"));
}

}  // namespace vxlnat::io
