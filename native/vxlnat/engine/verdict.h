// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a stage says about a packet. A drop cannot be returned without its
// reason, because only `drop` makes one, and `drop` counts.

#ifndef VXLNAT_ENGINE_VERDICT_H_
#define VXLNAT_ENGINE_VERDICT_H_

#include "engine/packet.h"
#include "engine/stats.h"

namespace vxlnat {

class [[nodiscard]] Verdict {
 public:
  // The next stage goes on.
  static Verdict proceed() { return Verdict(true); }
  // The packet was sent, answered or kept.
  static Verdict done() { return Verdict(false); }
  bool ended() const { return !proceed_; }

 private:
  explicit Verdict(bool go_on) : proceed_(go_on) {}
  bool proceed_;
};

// Counts and ends a packet.
inline Verdict drop(Stats& stats, Packet& packet, Drop reason) {
  packet.drop_reason = static_cast<std::uint8_t>(reason);
  stats.drops.add();
  stats.drop[static_cast<std::size_t>(reason)].add();
  if (stats.vnet_drops != nullptr) {
    stats.vnet_drops->add(packet.vnet_slot, reason);
  }
  if (stats.drop_watcher != nullptr) [[unlikely]] {
    stats.drop_watcher->dropped(packet, reason);
  }
  return Verdict::done();
}

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_VERDICT_H_
