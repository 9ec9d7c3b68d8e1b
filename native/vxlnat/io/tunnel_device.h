// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A way for super-packets into a fabric. A UDP socket can only send datagrams
// that fit into the MTU; the kernel's own VXLAN device hands 64 KB of TCP to
// the network card, with the order to cut what is inside the tunnel. Since
// Linux 6.17 a TAP device takes such orders from a process (virtio-net "GSO
// over UDP tunnel"), so this one is written to and never read:
//
//   send -> TAP device -> a BPF program of six instructions -> the underlay
//                         interface, by the host's routes and neighbours
//
// The program spares the packets the host's forwarding, which would refuse
// them for having an address of this host as their source, and its firewall.
// Device and program live as long as the object.

#ifndef VXLNAT_IO_TUNNEL_DEVICE_H_
#define VXLNAT_IO_TUNNEL_DEVICE_H_

#include <array>
#include <memory>
#include <string>

#include "engine/packet.h"

namespace vxlnat::io {

class TunnelDevice {
 public:
  // `port` is the source port of what is sent. Returns null, and says why in
  // `error`, where the kernel or our rights do not allow it.
  static std::unique_ptr<TunnelDevice> open(const std::string& interface,
                                            std::uint16_t port,
                                            std::string* error);
  TunnelDevice(const TunnelDevice&) = delete;
  TunnelDevice& operator=(const TunnelDevice&) = delete;
  ~TunnelDevice();

  // Sends a super-packet whose inner IPv4 header is at `ip`. False when it
  // cannot go this way; nothing was sent then.
  bool send(std::span<const std::uint8_t> bytes, std::size_t ip,
            const Underlay& to, Offload offload);

 private:
  // Ethernet, IPv4 and UDP.
  static constexpr std::size_t kOuter = 42;

  TunnelDevice(int fd, std::uint16_t port);
  std::string steer(const std::string& name, const std::string& interface);

  int fd_;
  int program_ = -1;
  int link_ = -1;
  std::uint16_t port_;
  std::array<std::uint8_t, kOuter> outer_{};
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_TUNNEL_DEVICE_H_
