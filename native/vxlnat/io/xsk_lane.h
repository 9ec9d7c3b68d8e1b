// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A lane's packets by AF_XDP: some queues of each of our interfaces, and the
// frames they share. A packet is received into a frame, rewritten there by
// the engine, which puts its headers in front, and is sent from the same
// frame by whichever interface leads to its next hop; nothing is copied but
// what the engine makes anew (answers, fragments, packets that waited).
//
// A packet without a next hop on an interface of ours takes the detour.
//
// Threads: the lane's; see lane.h.

#ifndef VXLNAT_IO_XSK_LANE_H_
#define VXLNAT_IO_XSK_LANE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/bpf_object.h"
#include "io/detour.h"
#include "io/frame.h"
#include "io/lane.h"
#include "io/next_hop.h"
#include "io/umem.h"
#include "io/xsk_socket.h"

namespace vxlnat::io {

// One queue of one interface. `port` is an index of vxlnat_settings.ports.
struct XskQueue {
  std::uint32_t port = 0;
  std::uint32_t queue = 0;
};

struct XskLaneConfig {
  vxlnat_settings settings = {};
  std::vector<XskQueue> queues;
  std::uint32_t frame_size = 2048;
  std::size_t burst = 64;
};

class XskLane final : public LaneIo {
 public:
  // Opens the sockets and has `bpf` steer to them. `bpf`, `changes` and
  // `detour` must outlive the lane. Null and a sentence when it cannot.
  static std::unique_ptr<XskLane> open(const XskLaneConfig& config,
                                       const BpfObject* bpf,
                                       const RouteChanges* changes,
                                       Detour* detour, std::string* error);
  bool zero_copy() const { return sockets_.front().socket->zero_copy(); }

  Burst receive() override;
  void underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                Offload offload) override;
  void external(std::span<const std::uint8_t> bytes, Offload offload) override;
  void flush(std::uint64_t now) override;
  void sleep() override;
  void wake() override;
  const PortCounters& counters() const override { return counters_; }

 private:
  struct Socket {
    std::unique_ptr<XskSocket> socket;
    std::uint32_t port;
    FrameRules rules;
  };
  // What the engine has sent: bytes in a frame of ours.
  struct Out {
    std::uint8_t* data;
    std::size_t length;
    bool underlay;
    Underlay to;
  };

  XskLane(const XskLaneConfig& config, const BpfObject* bpf,
          const RouteChanges* changes, Detour* detour);
  std::string open_sockets(const XskLaneConfig& config, const BpfObject& bpf);
  void take_from(Socket& from);
  void record(std::span<const std::uint8_t> bytes, const Underlay* to,
              Offload offload);
  void give_back();
  void send(const Out& out, const NextHop& hop);
  Socket* socket_towards(std::uint32_t ifindex);
  void count_losses();

  vxlnat_settings settings_;
  std::unique_ptr<Umem> umem_;
  std::vector<Socket> sockets_;
  std::size_t share_;  // most packets from one socket in one burst
  const RouteChanges* changes_;
  Detour* detour_;
  Fd wake_;
  NeighbourUse neighbours_;
  NextHops hops_;
  std::vector<xdp_desc> received_;
  std::vector<Packet> underlay_;
  std::vector<Packet> external_;
  std::vector<std::uint32_t> held_;  // frames of this burst
  std::vector<bool> sent_;           // by frame: received, and leaves again
  std::vector<Out> out_;
  std::vector<Destination> to_;
  std::vector<NextHop> found_;
  std::uint64_t losses_at_ = 0;
  PortCounters counters_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_XSK_LANE_H_
