// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The way past the kernel's stack: the XDP program on the underlay and the
// external interface, and the lanes that serve what it raises.
//
// Life. `open` loads and prepares everything and changes nothing outside this
// process. `attach` puts the program in place, instead of the one that a
// predecessor has left. `leave` takes it
// away, or leaves it to the next process when it is pinned: the kernel then
// goes on translating what it can.
//
// Pins lie below <bpffs>/<zone>: one link for each device, and `tables`, which
// belong to the program that is attached.

#ifndef VXLNAT_IO_XDP_PATH_H_
#define VXLNAT_IO_XDP_PATH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/bpf_object.h"
#include "io/detour.h"
#include "io/lane.h"
#include "io/link.h"
#include "io/next_hop.h"

namespace vxlnat::io {

struct XdpConfig {
  std::string underlay;    // interface
  std::string external;    // interface; may be the same
  std::uint16_t vlan = 0;  // external tag; 0: that of the interface, or none
  bool fast = false;
  std::string pins;    // directory; empty: nothing outlives the process
  unsigned lanes = 0;  // 0: as many as there are queues and processors
  std::size_t burst = 64;
};

// One interface as it is served, for people.
struct XdpPortStatus {
  std::string device;
  bool native = false;
  std::uint16_t vlan = 0;
  std::uint32_t queues = 0;
};

struct XdpStatus {
  std::vector<XdpPortStatus> ports;
  unsigned lanes = 0;
  bool zero_copy = false;
  bool attached = false;
  bool pinned = false;
  std::string unpinned;  // why nothing is pinned
  bool fast = false;     // the program translates
  std::string not_fast;  // why not, when it was asked for
};

class XdpPath {
 public:
  // `tables` hold the engine's tables already. Null and a sentence when this
  // machine, build or interface cannot do it.
  static std::unique_ptr<XdpPath> open(const XdpConfig& config,
                                       const TablesMap& tables, Detour* detour,
                                       std::string* error);
  XdpPath(const XdpPath&) = delete;
  XdpPath& operator=(const XdpPath&) = delete;

  std::vector<std::unique_ptr<LaneIo>> take_lanes() {
    return std::move(lanes_);
  }
  RouteChanges* changes() { return changes_.get(); }
  // Keeps neighbours fresh that the program has used since the last call;
  // call every few seconds.
  void use_neighbours(std::uint64_t now);

  // Empty, or why not; then nothing of ours is attached.
  std::string attach();
  void leave(bool keep);

  const XdpStatus& status() const { return status_; }
  std::uint64_t counter(std::uint32_t index) const {
    return bpf_->counter(index);
  }

 private:
  XdpPath(const XdpConfig& config, const TablesMap& tables)
      : config_(config), tables_(tables) {}
  std::string read_ports();
  std::string add_port(const std::string& name, std::uint32_t role,
                       std::uint16_t vlan);
  std::string load();
  std::string open_lanes(Detour* detour);
  void find_pins();
  std::string pin_of(std::size_t port) const;

  const XdpConfig config_;
  const TablesMap& tables_;
  vxlnat_settings settings_{};
  std::vector<Link> links_;
  std::unique_ptr<BpfObject> bpf_;
  std::unique_ptr<RouteChanges> changes_;
  std::vector<std::unique_ptr<LaneIo>> lanes_;
  std::vector<XdpLink> attached_;
  NeighbourUse neighbours_;  // worker thread, as is the next
  std::uint64_t neighbours_at_ = 0;
  std::string pins_;  // empty: none
  XdpStatus status_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_XDP_PATH_H_
