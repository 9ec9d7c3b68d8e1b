// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Where a packet goes that does not pass through the kernel's own stack: by
// which interface, from and to which MAC. The kernel decides: its routes,
// whoever put them there (BGP), its choice among equal paths and its
// neighbours are asked through the same helper that the XDP program uses
// (bpf/README.md, next_hops), many questions in one call.
//
// Answers are kept for a short time, and thrown away when the kernel says
// that routes or neighbours have changed. A neighbour that only we use would
// grow stale, for the kernel sees none of our packets; so while one is in use
// the kernel is told so now and then, and probes it (NTF_USE).
//
// Equal paths: flows to one destination are spread over VXLNAT_PATHS classes,
// and the kernel is asked once for each (bpf/maps.h). A flow so stays on its
// path, be it a lane or the XDP program that forwards it.
//
// Threads: one cache belongs to one thread; the changes are shared.

#ifndef VXLNAT_IO_NEXT_HOP_H_
#define VXLNAT_IO_NEXT_HOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bpf/maps.h"
#include "engine/packet.h"
#include "engine/types.h"
#include "io/bpf_object.h"
#include "io/frame.h"

namespace vxlnat::io {

struct NextHop {
  std::uint32_t ifindex = 0;  // 0: the kernel must send it itself
  std::uint16_t mtu = 0;
  LinkAddresses link;  // without the VLAN
};

// What decides a packet's next hop.
struct Destination {
  Ip4 src = 0;
  Ip4 dst = 0;
  std::uint32_t path = 0;  // of equal ones, below VXLNAT_PATHS
  std::uint8_t proto = 0;
  bool operator==(const Destination&) const = default;
};

// Of an IPv4 packet that begins with `ip`, or, with `tunnel`, of a VXLAN
// datagram to there.
Destination destination_of(std::span<const std::uint8_t> ip,
                           const Underlay* tunnel);

// Rises with each change of the kernel's routes or neighbours.
class RouteChanges {
 public:
  static std::unique_ptr<RouteChanges> open(std::string* error);
  // Readable when there is news; then call `read`. One thread.
  int fd() const { return fd_.get(); }
  void read();
  std::uint32_t generation() const {
    return generation_.load(std::memory_order_relaxed);
  }

 private:
  explicit RouteChanges(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::atomic<std::uint32_t> generation_{0};
};

// Asks the kernel that it keeps the neighbours fresh that we use. One that an
// operator has set is left as it is.
class NeighbourUse {
 public:
  NeighbourUse();
  // `ip` in network order.
  void use(std::uint32_t ifindex, std::uint32_t ip);

 private:
  bool is_static(std::uint32_t ifindex, std::uint32_t ip);
  bool send(std::uint16_t type, std::uint32_t ifindex, std::uint32_t ip,
            std::uint8_t flags);
  Fd fd_;
};

class NextHops {
 public:
  using Ask = std::function<bool(std::span<vxlnat_next_hop>)>;
  using Use = std::function<void(std::uint32_t ifindex, std::uint32_t ip)>;

  // `ask` answers questions, `use` keeps a neighbour (network order) fresh.
  NextHops(Ask ask, Use use);

  // Finds the next hop of each destination; `hops` is as long. `generation`
  // is that of the routes now.
  void find(std::span<const Destination> to, std::span<NextHop> hops,
            std::uint64_t now, std::uint32_t generation);

 private:
  struct Entry {
    Destination to;
    NextHop hop;
    std::uint32_t generation = 0;
    std::uint64_t expires = 0;  // 0: never asked
  };
  // A neighbour (network order) that the kernel was told of.
  struct Used {
    std::uint32_t ifindex = 0;
    std::uint32_t gateway = 0;
    std::uint64_t until = 0;  // need not be told again before
  };
  std::span<Entry> set_of(const Destination& to);
  const Entry* known(const Destination& to, std::uint64_t now,
                     std::uint32_t generation);
  // The entry of `to`, or the one of its set that gives way.
  Entry& place_for(const Destination& to);
  void answer(std::span<const Destination> to, std::span<NextHop> hops,
              std::uint64_t now, std::uint32_t generation);
  void learn(Entry& entry, const vxlnat_next_hop& hop, std::uint64_t now);
  void keep_fresh(const vxlnat_next_hop& hop, std::uint64_t now);

  Ask ask_;
  Use use_;
  std::vector<Entry> entries_;
  std::vector<Used> used_;
  std::vector<std::size_t> unknown_;
  std::vector<vxlnat_next_hop> questions_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_NEXT_HOP_H_
