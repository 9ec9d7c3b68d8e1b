// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The underlay: one UDP socket on the VXLAN port, read and written in bursts.
//
// The outer destination of what arrives, and the outer source of what leaves,
// go through IP_PKTINFO, so that one socket serves this zone's UL3 and any
// that it has taken over. The outer UDP checksum is sent as zero (RFC 7348
// section 5) and DF is set: a VTEP must not fragment (section 4.3).
//
// A shared socket has one source port, so it cannot vary per flow as RFC 7348
// recommends for spreading over equal paths; packets of one zone take one
// path. That comes with a port that writes the outer headers itself.

#ifndef VXLNAT_IO_UDP_PORT_H_
#define VXLNAT_IO_UDP_PORT_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "io/offload.h"
#include "io/port.h"

namespace vxlnat::io {

struct UdpConfig {
  std::uint16_t port = 4789;
  std::string interface;  // empty: any
  std::size_t inner_mtu = 1450;
  std::size_t burst = 64;
};

class UdpPort final : public Port {
 public:
  // Returns null and says why in `error`, naming what to do where it can.
  static std::unique_ptr<UdpPort> open(const UdpConfig& config,
                                       std::string* error);
  ~UdpPort() override;

  int fd() const override { return fd_; }
  std::size_t receive(std::span<Packet> out) override;
  void send(std::span<const std::uint8_t> bytes, const Underlay& to,
            Offload offload) override;
  void flush() override;
  void count_losses() override;

  // The port the socket is bound to (tests bind to 0).
  std::uint16_t local_port() const;

 private:
  // Control messages of one datagram: IP_PKTINFO and IP_TOS.
  struct alignas(8) Control {
    char bytes[CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(int))];
  };
  struct Slot {
    sockaddr_in peer;
    iovec pieces[2];
    Control control;
    std::size_t length;  // tx only
  };

  UdpPort(int fd, const UdpConfig& config);
  void prepare(std::size_t i);
  bool refill();
  bool deliver(std::size_t i, Packet* out);

  int fd_;
  std::size_t burst_;
  std::size_t inner_mtu_;
  // Received messages not yet handed out are [next_, filled_).
  std::size_t next_ = 0;
  std::size_t filled_ = 0;
  std::size_t pieces_ = 0;  // pieces cut in this call
  bool cutting_ = false;    // next_ is being cut
  std::size_t queued_ = 0;  // messages waiting in tx_
  std::uint32_t overflowed_ = 0;
  Segmenter segmenter_;
  Buffers rx_buffers_;
  Buffers overflow_;  // what lies beyond kRoom, for super-packets
  Buffers piece_buffers_;
  Buffers tx_buffers_;
  std::vector<Slot> rx_;
  std::vector<Slot> tx_;
  std::vector<mmsghdr> rx_messages_;
  std::vector<mmsghdr> tx_messages_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_UDP_PORT_H_
