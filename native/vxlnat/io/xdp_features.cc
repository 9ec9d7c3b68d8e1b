// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Two questions to generic netlink; see xdp_features.h.

#include "io/xdp_features.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstring>
#include <span>

#include "io/bpf_object.h"

namespace vxlnat::io {

namespace {

// linux/netdev.h, which the headers of older systems lack.
constexpr char kFamily[] = "netdev";
constexpr std::uint8_t kDeviceGet = 1;
constexpr std::uint16_t kIfindex = 1;
constexpr std::uint16_t kFeatures = 3;
constexpr std::uint64_t kTransmit = 4;
constexpr std::size_t kHead = sizeof(nlattr);

// A request with one attribute of at most 16 bytes.
struct Request {
  nlmsghdr header;
  genlmsghdr generic;
  nlattr attribute;
  std::uint8_t value[16];
};

// Asks, and copies attribute `wanted` of the answer; false when there is none.
bool ask(int fd, std::uint16_t family, std::uint8_t command,
         std::uint16_t attribute, std::span<const std::uint8_t> value,
         std::uint16_t wanted, void* out, std::size_t size) {
  Request request{};
  request.attribute.nla_type = attribute;
  request.attribute.nla_len = static_cast<std::uint16_t>(kHead + value.size());
  std::memcpy(request.value, value.data(), value.size());
  request.generic.cmd = command;
  request.generic.version = 1;
  request.header.nlmsg_type = family;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_len = static_cast<std::uint32_t>(
      NLMSG_LENGTH(GENL_HDRLEN) + NLA_ALIGN(request.attribute.nla_len));
  alignas(8) std::uint8_t answer[8192];
  if (send(fd, &request, request.header.nlmsg_len, 0) < 0) return false;
  const ssize_t got = recv(fd, answer, sizeof(answer), 0);
  nlmsghdr header{};
  if (got < static_cast<ssize_t>(sizeof(header))) return false;
  std::memcpy(&header, answer, sizeof(header));
  if (header.nlmsg_type == NLMSG_ERROR) return false;
  const auto end = static_cast<std::size_t>(got);
  for (std::size_t at = NLMSG_LENGTH(GENL_HDRLEN); at + kHead <= end;) {
    nlattr each{};
    std::memcpy(&each, answer + at, sizeof(each));
    if (each.nla_len < kHead) return false;
    if (each.nla_type == wanted && at + kHead + size <= end) {
      std::memcpy(out, answer + at + kHead, size);
      return true;
    }
    at += NLA_ALIGN(each.nla_len);
  }
  return false;
}

std::span<const std::uint8_t> bytes_of(const void* at, std::size_t size) {
  return {static_cast<const std::uint8_t*>(at), size};
}

}  // namespace

std::optional<bool> takes_redirects(std::uint32_t ifindex) {
  const Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
  std::uint16_t family = 0;
  std::uint64_t features = 0;
  if (!fd.open() ||
      !ask(fd.get(), GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME,
           bytes_of(kFamily, sizeof(kFamily)), CTRL_ATTR_FAMILY_ID, &family,
           sizeof(family)) ||
      !ask(fd.get(), family, kDeviceGet, kIfindex,
           bytes_of(&ifindex, sizeof(ifindex)), kFeatures, &features,
           sizeof(features))) {
    return std::nullopt;
  }
  return (features & kTransmit) != 0;
}

}  // namespace vxlnat::io
