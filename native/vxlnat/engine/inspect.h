// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What somebody who looks into a running engine asks and is told, as plain
// values; Engine's calls take and give them. tap.h and trace.cc have the
// machinery of taps, explain.cc that of questions.

#ifndef VXLNAT_ENGINE_INSPECT_H_
#define VXLNAT_ENGINE_INSPECT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/stats.h"
#include "engine/types.h"

namespace vxlnat {

// Narrows what is looked at; what is not given is any.
struct FlowFilter {
  std::optional<Vni> vnet = {};
  std::optional<Ip4> private_ip = {};
  std::optional<Ip4> public_ip = {};
  std::optional<Ip4> remote_ip = {};
  std::optional<std::uint8_t> proto = {};
  // The private, public or remote one.
  std::optional<std::uint16_t> port = {};
};

// Where on its way a packet is copied.
enum class Point : std::uint8_t {
  kOuter,       // the VXLAN datagram on the underlay
  kInner,       // the frame in the fabric
  kTranslated,  // the packet as the Internet sees it
  kDrop,        // as it was when it was dropped
  kCount,
};

// One look into the engine: which packets, and what of them.
struct TapSpec {
  FlowFilter filter = {};
  std::optional<bool> outbound = {};  // it came from a fabric
  std::optional<Drop> drop = {};      // it was dropped for this
  // A bit for each Point to copy at; none: each packet's story is told.
  std::uint8_t points = 0;
  std::uint32_t snap = 65535;   // bytes of a packet that are copied
  std::uint32_t packets = 100;  // how many are taken
  std::uint32_t lifetime_ms = 60000;
  std::uint32_t room = 1u << 20;  // bytes kept until somebody reads them
};

// In front of each copied packet. `length` bytes follow, then zeros up to a
// multiple of 8.
struct FrameHead {
  std::uint64_t time_ms = 0;  // the engine's clock
  std::uint32_t length = 0;
  std::uint32_t original = 0;  // bytes before it was cut
  std::uint32_t packet = 0;    // number of the packet that it is a copy of
  Vni vnet = 0;
  std::uint8_t point = 0;
  std::uint8_t outbound = 0;  // which way the packet goes
  std::uint8_t drop = 0xff;   // Drop, at Point::kDrop
  std::uint8_t spare[5] = {};
};
static_assert(sizeof(FrameHead) == 32);

// How a tap stands.
struct TapState {
  bool done = false;       // takes no more: enough, or its time is over
  std::uint64_t seen = 0;  // packets that matched
  std::uint64_t lost = 0;  // of these, what found no room
};

// What a vnet or a public address has had of flows.
struct Tally {
  std::uint32_t high_water = 0;  // most at one time
  std::uint64_t created = 0;
  std::uint64_t expired = 0;

  // One has begun, or else ended; `flows` are live now.
  void add(bool begun, std::uint32_t flows) {
    (begun ? created : expired)++;
    if (flows > high_water) high_water = flows;
  }
};

// Inner packets that were translated, and their bytes.
struct Traffic {
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;
};

struct VnetInfo {
  Vni vnet = 0;
  std::uint32_t flows = 0;    // live
  std::uint32_t opening = 0;  // of these, TCP not established
  Tally tally;
  Traffic traffic;
  std::array<std::uint32_t, kDropCount> drops{};
};

struct PublicInfo {
  Ip4 ip = 0;
  bool one_to_one = false;
  Vni vnet = 0;             // of a 1:1 entry
  std::uint32_t flows = 0;  // live
  Tally tally;
  Traffic traffic;
};

// What would become of this packet?
struct Question {
  bool outbound = true;  // from a fabric of `vnet`, else from the Internet
  Vni vnet = 0;
  Ip4 src = 0;
  Ip4 dst = 0;
  std::uint16_t sport = 0;  // ICMP echo: the identifier, with either
  std::uint16_t dport = 0;
  std::uint8_t proto = 0;
  std::uint8_t tcp_flags = 2;  // SYN
  std::uint8_t icmp_type = 8;  // echo request
  std::uint8_t ttl = 64;
  std::uint16_t size = 64;  // of the IPv4 packet
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_INSPECT_H_
