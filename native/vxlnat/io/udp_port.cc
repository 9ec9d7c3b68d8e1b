// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Opens, reads and writes the VXLAN socket; see udp_port.h.

#include "io/udp_port.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <net/if.h>
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
constexpr std::size_t kLargest = 65536;

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
  // DF on every datagram, whatever path MTU an ICMP message claims (M4).
  const bool ok = set(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
                  set(fd, IPPROTO_IP, IP_RECVTOS, 1) &&
                  set(fd, IPPROTO_IP, IP_TTL, kTtl) &&
                  set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) &&
                  set(fd, SOL_SOCKET, SO_NO_CHECK, 1);
  if (!ok) return reason("cannot set up the VXLAN socket");
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
void append(msghdr* header, cmsghdr** at, int type, const T& value) {
  (*at)->cmsg_level = IPPROTO_IP;
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
  return std::unique_ptr<UdpPort>(new UdpPort(fd, config));
}

UdpPort::UdpPort(int fd, const UdpConfig& config)
    : fd_(fd),
      burst_(config.burst),
      inner_mtu_(config.inner_mtu),
      rx_buffers_(config.burst, kHeadroom, kRoom),
      overflow_(config.burst, 0, kLargest - kRoom),
      piece_buffers_(config.burst, kHeadroom, kRoom),
      tx_buffers_(config.burst, 0, kRoom),
      rx_(config.burst),
      tx_(config.burst),
      rx_messages_(config.burst),
      tx_messages_(config.burst) {
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
  slot.pieces[0] = {rx_buffers_.data(i), kRoom};
  slot.pieces[1] = {overflow_.data(i), kLargest - kRoom};
  msghdr& header = rx_messages_[i].msg_hdr;
  header = {};
  header.msg_name = &slot.peer;
  header.msg_namelen = sizeof(slot.peer);
  header.msg_iov = slot.pieces;
  header.msg_iovlen = 2;
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

namespace {

void read_control(const mmsghdr& message, Path* path) {
  auto* header = const_cast<msghdr*>(&message.msg_hdr);
  for (cmsghdr* at = CMSG_FIRSTHDR(header); at != nullptr;
       at = CMSG_NXTHDR(header, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(at), sizeof(info));
      path->local_ip = ntohl(info.ipi_addr.s_addr);
    } else if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) {
      path->tos = *CMSG_DATA(at);
    }
  }
}

void hand_out(std::uint8_t* data, std::size_t length, const mmsghdr& message,
              Packet* out) {
  const auto* peer = static_cast<const sockaddr_in*>(message.msg_hdr.msg_name);
  *out = {};
  out->data = data;
  out->length = length;
  out->path.peer_ip = ntohl(peer->sin_addr.s_addr);
  out->path.peer_port = ntohs(peer->sin_port);
  read_control(message, &out->path);
}

}  // namespace

// Hands out message `i` or its next piece. False: nothing (more) comes of it.
bool UdpPort::deliver(std::size_t i, Packet* out) {
  const std::size_t length = rx_messages_[i].msg_len;
  const std::size_t head = std::min(length, kRoom);
  std::uint8_t* data = rx_buffers_.data(i);
  if (!cutting_) {
    cutting_ = segmenter_.begin({data, head},
                                {overflow_.data(i), length - head}, inner_mtu_);
  }
  if (cutting_) {
    std::uint8_t* piece = piece_buffers_.data(pieces_);
    const std::size_t size = segmenter_.next(piece);
    if (size == 0) return cutting_ = false;
    pieces_++;
    hand_out(piece, size, rx_messages_[i], out);
    return true;
  }
  if (length > kRoom) {
    count(counters_.rx_oversize);
    return false;
  }
  finish_checksum({data, length});
  hand_out(data, length, rx_messages_[i], out);
  return true;
}

std::size_t UdpPort::receive(std::span<Packet> out) {
  // What was handed out before has been used: its slots are free again, but a
  // message that is still being cut keeps its own.
  if (next_ >= filled_) {
    for (std::size_t i = 0; i < filled_; i++) prepare(i);
    if (!refill()) return 0;
  }
  const std::size_t room = std::min(out.size(), burst_);
  std::size_t n = 0;
  pieces_ = 0;
  while (n < room && next_ < filled_) {
    if (deliver(next_, &out[n])) n++;
    if (!cutting_) next_++;
  }
  return n;
}

void UdpPort::send(std::span<const std::uint8_t> bytes, const Underlay& to,
                   Offload) {
  if (bytes.size() > kRoom) {
    count(counters_.tx_refused);
    return;
  }
  if (queued_ == burst_) flush();
  Slot& slot = tx_[queued_];
  std::uint8_t* copy = tx_buffers_.data(queued_);
  std::memcpy(copy, bytes.data(), bytes.size());
  slot.peer = {};
  slot.peer.sin_family = AF_INET;
  slot.peer.sin_port = htons(to.dst_port);
  slot.peer.sin_addr.s_addr = htonl(to.dst_ip);
  slot.pieces[0] = {copy, bytes.size()};

  msghdr& header = tx_messages_[queued_].msg_hdr;
  header = {};
  header.msg_name = &slot.peer;
  header.msg_namelen = sizeof(slot.peer);
  header.msg_iov = slot.pieces;
  header.msg_iovlen = 1;
  header.msg_control = slot.control.bytes;
  auto* at = reinterpret_cast<cmsghdr*>(slot.control.bytes);
  in_pktinfo info{};
  info.ipi_spec_dst.s_addr = htonl(to.src_ip);
  append(&header, &at, IP_PKTINFO, info);
  if (to.tos != 0) append(&header, &at, IP_TOS, int{to.tos});
  queued_++;
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
