// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What must be known of a network interface to carry packets past the kernel.

#ifndef VXLNAT_IO_LINK_H_
#define VXLNAT_IO_LINK_H_

#include <cstdint>
#include <string>

namespace vxlnat::io {

struct Link {
  std::string device;            // what carries frames: a VLAN's parent
  std::uint32_t ifindex = 0;     // of `device`
  std::uint32_t l3_ifindex = 0;  // of the interface as the kernel routes by it
  std::uint16_t vlan = 0;        // 0: no tag
  std::uint32_t mtu = 0;         // of `device`
  std::uint32_t queues = 1;      // receive queues of `device`
};

// Reads the interface `name`; a VLAN interface leads to its parent and tag.
// Returns an empty string, or why it could not.
std::string read_link(const std::string& name, Link* link);

// Has tags stay in the frame, where XDP and we can see them, instead of being
// taken out by the device.
std::string keep_tags(const std::string& device);

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_LINK_H_
