// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The stages a packet passes, in order. Each takes the engine's context and
// the packet, reads what earlier stages filled in, fills in its own part, and
// says whether the next one goes on. outbound.cc and inbound.cc are the two
// sequences; each stage's file says what must be true before it and what is
// true after it.

#ifndef VXLNAT_ENGINE_STAGES_H_
#define VXLNAT_ENGINE_STAGES_H_

#include <span>

#include "engine/context.h"

// Ends the sequence when a stage has ended the packet, and tells who looks on
// what it answered. The only macro that changes the flow of control.
#define STAGE(call)                                   \
  do {                                                \
    const Verdict stage_verdict = call;               \
    if (c.look != nullptr) [[unlikely]]               \
      c.look->stage(p, #call, stage_verdict.ended()); \
    if (stage_verdict.ended()) return stage_verdict;  \
  } while (false)

namespace vxlnat {

// -- the sequences --------------------------------------------------------

// A datagram from the underlay.
Verdict outbound(Context& c, Packet& p);
// From `answer_gateway` on; held fragments enter here.
Verdict outbound_ip(Context& c, Packet& p);
// An IPv4 packet from the external side.
Verdict inbound(Context& c, Packet& p);
// From `choose_inbound` on; hairpins and held fragments enter here.
Verdict inbound_ip(Context& c, Packet& p);
// What follows once the translation is chosen.
Verdict deliver(Context& c, Packet& p);

// -- outbound -------------------------------------------------------------

// 1. VXLAN and Ethernet headers off; `data` is the inner IPv4 or ARP.
Verdict decap(Context& c, Packet& p);
// 1b. A liveness probe on the probe vnet goes back to its sender.
Verdict reflect_probe(Context& c, Packet& p);
// 2. The vnet has rules, and the frame was sent to its router.
Verdict find_vnet(Context& c, Packet& p);
// 3. The headers are sound; addresses, ports and offsets are known.
Verdict parse(Context& c, Packet& p);
// 4. What is addressed to the router itself is answered.
Verdict answer_arp(Context& c, Packet& p);
Verdict answer_gateway(Context& c, Packet& p);
// 4b. A packet whose time has run out is reported to the inside.
Verdict check_ttl_inside(Context& c, Packet& p);
// 4c. The outer source is where the overlay says that the sender lives.
Verdict check_sender(Context& c, Packet& p);
// 5. Live flow, 1:1 entry or rule decide the translation.
Verdict choose_outbound(Context& c, Packet& p);
// 5b. A new flow for a packet that a rule covers.
Verdict new_flow(Context& c, Packet& p, std::uint32_t rule);

// -- inbound --------------------------------------------------------------

// 5. 1:1 entry or live flow decide vnet and translation.
Verdict choose_inbound(Context& c, Packet& p);
// The same without a verdict: Drop::kCount when the packet is for a fabric.
Drop resolve_inbound(Context& c, Packet& p);
// 5c. A flow for what an endpoint-independent mapping lets in; Drop::kCount
// when `flow` is it.
Drop accept_inbound(Context& c, const Packet& p, vxlnat_flow*& flow);
// 5b. Time and size; reported to the outside.
Verdict check_ttl_outside(Context& c, Packet& p);
Verdict check_size(Context& c, Packet& p);
// The longest packet to `host` in the packet's vnet; never more than the inner
// MTU (path_report.cc). What is no longer than the layout's fits everywhere.
std::uint16_t inner_mtu_to(const Context& c, const Packet& p, Ip4 host);
// Says in the layout what fits everywhere, after a change.
void tell_least_mtu(Context& c);
// The length that matters to a link: of a super-packet, that of a piece (M6).
std::size_t wire_length(const Packet& p);

// -- both -----------------------------------------------------------------

// What a packet of a flow changes in the flow.
void track(Context& c, const Packet& p, vxlnat_flow& flow, bool outbound);
// 5c. ICMP errors: the quoted packet finds the translation. Drop::kCount when
// it does.
Drop resolve_error_outbound(Context& c, Packet& p);
Drop resolve_error_inbound(Context& c, Packet& p);
// Fragments: a later one finds what the first left; the first leaves it; what
// came too early follows.
bool recall_fragment(Context& c, Packet& p, std::uint32_t realm);
// Whether a later fragment from a host with a 1:1 entry must wait.
bool waits_for_first(Context& c, const Packet& p);
Verdict hold_fragment(Context& c, Packet& p, std::uint32_t realm);
Verdict remember_fragment(Context& c, Packet& p, std::uint32_t realm);
void release_fragments(Context& c, const FragmentKey& key);
FragmentKey fragment_key(const Packet& p, std::uint32_t realm);
// 6. The translation is done to the bytes.
Verdict rewrite(Context& c, Packet& p);
// What the SYN of a rule's host, or to it, may announce; 0: anything.
std::uint16_t mss_for(const Context& c, const Packet& p, std::uint32_t rule);
// The part of rewrite that lowers what a SYN announces as its longest segment.
void clamp_mss(Packet& p);
// The part of rewrite that is about the packet an ICMP error quotes.
void rewrite_quote(const Context& c, Packet& p);
// 7a. Out to the Internet, or round to a fabric of ours.
Verdict depart(Context& c, Packet& p);
// 7b. Into a fabric: remote, inner Ethernet, VXLAN.
Verdict encap(Context& c, Packet& p);
// The same for one that has waited, whose rule may be gone.
Verdict encap_waited(Context& c, Packet& p);
// A packet that was kept goes on: from `outbound_ip` when it has not been
// translated, else from `then`.
void resume(Context& c, Packet& p, Verdict (*then)(Context&, Packet&));

// -- configuration --------------------------------------------------------

// One change; see Engine::apply.
const char* change(Context& c, const Operation& operation);

// -- packets of the engine's own ------------------------------------------

// Sends an inner packet to where `cause` came from, as from its router.
void bounce(Context& c, const Packet& cause, Packet& reply);
// Puts inner Ethernet, the packet's tag and VXLAN in front and sends it.
struct Frame {
  Mac dst = 0;
  Mac src = 0;
  std::uint16_t type = 0;
};
void send_frame(Context& c, Packet& p, const Frame& frame, const Underlay& to);
// The source port for the tunnel of a parsed packet: one for each flow.
std::uint16_t entropy_of(const Packet& p);
// ICMP errors about `p` as it came; `rest` is the second header word.
struct IcmpError {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t rest = 0;
};
void report_inside(Context& c, const Packet& p, const IcmpError& error);
void report_outside(Context& c, const Packet& p, const IcmpError& error);
// A TCP reset to an inside host whose segment belongs to no flow.
void reset_inside(Context& c, const Packet& p);

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_STAGES_H_
