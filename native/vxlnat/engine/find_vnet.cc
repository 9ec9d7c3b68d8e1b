// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 2: the vnet is one of ours and the frame was sent to its router.
//
// Before: vnet and inner_dst are set. After: vnet_slot is set; everything
// below is about this vnet. A frame to a broadcast address can only be ARP.
// Drops: UnknownVnet, InnerMac.

#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

Verdict find_vnet(Context& c, Packet& p) {
  p.vnet_slot = c.rules.find_vnet(p.vnet);
  if (p.vnet_slot == kNoSlot) return c.drop(p, Drop::kUnknownVnet);
  if (c.rules.is_router_mac(p.vnet_slot, p.inner_dst)) {
    return Verdict::proceed();
  }
  if (p.arp && p.inner_dst == wire::kBroadcast) return Verdict::proceed();
  return c.drop(p, Drop::kInnerMac);
}

}  // namespace vxlnat
