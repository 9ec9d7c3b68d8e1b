// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 5c, inbound: the first packet of a remote that an endpoint-independent
// mapping lets in (RFC 4787 REQ-8; facts: nat-behaviour U9). It makes a flow,
// so that all that follows is a flow's. Datagrams and connection requests
// only: an echo reply that nobody asked for opens nothing (I3).
//
// Before: no flow has the packet's key.
// After: `flow` is it, or the reason says why not.
// Drops: NoFlow, Exempt, FlowTableFull, and what admit gives as reason.

#include "engine/place.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

bool opens(const Packet& p) {
  using namespace wire::tcp;
  if (p.proto == kUdp) return true;
  constexpr std::uint8_t all = kSyn | kAckFlag | kRst | kFin;
  return p.proto == kTcp && (p.data[p.l4 + kFlags] & all) == kSyn;
}

}  // namespace

Drop accept_inbound(Context& c, const Packet& p, vxlnat_flow*& flow) {
  if (c.accounts.bindings().count() == 0 || !opens(p)) return Drop::kNoFlow;
  const Binding* b = c.accounts.binding_of(p.proto, p.dst, p.dport);
  if (b == nullptr || b->flows == 0) return Drop::kNoFlow;
  const std::uint32_t head = c.rules.head(b->rule);
  const RuleOptions& options = c.rules.options(head);
  if (options.mapping != Mapping::kIndependent) return Drop::kNoFlow;
  if (options.exempts(p.src)) return Drop::kExempt;
  const Wish wish = {.vnet_slot = c.rules.at(head).vnet_slot,
                     .rule = head,
                     .vni_proto = b->vni_proto,
                     .private_ip = b->private_ip,
                     .remote_ip = p.src,
                     .private_port = b->private_port,
                     .remote_port = p.sport};
  // Both ends may have a flow from before the mapping, by another port; they
  // go on with that one.
  if (c.flows.live_inside(wish.key(), c.now) != nullptr) return Drop::kNoFlow;
  const bool opening = p.proto == kTcp;
  const Drop refusal = admit(c, wish, opening);
  if (refusal != Drop::kCount) return refused(c, wish, opening, refusal);
  const FlowState state =
      opening ? FlowState::kTcpOpeningIn : FlowState::kUdpFlow;
  flow = go_on(c, wish, state);
  if (flow != nullptr) return Drop::kCount;
  // What rests on the tuple is not the endpoint's.
  vxlnat_flow* const other = c.flows.find_outside(
      outside_key(p.proto, p.dst, p.dport, p.src, p.sport), c.now);
  if (other != nullptr) c.flows.forget(*other);
  if (!c.flows.make_room(c.now)) {
    return refused(c, wish, opening, Drop::kFlowTableFull);
  }
  flow =
      make_flow(c, wish, {b->rule, b->public_port, VXLNAT_FLOW_BOUND}, state);
  return Drop::kCount;
}

}  // namespace vxlnat
