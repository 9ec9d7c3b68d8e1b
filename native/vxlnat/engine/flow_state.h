// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a flow is doing and what a packet makes of it: the TCP machine of
// RFC 7857 section 2 and RFC 6146 section 3.5.2.2, and one state each for UDP
// and ICMP. Pure: no clock, no table.
//
// A FIN from one side keeps the established time, for a half-closed
// connection can last. FINs from both make it closing: everything is still
// translated, nothing refreshes it. A RST makes it transitory; any later
// packet but a RST brings it back, because a forged or unaccepted RST must
// not end a connection. A connection refused while opening goes to closing,
// from where only a new SYN leads on: scans leave nothing established (B16).

#ifndef VXLNAT_ENGINE_FLOW_STATE_H_
#define VXLNAT_ENGINE_FLOW_STATE_H_

#include <cstddef>
#include <cstdint>

#include "engine/config.h"
#include "engine/layout.h"
#include "engine/wire.h"

namespace vxlnat {

enum class FlowState : std::uint8_t {
  kFree,
  kUdpFlow,
  kIcmpFlow,
  kTcpOpening,
  kTcpEstablished,
  kTcpFinOut,  // FIN seen from the inside
  kTcpFinIn,   // FIN seen from the outside
  kTcpClosing,
  kTcpTransitory,
  kQuarantine,    // ended; its outside tuple must not be used again yet (T13)
  kTcpOpeningIn,  // SYN seen from the outside only
  kCount,
};

// Which idle time a state has; the index into vxlnat_timers.
enum class TimerClass : std::uint8_t {
  kEstablished,
  kOpening,
  kClosing,
  kUdpFlow,
  kIcmpFlow,
  kQuarantine,
  kCount,
};

inline constexpr std::size_t kTimerClasses =
    static_cast<std::size_t>(TimerClass::kCount);

inline TimerClass timer_class(FlowState state) {
  switch (state) {
    case FlowState::kUdpFlow:
      return TimerClass::kUdpFlow;
    case FlowState::kIcmpFlow:
      return TimerClass::kIcmpFlow;
    case FlowState::kTcpOpening:
    case FlowState::kTcpOpeningIn:
      return TimerClass::kOpening;
    case FlowState::kTcpClosing:
    case FlowState::kTcpTransitory:
      return TimerClass::kClosing;
    case FlowState::kQuarantine:
      return TimerClass::kQuarantine;
    default:
      return TimerClass::kEstablished;
  }
}

// The configured idle times as the tables hold them.
inline vxlnat_timers pack(const Timers& t) {
  return {{t.tcp_established, t.tcp_opening, t.tcp_closing, t.udp, t.icmp,
           t.quarantine}};
}

inline Timers unpack(const vxlnat_timers& t) {
  return {.tcp_established = t.ms[0],
          .tcp_opening = t.ms[1],
          .tcp_closing = t.ms[2],
          .udp = t.ms[3],
          .icmp = t.ms[4],
          .quarantine = t.ms[5]};
}

inline const char* state_name(FlowState state) {
  switch (state) {
    case FlowState::kUdpFlow:
      return "udp";
    case FlowState::kIcmpFlow:
      return "icmp";
    case FlowState::kTcpOpening:
    case FlowState::kTcpOpeningIn:
      return "opening";
    case FlowState::kTcpEstablished:
      return "established";
    case FlowState::kTcpFinOut:
      return "fin_out";
    case FlowState::kTcpFinIn:
      return "fin_in";
    case FlowState::kTcpClosing:
      return "closing";
    case FlowState::kTcpTransitory:
      return "transitory";
    case FlowState::kQuarantine:
      return "quarantine";
    default:
      return "free";
  }
}

inline bool is_opening(FlowState state) {
  return state == FlowState::kTcpOpening || state == FlowState::kTcpOpeningIn;
}

inline bool is_live(FlowState state) {
  return state != FlowState::kFree && state != FlowState::kQuarantine;
}

struct TcpStep {
  FlowState state;
  bool refresh;  // the packet starts the idle time again
};

// What a translated TCP segment with `flags` makes of a flow in `state`.
inline TcpStep tcp_step(FlowState state, std::uint8_t flags, bool outbound) {
  using enum FlowState;
  const bool syn = (flags & wire::tcp::kSyn) != 0;
  const bool ack = (flags & wire::tcp::kAckFlag) != 0;
  const bool fin = (flags & wire::tcp::kFin) != 0;
  const bool rst = (flags & wire::tcp::kRst) != 0;
  switch (state) {
    case kTcpOpening:
      if (rst) return {kTcpClosing, true};
      if (syn && (!outbound || ack)) return {kTcpEstablished, true};
      return {kTcpOpening, outbound && syn};
    case kTcpOpeningIn:
      if (rst) return {kTcpClosing, true};
      if (syn && outbound) return {kTcpEstablished, true};
      return {kTcpOpeningIn, !outbound && syn};
    case kTcpEstablished:
      if (rst) return {kTcpTransitory, true};
      if (fin) return {outbound ? kTcpFinOut : kTcpFinIn, true};
      return {state, true};
    case kTcpFinOut:
    case kTcpFinIn:
      if (rst) return {kTcpTransitory, true};
      if (fin && outbound != (state == kTcpFinOut)) return {kTcpClosing, true};
      return {state, true};
    case kTcpClosing:
      if (syn && !ack && !rst) return {kTcpOpening, true};
      return {state, false};
    case kTcpTransitory:
      if (rst) return {state, false};
      if (syn) return {ack ? state : kTcpOpening, !ack};
      return {kTcpEstablished, true};
    default:
      return {state, false};
  }
}

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_FLOW_STATE_H_
