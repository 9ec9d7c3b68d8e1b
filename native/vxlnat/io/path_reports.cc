// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A raw socket for ICMP "destination unreachable"; see path_reports.h.

#include "io/path_reports.h"

#include <linux/icmp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace vxlnat::io {

namespace {
// Of one call; a flood must not hold up packets.
constexpr int kMost = 32;
}  // namespace

std::unique_ptr<PathReports> PathReports::open(const std::string& interface,
                                               std::string* error) {
  Fd fd(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP));
  const icmp_filter filter = {.data = ~(1u << ICMP_DEST_UNREACH)};
  const bool ok =
      fd.open() &&
      setsockopt(fd.get(), SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) ==
          0 &&
      (interface.empty() ||
       setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                  static_cast<socklen_t>(interface.size())) == 0);
  if (ok) return std::unique_ptr<PathReports>(new PathReports(std::move(fd)));
  *error = std::strerror(errno);
  return nullptr;
}

void PathReports::read(
    const std::function<void(std::span<const std::uint8_t>)>& hear) {
  std::array<std::uint8_t, 1024> bytes;
  for (int i = 0; i < kMost; i++) {
    const ssize_t n = recv(fd_.get(), bytes.data(), bytes.size(), MSG_TRUNC);
    if (n < 0) return;
    // RFC 1812 section 4.3.2.3: errors are no longer than 576 bytes.
    if (n <= static_cast<ssize_t>(bytes.size())) {
      hear(std::span(bytes).first(static_cast<std::size_t>(n)));
    }
  }
}

}  // namespace vxlnat::io
