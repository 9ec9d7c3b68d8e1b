// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Where a new flow of a rule goes: whether it may be at all, by which public
// address, and by which port. The slow path, shared by first packets from
// inside (new_flow.cc) and by those that an endpoint-independent mapping lets
// in (accept_inbound.cc).

#ifndef VXLNAT_ENGINE_PLACE_H_
#define VXLNAT_ENGINE_PLACE_H_

#include <cstdint>

#include "engine/context.h"
#include "engine/deterministic.h"
#include "engine/port_maps.h"

namespace vxlnat {

// A flow that is wanted.
struct Wish {
  std::uint32_t vnet_slot = 0;
  std::uint32_t rule = 0;       // its head
  std::uint32_t vni_proto = 0;  // vni << 8 | protocol
  Ip4 private_ip = 0;
  Ip4 remote_ip = 0;
  std::uint16_t private_port = 0;
  std::uint16_t remote_port = 0;
  std::uint32_t host = 0;         // as in vxlnat_flow
  std::uint64_t inside_hash = 0;  // of its inside key, when known

  std::uint8_t proto() const { return static_cast<std::uint8_t>(vni_proto); }
  FlowKey key() const {
    return inside_key(vni_proto >> 8, proto(), private_ip, private_port,
                      remote_ip, remote_port);
  }
};

// What it gets.
struct Place {
  std::uint32_t rule = 0;  // the pool member
  std::uint16_t port = 0;
  std::uint8_t flags = 0;  // VXLNAT_FLOW_BOUND, VXLNAT_FLOW_BLOCK
};

// Whether vnet and host may have one more; Drop::kCount when they may. Tells
// the log of flows when a limit comes near.
Drop admit(Context& c, const Wish& wish, bool opening);
// Tells the log that the wish was refused, and by which limit; gives `reason`.
Drop refused(Context& c, const Wish& wish, bool opening, Drop reason);

// Public address and port; Drop::kCount when `place` is filled. What a place
// needs (block, binding) is made, so the flow must follow.
Drop find_place(Context& c, const Wish& wish, Place& place);
// What a deterministic rule gives the wish's host.
HostPorts fixed_ports(const Context& c, const Wish& wish);
// The port at one member of the pool.
Drop find_port(Context& c, const Wish& wish, std::uint32_t member,
               Place& place);

// The endpoint's own ended flow, which still holds its tuple, live again in
// `state`. Null when there is none whose tuple the wish would get today; one
// that has another is forgotten.
vxlnat_flow* go_on(Context& c, const Wish& wish, FlowState state);
// Whether an ended flow's tuple would be given to the wish today.
bool may_go_on(Context& c, const Wish& wish, const vxlnat_flow& old);
// Makes the flow at its place, in its first state; there is room.
vxlnat_flow* make_flow(Context& c, const Wish& wish, const Place& place,
                       FlowState state);

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_PLACE_H_
