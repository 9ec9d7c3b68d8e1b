// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// One packet on its way through the engine, and where it leaves. A Packet is
// a view on a buffer that somebody else owns; the engine rewrites it in place
// and puts headers in front of it, so the buffer needs kHeadroom writable
// bytes before `data` and, for packets of an AF_XDP kind, nothing else.
// The outer headers are metadata (`path`, `Underlay`), because a socket never
// shows them and a ring shows them elsewhere.

#ifndef VXLNAT_ENGINE_PACKET_H_
#define VXLNAT_ENGINE_PACKET_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/types.h"

namespace vxlnat {

// Writable bytes that must lie in front of each packet handed in: outer
// Ethernet 14, IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14 and tag 4, and room.
inline constexpr std::size_t kHeadroom = 128;

// The outer header of a datagram that came in from the underlay. All zero for
// a packet from the external side.
struct Path {
  Ip4 local_ip = 0;
  Ip4 peer_ip = 0;
  std::uint16_t peer_port = 0;
  std::uint8_t tos = 0;  // DSCP and ECN (RFC 6040)
};

// Where a datagram goes on the underlay. `src_ip` is zero when no UL3 of ours
// is known; `entropy` is the source port that spreads flows over equal paths,
// 49152 to 65535 (RFC 7348 section 5); a port may ignore it.
struct Underlay {
  Ip4 src_ip = 0;
  Ip4 dst_ip = 0;
  std::uint16_t dst_port = 0;
  std::uint16_t entropy = 0;
  std::uint8_t tos = 0;
};

// What the sender left to the network card, which a virtual link does not
// have. Such a packet is one TCP or UDP packet to the engine; the port that
// sends it passes the work on, or does it.
struct Offload {
  // TCP payload bytes of each packet on a wire when this one is a
  // "super-packet" of several; 0 when it is one packet. Whoever hands in a
  // super-packet has seen that its pieces fit into the inner MTU.
  std::uint16_t segment = 0;
  // The TCP or UDP checksum field holds the sum of the pseudo-header only.
  // Always with `segment`; never on fragments or what must be fragmented.
  bool partial = false;
};

// Takes what the engine sends. The bytes are valid only during the call.
// `underlay` gets a VXLAN header and what follows; `external` a bare IPv4
// packet. One packet in may give none, one or several out.
class Outbox {
 public:
  Outbox() = default;
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  virtual void underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                        Offload offload) = 0;
  virtual void external(std::span<const std::uint8_t> bytes,
                        Offload offload) = 0;

 protected:
  ~Outbox() = default;
};

// What kind of ICMP message a packet is to a translator.
enum class IcmpKind : std::uint8_t { kNone, kQuery, kReply, kError, kOther };

// What `rewrite` has to do, whoever decided it. Addresses and ports that stay
// are given as they are.
struct Translation {
  Ip4 src = 0;
  Ip4 dst = 0;
  std::uint16_t src_port = 0;  // ICMP queries: the identifier
  std::uint16_t dst_port = 0;  // ICMP replies: the identifier
  std::uint16_t ip_id = 0;     // with `new_id`
  std::uint16_t mss = 0;       // the most a SYN may announce; 0: as it is
  bool new_id = false;
  bool ports = false;  // ports or the ICMP identifier are translated
};

struct Packet {
  // Set by the owner of the buffer.
  std::uint8_t* data = nullptr;
  std::size_t length = 0;
  Path path;
  Offload offload;

  // Filled stage by stage; see stages.h for who fills what.
  Vni vnet = 0;                          // decap, choose_inbound
  std::uint32_t vnet_slot = 0xffffffff;  // find_vnet, choose_inbound
  std::uint32_t rule = 0;             // the rule whose router the packet uses
  std::uint32_t rule_generation = 0;  // encap: when it waits
  Mac inner_src = 0;                  // decap: the sender, for replies
  Mac inner_dst = 0;                  // decap
  bool from_inside = false;           // decap
  bool arp = false;                   // parse
  std::uint8_t proto = 0;             // parse, and all that follow
  IcmpKind icmp = IcmpKind::kNone;
  bool fragment = false;    // any fragment
  bool first = true;        // has the L4 header
  std::uint8_t turns = 0;   // hairpins so far
  std::uint16_t l4 = 0;     // offset of the L4 header from `data`
  std::uint16_t sport = 0;  // ICMP query or reply: the identifier
  std::uint16_t dport = 0;
  Ip4 src = 0;
  Ip4 dst = 0;
  std::uint8_t drop_reason = 0xff;  // Drop, for traces and tests
  std::uint16_t vlan = 0;           // of the way into a fabric; 0: untagged
  std::uint64_t flow_hash = 0;      // of the flow key, when looked ahead; or 0
  // Of {vnet, source}, inbound {kOutside, destination}, when looked ahead.
  std::uint64_t host_hash = 0;
  // The guess of the flow or entry where its host is, or null.
  std::uint32_t* host = nullptr;
  std::uint32_t sender = 0;  // check_sender: its record + 1, for a new flow
  Translation translation;
  // ICMP errors: what replaces the quoted packet's source (inbound) or
  // destination (outbound).
  Ip4 quote_ip = 0;
  std::uint16_t quote_port = 0;
  bool quote_ports = false;
  bool quote_source = false;

  std::span<std::uint8_t> bytes() const { return {data, length}; }
};

// Packets are reused: clears what a stage may read that no stage before it
// has set on every path.
inline void begin(Packet& p) {
  p.vlan = 0;
  p.vnet_slot = 0xffffffff;
  p.turns = 0;
  p.flow_hash = p.host_hash = 0;
  p.host = nullptr;
  p.sender = 0;
  p.drop_reason = 0xff;
  p.from_inside = false;
  p.arp = false;
  p.fragment = false;
  p.icmp = IcmpKind::kNone;
  p.proto = 0;
  p.src = p.dst = 0;
  p.sport = p.dport = 0;
}

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_PACKET_H_
