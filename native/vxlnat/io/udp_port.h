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
//
// Bulk TCP. What a virtual link gives as one super-packet is handed in as one
// (offload.h). Of wire-sized packets the kernel glues those together that one
// peer sent in a row (UDP_GRO, when they have an outer checksum), and those of
// one inner TCP flow in a burst become one super-packet here (join.h). A
// super-packet to send goes to a TunnelDevice; where there is none it is cut
// and goes in one call all the same (UDP_SEGMENT, with an outer checksum, for
// the kernel demands one).

#ifndef VXLNAT_IO_UDP_PORT_H_
#define VXLNAT_IO_UDP_PORT_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "io/join.h"
#include "io/port.h"
#include "io/tunnel_device.h"

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
  // Why super-packets have to be cut before they are sent; empty when not.
  const std::string& cutting() const { return cutting_; }

 private:
  // Control messages of one datagram: IP_PKTINFO, IP_TOS and, received or
  // sent, the size of its parts.
  struct alignas(8) Control {
    char bytes[CMSG_SPACE(sizeof(in_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
  };
  struct Slot {
    sockaddr_in peer;
    iovec bytes;
    Control control;
  };
  // What was said about a received message.
  struct Said {
    Path path;
    std::size_t part = 0;  // length of each glued datagram; 0: it is one
  };

  UdpPort(int fd, const UdpConfig& config);
  void prepare(std::size_t i);
  bool refill();
  Said read_control(std::size_t i) const;
  std::size_t deliver(std::size_t i, std::span<Packet> out, std::size_t n);
  mmsghdr& address(std::size_t slot, std::span<std::uint8_t> bytes,
                   const Underlay& to);
  void queue(std::span<const std::uint8_t> bytes, const Underlay& to,
             bool partial);
  void send_super(std::span<const std::uint8_t> bytes, const Underlay& to,
                  Offload offload);
  void send_parts(std::span<std::uint8_t> bytes, std::size_t part,
                  const Underlay& to);

  int fd_;
  std::size_t burst_;
  std::unique_ptr<TunnelDevice> tunnel_;
  std::string cutting_;
  bool parts_ = true;  // the kernel takes UDP_SEGMENT
  // Received messages not yet handed out are [next_, filled_), the first from
  // byte `at_` on.
  std::size_t next_ = 0;
  std::size_t filled_ = 0;
  std::size_t at_ = 0;
  std::size_t queued_ = 0;  // messages waiting in tx_
  std::uint32_t overflowed_ = 0;
  BurstJoiner joiner_;
  Buffers rx_buffers_;
  Buffers tx_buffers_;
  Buffers cut_;
  std::vector<Slot> rx_;
  std::vector<Slot> tx_;  // the last one is for what was cut
  std::vector<mmsghdr> rx_messages_;
  std::vector<mmsghdr> tx_messages_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_UDP_PORT_H_
