// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Sends one ARP announcement through a packet socket; see arp_announce.h.

#include "io/arp_announce.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vxlnat::io {

namespace {

// Ethernet header and ARP for IPv4 over Ethernet (RFC 826).
struct [[gnu::packed]] Announcement {
  std::uint8_t destination[6];
  std::uint8_t source[6];
  std::uint16_t type;
  std::uint16_t hardware;
  std::uint16_t protocol;
  std::uint8_t hardware_length;
  std::uint8_t protocol_length;
  std::uint16_t operation;
  std::uint8_t sender_mac[6];
  std::uint32_t sender_ip;
  std::uint8_t target_mac[6];
  std::uint32_t target_ip;
};
static_assert(sizeof(Announcement) == 42);

std::string reason(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

std::string read_mac(int fd, const std::string& interface, std::uint8_t* mac) {
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  if (ioctl(fd, SIOCGIFHWADDR, &request) != 0) {
    return reason("cannot read the address of " + interface);
  }
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
    return interface + " is not an Ethernet interface";
  }
  std::memcpy(mac, request.ifr_hwaddr.sa_data, 6);
  return {};
}

Announcement build(const std::uint8_t* mac, std::uint32_t ip) {
  Announcement frame{};
  std::memset(frame.destination, 0xff, 6);
  std::memcpy(frame.source, mac, 6);
  frame.type = htons(ETH_P_ARP);
  frame.hardware = htons(ARPHRD_ETHER);
  frame.protocol = htons(ETH_P_IP);
  frame.hardware_length = 6;
  frame.protocol_length = 4;
  frame.operation = htons(ARPOP_REQUEST);
  std::memcpy(frame.sender_mac, mac, 6);
  frame.sender_ip = htonl(ip);
  frame.target_ip = htonl(ip);
  return frame;
}

std::string announce_on(int fd, const std::string& interface,
                        std::uint32_t ip) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) return "interface " + interface + " does not exist";
  std::uint8_t mac[6];
  std::string error = read_mac(fd, interface, mac);
  if (!error.empty()) return error;
  const Announcement frame = build(mac, ip);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(index);
  to.sll_halen = 6;
  std::memset(to.sll_addr, 0xff, 6);
  if (sendto(fd, &frame, sizeof(frame), 0, reinterpret_cast<sockaddr*>(&to),
             sizeof(to)) != sizeof(frame)) {
    return reason("cannot announce on " + interface);
  }
  return {};
}

}  // namespace

std::string announce_arp(const std::string& interface, std::uint32_t ip) {
  // Protocol 0: send only, nothing is delivered to this socket.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return reason("cannot open a packet socket");
  std::string error = announce_on(fd, interface, ip);
  close(fd);
  return error;
}

}  // namespace vxlnat::io
