// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a device says it can do for XDP (Linux 6.3, the "netdev" family of
// generic netlink).

#ifndef VXLNAT_IO_XDP_FEATURES_H_
#define VXLNAT_IO_XDP_FEATURES_H_

#include <cstdint>
#include <optional>

namespace vxlnat::io {

// Whether an XDP program may redirect frames out of the device. A virtual
// link can only be sent to while its other end polls, that is, has an XDP
// program or GRO; otherwise the kernel drops each frame and tells nobody.
// Nothing when the kernel is too old to say.
std::optional<bool> takes_redirects(std::uint32_t ifindex);

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_XDP_FEATURES_H_
