// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A thread that carries packets between some receive queues and the engine it
// shares with other lanes and the worker. Receiving, building headers and
// sending are its own and run beside the others; only the engine's work on a
// burst is done under the engine's lock.
//
// One pass: a burst from the queues, the engine under the lock, send; sleep
// when there was nothing. Tasks and the regular sweep are the worker's.
//
// Threads: `start`, `stop` from the owner; the rest of a lane and its LaneIo
// belong to its thread; counters may be read by any.

#ifndef VXLNAT_IO_LANE_H_
#define VXLNAT_IO_LANE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>

#include "engine/packet.h"
#include "io/port.h"
#include "io/shared_engine.h"

namespace vxlnat::io {

// How a lane receives and sends. What the engine sends is only recorded (or
// copied, when it lies in memory of the engine's) until `flush`.
class LaneIo : public Outbox {
 public:
  struct Burst {
    std::span<Packet> underlay;
    std::span<Packet> external;
    bool empty() const { return underlay.empty() && external.empty(); }
  };

  virtual ~LaneIo() = default;
  // Without blocking; valid until `flush`.
  virtual Burst receive() = 0;
  // Sends what was recorded and gives back what was received.
  virtual void flush(std::uint64_t now) = 0;
  // Until there may be something to receive, `wake` is called, or a while.
  virtual void sleep() = 0;
  // Any thread.
  virtual void wake() = 0;
  // Any thread.
  virtual const PortCounters& counters() const = 0;
};

class Lane {
 public:
  // `report` takes misses out of the engine; called under its lock.
  using Report = std::function<void(Engine& engine)>;

  Lane(std::unique_ptr<LaneIo> io, SharedEngine* engine, Report report);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane();

  void start(unsigned number);
  void stop();
  const PortCounters& counters() const { return io_->counters(); }

 private:
  void run();

  const std::unique_ptr<LaneIo> io_;  // lane thread
  SharedEngine* const engine_;        // safe from any thread
  const Report report_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // owner's thread
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_LANE_H_
