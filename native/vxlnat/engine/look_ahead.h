// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Looks ahead over a burst, in steps, each of which asks for the memory that
// the next one reads: keys from the bytes; hashes, all at once, and their
// buckets; the flow records; what these lead to. By the time a packet's turn
// comes its memory is there. Nothing is decided: a packet before it in the
// burst may change what was seen, so who uses it compares the key again.

#ifndef VXLNAT_ENGINE_LOOK_AHEAD_H_
#define VXLNAT_ENGINE_LOOK_AHEAD_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/context.h"

namespace vxlnat {

class LookAhead {
 public:
  // Packets of one burst; a longer one is several.
  static constexpr std::size_t kMost = 64;

  // Datagrams from the underlay, or packets from the external side, at most
  // kMost.
  void outbound(const Context& c, std::span<Packet> packets) {
    read_outbound(c, packets);
    find(c, packets.size(), false);
  }
  void inbound(const Context& c, std::span<Packet> packets) {
    read_inbound(packets);
    find(c, packets.size(), true);
  }
  // Their two parts: from the bytes to keys, and from the keys to flows.
  void read_outbound(const Context& c, std::span<Packet> packets);
  void read_inbound(std::span<Packet> packets);
  void find(const Context& c, std::size_t count, bool inbound);

  // What was seen of packet `i`. The IPv4 header, or null when it is not a
  // plain one of TCP or UDP; then there is nothing else.
  std::uint8_t* header(std::size_t i) const { return header_[i]; }
  FlowKey key(std::size_t i) const { return {a_[i], b_[i]}; }
  std::uint64_t hash(std::size_t i) const { return hash_[i]; }
  // Perhaps the flow, or null.
  vxlnat_flow* flow(std::size_t i) const { return flow_[i]; }
  // Of {vnet, source}, inbound {kOutside, destination}: where a 1:1 entry and
  // the host are found. Only when there is no flow; else 0.
  std::uint64_t host_hash(std::size_t i) const { return host_hash_[i]; }
  // Perhaps that 1:1 entry, or null.
  vxlnat_one_to_one* entry(std::size_t i) const { return entry_[i]; }
  // The state that the packet leaves as it is, if its flow has it: its headers
  // are sound, it is whole and opens and closes nothing. Else kFree.
  FlowState quiet_in(std::size_t i) const { return quiet_in_[i]; }

 private:
  void find_hosts(const Context& c, std::size_t count, bool inbound);

  std::uint8_t* header_[kMost];
  std::uint64_t a_[kMost];
  std::uint64_t b_[kMost];
  std::uint64_t hash_[kMost];
  std::uint64_t host_hash_[kMost];
  vxlnat_flow* flow_[kMost];
  vxlnat_one_to_one* entry_[kMost];
  FlowState quiet_in_[kMost];
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_LOOK_AHEAD_H_
