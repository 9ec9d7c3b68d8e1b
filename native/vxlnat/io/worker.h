// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The thread that runs an engine.
//
// Purpose. The engine knows neither clock nor sockets. The worker gives it
// both: it takes bursts from two ports, lets the engine process each packet,
// sends what comes out, and between bursts runs posted tasks and a bounded
// part of the engine's sweep.
//
// One pass: time, underlay burst, external burst, tasks, sweep, send what was
// kept, report misses, settle finished tasks; sleep only when the pass found
// nothing to do. Time is read once a pass: all packets of a burst share it.
//
// Lanes. With AF_XDP the packets of the network's queues are carried by lanes
// (lane.h), threads that share this engine; the worker's own two ports then
// see only what the kernel passed to them, and send what a lane cannot.
//
// Threads. Ports are touched by the worker thread alone from `start` until
// `stop` returns, the engine only under its lock (shared_engine.h), which is
// not held while waiting or settling tasks. Others reach them by `post` (see
// mailbox.h) and read the engine's counters, which are atomics. The
// `progress` counter rises with each pass: a worker that hangs in a call
// stops counting, and a liveness check sees it.
//
// Failure. A port that cannot send loses that packet, counts it, and the
// worker tells once in a while how many. Nothing here ends the worker but
// `stop`; tasks that have not run by then are destroyed without running.

#ifndef VXLNAT_IO_WORKER_H_
#define VXLNAT_IO_WORKER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "io/detour.h"
#include "io/lane.h"
#include "io/mailbox.h"
#include "io/next_hop.h"
#include "io/path_reports.h"
#include "io/port.h"
#include "io/shared_engine.h"

namespace vxlnat::io {

enum class LogLevel { kInfo, kWarn, kError };

// What the worker tells its owner.
struct Event {
  enum class Kind { kRemoteMiss, kLog };
  Kind kind;
  std::uint32_t vnet = 0;  // of a miss
  std::uint32_t ip = 0;    // of a miss, host order
  LogLevel level = LogLevel::kInfo;
  std::string message;

  static Event remote_miss(std::uint32_t vnet, std::uint32_t ip) {
    return {Kind::kRemoteMiss, vnet, ip, LogLevel::kInfo, {}};
  }
  static Event log(LogLevel level, std::string message) {
    return {Kind::kLog, 0, 0, level, std::move(message)};
  }
};

// Where events go; called on the threads of worker and lanes, must not block.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void post(Event event) = 0;
};

class Worker final : private Outbox {
 public:
  Worker(std::unique_ptr<Engine> engine, std::unique_ptr<Port> underlay,
         std::unique_ptr<Port> external, std::size_t burst, EventSink* sink);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Where lanes put packets that they cannot send.
  Detour& detour() { return detour_; }
  // Adds a thread; before `start`.
  void add_lane(std::unique_ptr<LaneIo> io);
  // Calls `look` with the counters of each lane; any thread.
  template <typename Look>
  void each_lane(Look&& look) const {
    for (const auto& lane : lanes_) look(lane->counters());
  }
  // Has `changes`, which must outlive the worker, read here, and `often`
  // called every few seconds; before `start`.
  void follow(RouteChanges* changes,
              std::function<void(std::uint64_t now)> often) {
    changes_ = changes;
    often_ = std::move(often);
  }

  // Has the engine told what these hear; before `start`.
  void hear(std::unique_ptr<PathReports> reports) {
    reports_ = std::move(reports);
  }

  void start();
  // Ends the thread after its current pass; harmless when called again.
  void stop();
  // Any thread: runs a task between two bursts; false when too many wait.
  bool post(Task task) { return mailbox_.post(std::move(task)); }
  // Any thread: each value is exact, all of them are at most a pass apart.
  const Stats& stats() const { return engine_.stats(); }
  // Any thread: rises with each pass.
  std::uint64_t progress() const {
    return progress_.load(std::memory_order_relaxed);
  }

 private:
  void run();
  bool pass();
  bool take_underlay();
  bool take_external();
  bool run_tasks();
  void report();
  void sleep();
  void tell_broken(const char* what);

  // Outbox: what the engine sends.
  void underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                Offload offload) override;
  void external(std::span<const std::uint8_t> bytes, Offload offload) override;

  void report_misses(Engine& engine);
  void hear_reports();
  void send_detoured();

  SharedEngine engine_;
  const std::unique_ptr<Port> underlay_;  // worker thread
  const std::unique_ptr<Port> external_;  // worker thread
  std::vector<Packet> burst_;             // worker thread
  EventSink* const sink_;                 // safe from any thread
  std::uint64_t now_ = 0;                 // worker thread
  std::uint64_t told_at_ = 0;             // worker thread
  std::uint64_t told_ = 0;                // worker thread
  bool broken_ = false;  // worker thread: told that a port failed
  std::vector<std::function<void()>> finished_;  // worker thread
  Mailbox mailbox_;
  Detour detour_;
  std::unique_ptr<PathReports> reports_;      // worker thread
  std::uint64_t reports_at_ = 0;              // worker thread
  RouteChanges* changes_ = nullptr;           // worker thread, from `start`
  std::function<void(std::uint64_t)> often_;  // worker thread, as is the next
  std::uint64_t often_at_ = 0;
  std::vector<std::unique_ptr<Lane>> lanes_;  // owner's thread
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> progress_{0};  // written by the worker
  std::thread thread_;                      // owner's thread
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_WORKER_H_
