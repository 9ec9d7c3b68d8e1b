// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Makes, reads and writes the TUN device; see tun_port.h.

#include "io/tun_port.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/offload.h"

namespace vxlnat::io {

namespace {

// Packets that the kernel keeps for us while a burst is being processed.
constexpr int kQueueLength = 2048;

std::string reason(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

std::string attach(int fd, const TunConfig& config) {
  ifreq request = request_for(config.name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(fd, TUNSETIFF, &request) != 0) {
    if (errno == EBUSY) {
      return "TUN device " + config.name + " is in use by another process";
    }
    return reason("cannot create TUN device " + config.name);
  }
  const unsigned long offloads =
      config.offloads ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN : 0;
  if (ioctl(fd, TUNSETOFFLOAD, offloads) != 0) {
    return reason("cannot set the offloads of " + config.name);
  }
  return {};
}

// The kernel would send router solicitations into an IPv4-only device. Where
// the setting cannot be written, the engine counts and drops them.
void without_ipv6(const std::string& name) {
  const std::string path = "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6";
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = write(fd, "1", 1);
  close(fd);
}

std::string bring_up(const TunConfig& config) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return reason("cannot open a control socket");
  std::string error;
  ifreq request = request_for(config.name);
  request.ifr_mtu = config.mtu;
  if (ioctl(fd, SIOCSIFMTU, &request) != 0) {
    error = reason("cannot set the MTU of " + config.name);
  }
  request = request_for(config.name);
  request.ifr_qlen = kQueueLength;
  // Inside a user namespace the kernel refuses this one; the default length
  // only loses packets sooner under a burst.
  if (error.empty() && ioctl(fd, SIOCSIFTXQLEN, &request) != 0 &&
      errno != EPERM) {
    error = reason("cannot set the queue length of " + config.name);
  }
  request = request_for(config.name);
  request.ifr_flags = IFF_UP;
  if (error.empty() && ioctl(fd, SIOCSIFFLAGS, &request) != 0) {
    error = reason("cannot bring up " + config.name);
  }
  close(fd);
  return error;
}

}  // namespace

std::unique_ptr<TunPort> TunPort::open(const TunConfig& config,
                                       std::string* error) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    *error = reason("cannot open /dev/net/tun");
    return nullptr;
  }
  *error = attach(fd, config);
  if (error->empty()) {
    without_ipv6(config.name);
    *error = bring_up(config);
  }
  if (!error->empty()) {
    close(fd);
    return nullptr;
  }
  return std::unique_ptr<TunPort>(new TunPort(fd, config));
}

TunPort::TunPort(int fd, const TunConfig& config)
    : fd_(fd),
      burst_(config.burst),
      inner_mtu_(config.inner_mtu),
      buffers_(config.burst, kHeadroom, kSuperRoom) {}

TunPort::~TunPort() { close(fd_); }

namespace {

// What the kernel left undone, in our words, or done.
Offload take(const VnetHeader& header, std::span<std::uint8_t> packet,
             std::size_t inner_mtu) {
  if ((header.flags & VnetHeader::kNeedsChecksum) == 0) return {};
  Headers h;
  if (read_headers(packet, 0, &h) && header.checksum_start == h.l4) {
    const bool many = header.kind != 0;
    return take_over(packet, 0, inner_mtu, many ? header.segment : 0);
  }
  // The checksum of something inside, of a tunnel for example.
  finish_checksum_at(packet, header.checksum_start, header.checksum_offset);
  return {};
}

}  // namespace

std::size_t TunPort::receive(std::span<Packet> out) {
  const std::size_t room = std::min(out.size(), burst_);
  std::size_t n = 0;
  std::size_t bytes = 0;
  while (n < room && bytes < kBurstBytes) {
    std::uint8_t* data = buffers_.data(n);
    VnetHeader header;
    const iovec pieces[] = {{&header, sizeof(header)}, {data, kSuperRoom}};
    const ssize_t got = readv(fd_, pieces, 2);
    if (got < static_cast<ssize_t>(sizeof(header))) break;
    out[n] = {};
    out[n].data = data;
    out[n].length = static_cast<std::size_t>(got) - sizeof(header);
    out[n].offload = take(header, out[n].bytes(), inner_mtu_);
    bytes += out[n].length;
    n++;
  }
  count(counters_.rx_packets, n);
  return n;
}

void TunPort::send(std::span<const std::uint8_t> bytes, const Underlay&,
                   Offload offload) {
  VnetHeader header = describe(bytes, 0, offload);
  const iovec pieces[] = {
      {&header, sizeof(header)},
      {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}};
  const ssize_t sent = writev(fd_, pieces, 2);
  const bool whole =
      sent == static_cast<ssize_t>(sizeof(header) + bytes.size());
  count(whole ? counters_.tx_packets : counters_.tx_refused);
}

}  // namespace vxlnat::io
