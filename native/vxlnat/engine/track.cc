// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a packet of a flow changes in the flow: its state, its idle time, its
// counts and, of TCP, where each side stands.
//
// `ack_in` is the next byte that the outside expects from the inside and
// `ack_out` the next that the inside expects from the outside: the last
// acknowledgement number seen, and before there is one what a SYN makes due.
// A reset outside the window they open is translated like any segment, for
// the host is the judge of it, but the flow stays as it is: who guesses ports
// only cannot shorten its time (RFC 5961 section 3.2; facts: nat-behaviour
// T10).

#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

// How far behind the sender a recorded acknowledgement may be.
constexpr std::uint32_t kWindow = 65535;

bool is_due(std::uint32_t number, std::uint32_t expected) {
  return number - expected <= kWindow;
}

bool believes(const vxlnat_flow& flow, const std::uint8_t* tcp, bool outbound) {
  // Who refuses a SYN acknowledges it and has no sequence number of its own.
  if (flow.state == static_cast<std::uint8_t>(FlowState::kTcpOpening) &&
      !outbound) {
    return (tcp[wire::tcp::kFlags] & wire::tcp::kAckFlag) != 0 &&
           is_due(get32(tcp + wire::tcp::kAck), flow.ack_in);
  }
  return is_due(get32(tcp + wire::tcp::kSequence),
                outbound ? flow.ack_in : flow.ack_out);
}

// Where the segment says that its two ends stand.
void note_numbers(vxlnat_flow& flow, const std::uint8_t* tcp, bool outbound) {
  const std::uint8_t flags = tcp[wire::tcp::kFlags];
  if ((flags & wire::tcp::kRst) != 0) return;
  if ((flags & wire::tcp::kAckFlag) != 0) {
    (outbound ? flow.ack_out : flow.ack_in) = get32(tcp + wire::tcp::kAck);
  }
  if ((flags & wire::tcp::kSyn) != 0) {
    (outbound ? flow.ack_in : flow.ack_out) =
        get32(tcp + wire::tcp::kSequence) + 1;
  }
}

}  // namespace

void track(Context& c, const Packet& p, vxlnat_flow& flow, bool outbound) {
  bool refresh = true;
  if (p.proto == kTcp) {
    const std::uint8_t* tcp = p.data + p.l4;
    const std::uint8_t flags = tcp[wire::tcp::kFlags];
    const bool forged =
        (flags & wire::tcp::kRst) != 0 && !believes(flow, tcp, outbound);
    note_numbers(flow, tcp, outbound);
    if (forged) {
      refresh = false;
    } else {
      const TcpStep step =
          tcp_step(static_cast<FlowState>(flow.state), flags, outbound);
      refresh = step.refresh;
      c.flows.set_state(flow, step.state);
    }
  }
  if (refresh) c.flows.seen(flow, c.now);
  (outbound ? flow.packets_out : flow.packets_in)++;
}

}  // namespace vxlnat
