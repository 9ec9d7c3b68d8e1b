// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The cache of next hops and the two netlink sockets; see next_hop.h.

#include "io/next_hop.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/bytes.h"
#include "engine/wire.h"

namespace vxlnat::io {

namespace {

constexpr std::size_t kEntries = 4096;
// Answers that lead somewhere are asked for again after this time, in case a
// notification was lost; those that do not, sooner.
constexpr std::uint64_t kKeepMs = 1000;
constexpr std::uint64_t kRetryMs = 10;
// Well below the kernel's reachable time (30 s by default).
constexpr std::uint64_t kUseMs = 5000;

std::string reason(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

}  // namespace

std::unique_ptr<RouteChanges> RouteChanges::open(std::string* error) {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
               NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_NEIGH | RTMGRP_LINK |
                      RTMGRP_IPV4_RULE | RTMGRP_IPV4_IFADDR;
  if (!fd.open() || bind(fd.get(), reinterpret_cast<sockaddr*>(&address),
                         sizeof(address)) != 0) {
    *error = reason("cannot follow changes of routes");
    return nullptr;
  }
  return std::unique_ptr<RouteChanges>(new RouteChanges(std::move(fd)));
}

void RouteChanges::read() {
  char bytes[8192];
  bool changed = false;
  // What was lost because we were slow (ENOBUFS) is a change too.
  while (recv(fd_.get(), bytes, sizeof(bytes), 0) > 0 || errno == ENOBUFS) {
    changed = true;
  }
  if (changed) generation_.fetch_add(1, std::memory_order_relaxed);
}

NeighbourUse::NeighbourUse()
    : fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
                 NETLINK_ROUTE)) {}

bool NeighbourUse::send(std::uint16_t type, std::uint32_t ifindex,
                        std::uint32_t ip, std::uint8_t flags) {
  struct {
    nlmsghdr header;
    ndmsg neighbour;
    rtattr attribute;
    std::uint32_t ip;
  } message{};
  message.header.nlmsg_len = sizeof(message);
  message.header.nlmsg_type = type;
  // No acknowledgement: there is nothing to do about a failure.
  message.header.nlmsg_flags = NLM_F_REQUEST;
  message.neighbour.ndm_family = AF_INET;
  message.neighbour.ndm_ifindex = static_cast<int>(ifindex);
  message.neighbour.ndm_flags = flags;
  message.attribute.rta_type = NDA_DST;
  message.attribute.rta_len = RTA_LENGTH(sizeof(ip));
  message.ip = ip;
  return ::send(fd_.get(), &message, sizeof(message), 0) > 0;
}

bool NeighbourUse::is_static(std::uint32_t ifindex, std::uint32_t ip) {
  if (!send(RTM_GETNEIGH, ifindex, ip, 0)) return true;
  struct {
    nlmsghdr header;
    ndmsg neighbour;
    char rest[1024];
  } answer;
  bool found = false;
  // The kernel has answered before `send` returns.
  while (recv(fd_.get(), &answer, sizeof(answer), 0) > 0) {
    found = answer.header.nlmsg_type == RTM_NEWNEIGH &&
            (answer.neighbour.ndm_state & (NUD_PERMANENT | NUD_NOARP)) != 0;
  }
  return found;
}

void NeighbourUse::use(std::uint32_t ifindex, std::uint32_t ip) {
  // To use an entry that an operator has set takes its permanence and its
  // address away (__neigh_update in the kernel's net/core/neighbour.c).
  if (is_static(ifindex, ip)) return;
  if (!send(RTM_NEWNEIGH, ifindex, ip, NTF_USE)) return;
  char refusal[1024];
  while (recv(fd_.get(), refusal, sizeof(refusal), 0) > 0) {
  }
}

Destination destination_of(std::span<const std::uint8_t> ip,
                           const Underlay* tunnel) {
  if (tunnel != nullptr) {
    return {.src = tunnel->src_ip,
            .dst = tunnel->dst_ip,
            .path = tunnel->entropy % VXLNAT_PATHS,
            .proto = kUdp};
  }
  const std::uint8_t proto = ip[wire::ip::kProto];
  const std::size_t header = wire::ip::header_size(ip.data());
  const bool ports = (proto == kTcp || proto == kUdp) &&
                     !wire::ip::is_fragment(ip.data()) &&
                     ip.size() >= header + 4;
  const Ip4 src = get32(&ip[wire::ip::kSrc]);
  return {.src = src,
          .dst = get32(&ip[wire::ip::kDst]),
          .path = vxlnat_path_of(src, ports ? get32(&ip[header]) : 0),
          .proto = proto};
}

NextHops::NextHops(Ask ask, Use use)
    : ask_(std::move(ask)), use_(std::move(use)), entries_(kEntries) {}

NextHops::Entry& NextHops::slot(const Destination& to) {
  const std::uint64_t mix =
      (std::uint64_t{to.dst} << 32 | (to.src ^ to.path << 8 ^ to.proto)) *
      0x9e3779b97f4a7c15;
  return entries_[mix >> 52];
}
static_assert(kEntries == 1 << (64 - 52));

void NextHops::find(std::span<const Destination> to, std::span<NextHop> hops,
                    std::uint64_t now, std::uint32_t generation) {
  unknown_.clear();
  const auto known = [&](const Entry& entry, const Destination& each) {
    return entry.to == each && now < entry.expires &&
           entry.generation == generation;
  };
  for (const Destination& each : to) {
    if (!known(slot(each), each)) unknown_.push_back(each);
  }
  answer(unknown_, now, generation);
  for (std::size_t i = 0; i < to.size(); i++) {
    const Entry& entry = slot(to[i]);
    // Two of one call may share a slot: the loser goes through the kernel.
    hops[i] = known(entry, to[i]) ? entry.hop : NextHop{};
  }
}

void NextHops::answer(std::span<const Destination> to, std::uint64_t now,
                      std::uint32_t generation) {
  while (!to.empty()) {
    const auto part =
        to.first(std::min<std::size_t>(to.size(), VXLNAT_NEXT_HOPS));
    questions_.clear();
    for (const Destination& each : part) {
      vxlnat_next_hop question{};
      question.src_ip = htonl(each.src);
      question.dst_ip = htonl(each.dst);
      question.proto = each.proto;
      question.src_port =
          htons(static_cast<std::uint16_t>(VXLNAT_PATH_PORT + each.path));
      question.dst_port = htons(VXLNAT_PATH_PORT);
      question.result = -1;
      questions_.push_back(question);
    }
    if (!ask_(questions_)) return;
    for (std::size_t i = 0; i < part.size(); i++) {
      Entry& entry = slot(part[i]);
      if (!(entry.to == part[i])) {
        entry = Entry{};
        entry.to = part[i];
      }
      entry.generation = generation;
      learn(entry, questions_[i], now);
    }
    to = to.subspan(part.size());
  }
}

void NextHops::learn(Entry& entry, const vxlnat_next_hop& hop,
                     std::uint64_t now) {
  const bool found = hop.result == BPF_FIB_LKUP_RET_SUCCESS;
  entry.expires = now + (found ? kKeepMs : kRetryMs);
  entry.hop = {};
  if (!found) return;
  entry.hop.ifindex = hop.ifindex;
  entry.hop.mtu = hop.mtu;
  std::memcpy(entry.hop.link.dst_mac, hop.dst_mac, 6);
  std::memcpy(entry.hop.link.src_mac, hop.src_mac, 6);
  if (entry.gateway == hop.dst_ip && now < entry.used + kUseMs) return;
  entry.gateway = hop.dst_ip;
  entry.used = now;
  use_(hop.ifindex, hop.dst_ip);
}

}  // namespace vxlnat::io
