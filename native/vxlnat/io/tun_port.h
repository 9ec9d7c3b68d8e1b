// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The outside: a TUN device that carries bare IPv4 packets between the engine
// and the host's routing table. The host routes public IPs to the device and
// forwards what comes out of it.
//
// With offloads the device takes and gives TCP super-packets and unfinished
// checksums as a network card would (a virtio_net_hdr in front of each packet
// tells), so that bulk TCP costs one pass for 64 KB. Without, what is read is
// always whole and at most MTU-sized.

#ifndef VXLNAT_IO_TUN_PORT_H_
#define VXLNAT_IO_TUN_PORT_H_

#include <memory>
#include <string>

#include "io/port.h"

namespace vxlnat::io {

struct TunConfig {
  std::string name;
  int mtu = 1500;
  std::size_t inner_mtu = 1450;
  // Only when the other port can send what this one then hands in.
  bool offloads = true;
  std::size_t burst = 64;
};

class TunPort final : public Port {
 public:
  // Makes the device (it lives as long as the port), sets its MTU and brings
  // it up. Returns null and says why in `error`.
  static std::unique_ptr<TunPort> open(const TunConfig& config,
                                       std::string* error);
  ~TunPort() override;

  int fd() const override { return fd_; }
  std::size_t receive(std::span<Packet> out) override;
  void send(std::span<const std::uint8_t> bytes, const Underlay& to,
            Offload offload) override;
  void flush() override {}

 private:
  TunPort(int fd, const TunConfig& config);

  int fd_;
  std::size_t burst_;
  std::size_t inner_mtu_;
  Buffers buffers_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_TUN_PORT_H_
