// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The short way: a quiet packet of an established flow or of a host with a 1:1
// entry, which is nearly every packet. It does in one go what the stages would
// do to it, and for any other packet nothing, so that the stages remain the one
// place that says what is right. A test sends the same packets both ways.

#ifndef VXLNAT_ENGINE_ESTABLISHED_H_
#define VXLNAT_ENGINE_ESTABLISHED_H_

#include <cstddef>

#include "engine/look_ahead.h"

namespace vxlnat {

// Packet `i` of a burst, as it came. True when it was sent; else nothing has
// changed and it must go through the stages.
bool pass_outbound(Context& c, Packet& p, const LookAhead& seen, std::size_t i);
bool pass_inbound(Context& c, Packet& p, const LookAhead& seen, std::size_t i);

// The two parts of pass_outbound: the flow when it takes the packet, or null;
// then the flow is told of the packet, whose header is at `ip`, and the packet
// translated, which gives its length.
vxlnat_flow* outbound_flow(const Context& c, const Packet& p,
                           const LookAhead& seen, std::size_t i);
std::size_t translate_outbound(Context& c, std::uint8_t* ip, vxlnat_flow& flow);

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_ESTABLISHED_H_
