// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Hears what routers of the underlay say about our tunnel packets. The kernel
// gets these messages on every path: the XDP program leaves ICMP for an
// address of the host alone. It would act on them only for a socket that has
// sent the packet, and most of ours leave with a source port of the flow's.

#ifndef VXLNAT_IO_PATH_REPORTS_H_
#define VXLNAT_IO_PATH_REPORTS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "io/bpf_object.h"

namespace vxlnat::io {

class PathReports {
 public:
  // On `interface`, or on all when that is empty. Null, and why, when not
  // allowed.
  static std::unique_ptr<PathReports> open(const std::string& interface,
                                           std::string* error);
  // Gives the messages that have come, IPv4 header first; without blocking.
  void read(const std::function<void(std::span<const std::uint8_t>)>& hear);

 private:
  explicit PathReports(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_PATH_REPORTS_H_
