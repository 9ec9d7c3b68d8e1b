// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which drops are refusals of a flow; see events.h.

#include "engine/events.h"

namespace vxlnat {

void EventLog::dropped(const Packet& p, Drop reason) {
  if (!is_refusal(reason)) return;
  const std::size_t at =
      (p.vnet * 31 + static_cast<std::size_t>(reason)) % told_.size();
  if (told_[at] != 0 && now_ - told_[at] < kSayAgain) return;
  told_[at] = now_;
  add({.vnet = p.vnet,
       .private_ip = p.src,
       .public_ip = rules_[p.rule].public_ip,
       .remote_ip = p.dst,
       .private_port = p.sport,
       .remote_port = p.dport,
       .kind = reason == Drop::kPortExhausted ? FlowEventKind::kExhausted
                                              : FlowEventKind::kQuota,
       .proto = p.proto,
       .drop = static_cast<std::uint8_t>(reason)});
}

}  // namespace vxlnat
