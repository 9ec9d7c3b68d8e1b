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

// Sets of a few entries, so that two destinations in use rarely drive each
// other out.
constexpr unsigned kSetBits = 11;
constexpr std::size_t kEach = 4;
constexpr unsigned kUsedBits = 10;
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
    : ask_(std::move(ask)),
      use_(std::move(use)),
      entries_(kEach << kSetBits),
      used_(std::size_t{1} << kUsedBits) {}

std::span<NextHops::Entry> NextHops::set_of(const Destination& to) {
  const std::uint64_t mix =
      (std::uint64_t{to.dst} << 32 | (to.src ^ to.path << 8 ^ to.proto)) *
      0x9e3779b97f4a7c15;
  return std::span(entries_).subspan((mix >> (64 - kSetBits)) * kEach, kEach);
}

const NextHops::Entry* NextHops::known(const Destination& to, std::uint64_t now,
                                       std::uint32_t generation) {
  for (const Entry& each : set_of(to)) {
    if (each.to == to && now < each.expires && each.generation == generation) {
      return &each;
    }
  }
  return nullptr;
}

NextHops::Entry& NextHops::place_for(const Destination& to) {
  const std::span<Entry> set = set_of(to);
  Entry* oldest = &set.front();
  for (Entry& each : set) {
    if (each.to == to) return each;
    if (each.expires < oldest->expires) oldest = &each;
  }
  oldest->to = to;
  return *oldest;
}

void NextHops::find(std::span<const Destination> to, std::span<NextHop> hops,
                    std::uint64_t now, std::uint32_t generation) {
  unknown_.clear();
  for (std::size_t i = 0; i < to.size(); i++) {
    const Entry* entry = known(to[i], now, generation);
    if (entry != nullptr) {
      hops[i] = entry->hop;
    } else {
      unknown_.push_back(i);
    }
  }
  if (!unknown_.empty()) answer(to, hops, now, generation);
}

void NextHops::answer(std::span<const Destination> to, std::span<NextHop> hops,
                      std::uint64_t now, std::uint32_t generation) {
  for (std::size_t at = 0; at < unknown_.size(); at += VXLNAT_NEXT_HOPS) {
    const auto part = std::span<const std::size_t>(unknown_).subspan(
        at, std::min<std::size_t>(unknown_.size() - at, VXLNAT_NEXT_HOPS));
    questions_.clear();
    for (const std::size_t i : part) {
      vxlnat_next_hop question{};
      question.src_ip = htonl(to[i].src);
      question.dst_ip = htonl(to[i].dst);
      question.proto = to[i].proto;
      question.src_port =
          htons(static_cast<std::uint16_t>(VXLNAT_PATH_PORT + to[i].path));
      question.dst_port = htons(VXLNAT_PATH_PORT);
      question.result = -1;
      questions_.push_back(question);
    }
    const bool asked = ask_(questions_);
    for (std::size_t n = 0; n < part.size(); n++) {
      NextHop& hop = hops[part[n]];
      hop = {};
      if (!asked) continue;
      Entry& entry = place_for(to[part[n]]);
      entry.generation = generation;
      learn(entry, questions_[n], now);
      hop = entry.hop;
    }
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
  keep_fresh(hop, now);
}

// Many destinations have one gateway; it is told of once for all.
void NextHops::keep_fresh(const vxlnat_next_hop& hop, std::uint64_t now) {
  const std::uint32_t mix = (hop.dst_ip ^ hop.ifindex) * 0x9e3779b1u;
  Used& used = used_[mix >> (32 - kUsedBits)];
  if (used.gateway == hop.dst_ip && used.ifindex == hop.ifindex &&
      now < used.until) {
    return;
  }
  used = {.ifindex = hop.ifindex, .gateway = hop.dst_ip, .until = now + kUseMs};
  use_(hop.ifindex, hop.dst_ip);
}

}  // namespace vxlnat::io
