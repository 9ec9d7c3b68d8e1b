// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a log of translations is told: flows that begin and end, flows that
// were refused, and limits that come near. Off until somebody opens it, and
// then bounded: when nobody takes the events, the oldest are lost and counted.
// A refusal is told at most once a second for each reason and vnet (RFC 8158
// sections 4.6.5 to 4.6.7), roughly: vnets share buckets. A limit that comes
// near is told once, until it has been far again (Mark, host_table.h).

#ifndef VXLNAT_ENGINE_EVENTS_H_
#define VXLNAT_ENGINE_EVENTS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/block_table.h"
#include "engine/layout.h"
#include "engine/stats.h"
#include "engine/types.h"

namespace vxlnat {

enum class FlowEventKind : std::uint8_t {
  kNone,
  kCreate,
  kEnd,
  kBlockAlloc,
  kBlockFree,
  kExhausted,  // no public port towards the remote
  kQuota,      // a limit was reached
  kThreshold,  // a limit is near
};

// What a limit is about. natQuotaExceededEvent and natThresholdEvent of RFC
// 8158 in their numbers; vnet 0 is the whole table.
enum class QuotaKind : std::uint8_t {
  kFlows = 1,     // of a vnet
  kBindings = 2,  // endpoint-independent mappings
  kHostFlows = 3,
  kHosts = 4,
};
enum class ThresholdKind : std::uint8_t {
  kFlows = 3,  // of a vnet
  kHostFlows = 4,
};

// Read by JavaScript as bytes: the order and sizes are a contract with
// services/vxlnatd/look/flow-events.ts.
struct FlowEvent {
  std::uint64_t time_ms = 0;  // the engine's clock
  std::uint64_t packets_out = 0;
  std::uint64_t packets_in = 0;
  Vni vnet = 0;
  Ip4 private_ip = 0;
  Ip4 public_ip = 0;
  Ip4 remote_ip = 0;
  std::uint16_t private_port = 0;
  std::uint16_t public_port = 0;
  std::uint16_t public_port_end = 0;  // of a block
  std::uint16_t remote_port = 0;
  FlowEventKind kind = FlowEventKind::kNone;
  std::uint8_t proto = 0;
  std::uint8_t drop = 0xff;  // Drop, of a refusal
  std::uint8_t detail = 0;   // QuotaKind or ThresholdKind
  std::uint32_t limit = 0;   // of a quota or threshold
  std::uint64_t spare2 = 0;
};
static_assert(sizeof(FlowEvent) == 64);

class EventLog {
 public:
  explicit EventLog(const Tick& now) : now_(now) {}

  // Makes room for `count` events, or with 0 switches the log off. A change of
  // configuration: takes memory.
  void open(std::uint32_t count) {
    ring_ = std::vector<FlowEvent>(count);
    first_ = used_ = 0;
  }
  bool on() const { return !ring_.empty(); }

  void add(const FlowEvent& event) {
    if (used_ == ring_.size()) {
      first_ = (first_ + 1) % ring_.size();
      used_--;
      lost_++;
    }
    FlowEvent& to = ring_[(first_ + used_++) % ring_.size()];
    to = event;
    to.time_ms = now_;
  }

  void add(FlowEventKind kind, const vxlnat_flow& flow) {
    add({.packets_out = flow.packets_out,
         .packets_in = flow.packets_in,
         .vnet = flow.vni_proto >> 8,
         .private_ip = flow.private_ip,
         .public_ip = flow.public_ip,
         .remote_ip = flow.remote_ip,
         .private_port = flow.private_port,
         .public_port = flow.public_port,
         .remote_port = flow.remote_port,
         .kind = kind,
         .proto = static_cast<std::uint8_t>(flow.vni_proto)});
  }

  // A block of ports is a host's, or no longer.
  void add(FlowEventKind kind, const Block& block) {
    add({.vnet = block.vnet,
         .private_ip = block.host,
         .public_ip = block.public_ip,
         .public_port = block.ports.low,
         .public_port_end = block.ports.high,
         .kind = kind});
  }

  // A flow was refused: event.drop says why.
  void refused(const FlowEvent& event) {
    Tick& told = told_[(event.vnet * 31 + event.drop) % told_.size()];
    if (told != 0 && now_ - told < kSayAgain) return;
    told = now_;
    add(event);
  }

  // Takes at most out.size() events, the oldest first; returns how many.
  std::size_t take(std::span<FlowEvent> out) {
    const std::size_t n = std::min(out.size(), used_);
    for (std::size_t i = 0; i < n; i++) {
      out[i] = ring_[(first_ + i) % ring_.size()];
    }
    if (n > 0) first_ = (first_ + n) % ring_.size();
    used_ -= n;
    return n;
  }
  std::uint64_t lost() const { return lost_; }

 private:
  static constexpr Tick kSayAgain = 1000;

  const Tick& now_;
  std::vector<FlowEvent> ring_;
  std::size_t first_ = 0;
  std::size_t used_ = 0;
  std::uint64_t lost_ = 0;
  // When a refusal was last told, by reason and vnet.
  std::array<Tick, 256> told_{};
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_EVENTS_H_
