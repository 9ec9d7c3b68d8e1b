// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 4c: an instance's packet comes from the node where the overlay says
// the instance lives, so that one node cannot speak for another's instances
// (facts: nat-behaviour X5, X7). Where nobody has told yet, the packet waits
// for the answer; after another answer it may have been right: an instance
// that has just moved sends from its new node before we know.
//
// Before: parsed; not for the router.
// After: the outer source is the known place of the inner source.
// Drops: UnknownUl3, SpoofedSource, RemoteQueueFull, RemoteTableFull,
// RemoteNotFound.

#include "engine/stages.h"

namespace vxlnat {

Verdict check_sender(Context& c, Packet& p) {
  if (!c.config.check_senders) return Verdict::proceed();
  std::uint32_t& hint = p.host == nullptr ? p.sender : *p.host;
  const vxlnat_remote* remote =
      c.remotes.known(p.vnet, p.src, hint, p.host_hash);
  p.sender = hint;
  if (remote == nullptr) {
    // No place in the table for what no rule would translate.
    if (c.rules.match(p.vnet_slot, p.src) == kNoSlot) {
      return c.drop(p, Drop::kSpoofedSource);
    }
    return c.remotes.wait(p, p.src, c.now);
  }
  if (remote->ul3_ip == p.path.peer_ip) return Verdict::proceed();
  c.remotes.doubt(p.vnet, p.src, c.now);
  return c.drop(p, Drop::kUnknownUl3);
}

}  // namespace vxlnat
