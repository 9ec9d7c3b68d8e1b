// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Opens, reads and writes the VXLAN socket; see udp_port.h.

#include "io/udp_port.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace vxlnat::io {

namespace {

// 4 MiB: a burst of several milliseconds at ten gigabit per second.
constexpr int kSocketBuffer = 4 << 20;
constexpr int kTtl = 64;
// The kernel's limits for one call with UDP_SEGMENT; newer ones allow 128.
constexpr std::size_t kMostParts = 64;
constexpr std::size_t kMostPartBytes = 65'000;

bool set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

// The forced form passes the system's limit and needs CAP_NET_ADMIN.
void set_buffer(int fd, int forced, int plain) {
  if (!set(fd, SOL_SOCKET, forced, kSocketBuffer)) {
    set(fd, SOL_SOCKET, plain, kSocketBuffer);
  }
}

std::string reason(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

std::string configure(int fd, const UdpConfig& config) {
  if (!config.interface.empty()) {
    if (if_nametoindex(config.interface.c_str()) == 0) {
      return "underlay interface " + config.interface + " does not exist";
    }
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, config.interface.c_str(),
                   static_cast<socklen_t>(config.interface.size())) != 0) {
      return reason("cannot bind to interface " + config.interface);
    }
  }
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
  // DF on every datagram; the engine heeds what is said of paths (M4).
  const bool ok = set(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
                  set(fd, IPPROTO_IP, IP_RECVTOS, 1) &&
                  set(fd, IPPROTO_IP, IP_TTL, kTtl) &&
                  set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) &&
                  set(fd, SOL_SOCKET, SO_NO_CHECK, 1);
  if (!ok) return reason("cannot set up the VXLAN socket");
  // Where the kernel does not know it, every datagram comes alone.
  set(fd, SOL_UDP, UDP_GRO, 1);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(config.port);
  if (bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0) {
    const bool taken = errno == EADDRINUSE;
    std::string text =
        reason("cannot bind UDP port " + std::to_string(config.port));
    if (taken) {
      text += " (is there a kernel VXLAN device or another engine on it?)";
    }
    return text;
  }
  return {};
}

template <typename T>
void append(msghdr* header, cmsghdr** at, int level, int type, const T& value) {
  (*at)->cmsg_level = level;
  (*at)->cmsg_type = type;
  (*at)->cmsg_len = CMSG_LEN(sizeof(T));
  std::memcpy(CMSG_DATA(*at), &value, sizeof(T));
  header->msg_controllen += CMSG_SPACE(sizeof(T));
  // Not CMSG_NXTHDR: it reads the length of a header not yet written.
  *at = reinterpret_cast<cmsghdr*>(reinterpret_cast<char*>(*at) +
                                   CMSG_SPACE(sizeof(T)));
}

}  // namespace

std::unique_ptr<UdpPort> UdpPort::open(const UdpConfig& config,
                                       std::string* error) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    *error = reason("cannot open a UDP socket");
    return nullptr;
  }
  *error = configure(fd, config);
  if (!error->empty()) {
    close(fd);
    return nullptr;
  }
  std::unique_ptr<UdpPort> port(new UdpPort(fd, config));
  port->tunnel_ =
      TunnelDevice::open(config.interface, port->local_port(), &port->cutting_);
  return port;
}

UdpPort::UdpPort(int fd, const UdpConfig& config)
    : fd_(fd),
      burst_(config.burst),
      joiner_(config.inner_mtu),
      rx_buffers_(config.burst, kHeadroom, kSuperRoom),
      tx_buffers_(config.burst, 0, kRoom),
      cut_(1, 0, kMostPartBytes),
      rx_(config.burst),
      tx_(config.burst + 1),
      rx_messages_(config.burst),
      tx_messages_(config.burst + 1) {
  for (std::size_t i = 0; i < burst_; i++) prepare(i);
}

UdpPort::~UdpPort() { close(fd_); }

std::uint16_t UdpPort::local_port() const {
  sockaddr_in name{};
  socklen_t length = sizeof(name);
  getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &length);
  return ntohs(name.sin_port);
}

void UdpPort::prepare(std::size_t i) {
  Slot& slot = rx_[i];
  slot.bytes = {rx_buffers_.data(i), kSuperRoom};
  msghdr& header = rx_messages_[i].msg_hdr;
  header = {};
  header.msg_name = &slot.peer;
  header.msg_namelen = sizeof(slot.peer);
  header.msg_iov = &slot.bytes;
  header.msg_iovlen = 1;
  header.msg_control = slot.control.bytes;
  header.msg_controllen = sizeof(slot.control.bytes);
}

bool UdpPort::refill() {
  next_ = filled_ = 0;
  const int got =
      recvmmsg(fd_, rx_messages_.data(), static_cast<unsigned>(burst_),
               MSG_DONTWAIT, nullptr);
  if (got <= 0) return false;
  filled_ = static_cast<std::size_t>(got);
  count(counters_.rx_packets, filled_);
  return true;
}

UdpPort::Said UdpPort::read_control(std::size_t i) const {
  Said said;
  auto* header = const_cast<msghdr*>(&rx_messages_[i].msg_hdr);
  for (cmsghdr* at = CMSG_FIRSTHDR(header); at != nullptr;
       at = CMSG_NXTHDR(header, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(at), sizeof(info));
      said.path.local_ip = ntohl(info.ipi_addr.s_addr);
    } else if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) {
      said.path.tos = *CMSG_DATA(at);
    } else if (at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_GRO) {
      int part;
      std::memcpy(&part, CMSG_DATA(at), sizeof(part));
      said.part = static_cast<std::size_t>(part);
    }
  }
  said.path.peer_ip = ntohl(rx_[i].peer.sin_addr.s_addr);
  said.path.peer_port = ntohs(rx_[i].peer.sin_port);
  return said;
}

// Hands out what message `i` holds from `at_` on, as far as there is room.
std::size_t UdpPort::deliver(std::size_t i, std::span<Packet> out,
                             std::size_t n) {
  const std::size_t length = rx_messages_[i].msg_len;
  const Said said = read_control(i);
  const std::size_t part = said.part == 0 ? length : said.part;
  while (at_ < length && n < out.size()) {
    const std::span<std::uint8_t> datagram(rx_buffers_.data(i) + at_,
                                           std::min(part, length - at_));
    n = joiner_.add(datagram, {kSuperRoom - at_, i}, said.path, out, n);
    at_ += datagram.size();
  }
  // An empty datagram is one as well: the engine counts it.
  if (length == 0) n = joiner_.add({}, {}, said.path, out, n);
  return n;
}

std::size_t UdpPort::receive(std::span<Packet> out) {
  // What was handed out before has been used: its slots are free again, but a
  // message of which there is more keeps its own.
  if (next_ >= filled_) {
    for (std::size_t i = 0; i < filled_; i++) prepare(i);
    if (!refill()) return 0;
  }
  out = out.first(std::min(out.size(), burst_));
  std::size_t n = 0;
  while (n < out.size() && next_ < filled_) {
    n = deliver(next_, out, n);
    if (at_ >= rx_messages_[next_].msg_len) {
      next_++;
      at_ = 0;
    }
  }
  joiner_.finish(out);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < n; i++) {
    if (out[i].length > kRoom && out[i].offload.segment == 0) {
      count(counters_.rx_oversize);
    } else {
      out[kept++] = out[i];
    }
  }
  return kept;
}

// Makes tx message `slot` one with these bytes.
mmsghdr& UdpPort::address(std::size_t slot, std::span<std::uint8_t> bytes,
                          const Underlay& to) {
  Slot& tx = tx_[slot];
  tx.peer = {};
  tx.peer.sin_family = AF_INET;
  tx.peer.sin_port = htons(to.dst_port);
  tx.peer.sin_addr.s_addr = htonl(to.dst_ip);
  tx.bytes = {bytes.data(), bytes.size()};

  msghdr& header = tx_messages_[slot].msg_hdr;
  header = {};
  header.msg_name = &tx.peer;
  header.msg_namelen = sizeof(tx.peer);
  header.msg_iov = &tx.bytes;
  header.msg_iovlen = 1;
  header.msg_control = tx.control.bytes;
  auto* at = reinterpret_cast<cmsghdr*>(tx.control.bytes);
  in_pktinfo info{};
  info.ipi_spec_dst.s_addr = htonl(to.src_ip);
  append(&header, &at, IPPROTO_IP, IP_PKTINFO, info);
  if (to.tos != 0) append(&header, &at, IPPROTO_IP, IP_TOS, int{to.tos});
  return tx_messages_[slot];
}

void UdpPort::queue(std::span<const std::uint8_t> bytes, const Underlay& to,
                    bool partial) {
  if (bytes.size() > kRoom) {
    count(counters_.tx_refused);
    return;
  }
  if (queued_ == burst_) flush();
  const std::span<std::uint8_t> copy(tx_buffers_.data(queued_), bytes.size());
  std::memcpy(copy.data(), bytes.data(), bytes.size());
  Headers h;
  if (partial && read_headers(copy, find_inner(copy), &h)) {
    finish_checksum(copy, h);
  }
  address(queued_++, copy, to);
}

void UdpPort::send(std::span<const std::uint8_t> bytes, const Underlay& to,
                   Offload offload) {
  if (offload.segment == 0) {
    queue(bytes, to, offload.partial);
  } else {
    send_super(bytes, to, offload);
  }
}

void UdpPort::send_super(std::span<const std::uint8_t> bytes,
                         const Underlay& to, Offload offload) {
  const std::size_t ip = find_inner(bytes);
  // What was sent before leaves before.
  flush();
  if (tunnel_ != nullptr && tunnel_->send(bytes, ip, to, offload)) {
    count(counters_.tx_packets);
    return;
  }
  Headers h;
  if (!read_headers(bytes, ip, &h)) return count(counters_.tx_refused);
  Segmenter segmenter(bytes, h, offload.segment);
  const std::size_t part = segmenter.next_length();
  if (part > kRoom) return count(counters_.tx_refused);
  std::uint8_t* const begin = cut_.data(0);
  std::uint8_t* end = begin;
  std::size_t parts = 0;
  while (const std::size_t length = segmenter.next_length()) {
    if (parts == kMostParts ||
        length > kMostPartBytes - static_cast<std::size_t>(end - begin)) {
      send_parts({begin, end}, part, to);
      end = begin;
      parts = 0;
    }
    segmenter.next(end);
    end += length;
    parts++;
  }
  send_parts({begin, end}, part, to);
}

// Sends datagrams of `part` bytes each, the last one perhaps shorter.
void UdpPort::send_parts(std::span<std::uint8_t> bytes, std::size_t part,
                         const Underlay& to) {
  const std::size_t parts = (bytes.size() + part - 1) / part;
  if (parts_ && parts > 1) {
    msghdr& header = address(burst_, bytes, to).msg_hdr;
    auto* at = reinterpret_cast<cmsghdr*>(tx_[burst_].control.bytes +
                                          header.msg_controllen);
    append(&header, &at, SOL_UDP, UDP_SEGMENT,
           static_cast<std::uint16_t>(part));
    set(fd_, SOL_SOCKET, SO_NO_CHECK, 0);
    const ssize_t sent = sendmsg(fd_, &header, 0);
    const int why = errno;
    set(fd_, SOL_SOCKET, SO_NO_CHECK, 1);
    if (sent >= 0) return count(counters_.tx_packets, parts);
    // Not known to this kernel, or to a device without checksums.
    parts_ = why != EINVAL && why != EIO;
    if (parts_) return count(counters_.tx_refused, parts);
  }
  for (std::size_t i = 0; i < bytes.size(); i += part) {
    queue(bytes.subspan(i, std::min(part, bytes.size() - i)), to, false);
  }
}

// Not SO_RXQ_OVFL, which tells the same with each datagram: Linux 6.18 with
// hardened usercopy kills the thread that receives such a message.
void UdpPort::count_losses() {
  std::uint32_t info[SK_MEMINFO_VARS] = {};
  socklen_t length = sizeof(info);
  if (getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, info, &length) != 0) return;
  // The kernel's total since the socket was opened, modulo 2^32.
  const std::uint32_t total = info[SK_MEMINFO_DROPS];
  count(counters_.rx_overflow, total - std::exchange(overflowed_, total));
}

void UdpPort::flush() {
  std::size_t at = 0;
  while (at < queued_) {
    const int sent = sendmmsg(fd_, tx_messages_.data() + at,
                              static_cast<unsigned>(queued_ - at), 0);
    if (sent > 0) {
      count(counters_.tx_packets, static_cast<std::uint64_t>(sent));
      at += static_cast<std::size_t>(sent);
      continue;
    }
    // The first of the rest cannot go: no route, too big, or no room. It is
    // lost, as on any link; the others may have another destination.
    count(counters_.tx_refused);
    at++;
  }
  queued_ = 0;
}

}  // namespace vxlnat::io
