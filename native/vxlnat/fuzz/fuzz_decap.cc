// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Datagrams from the underlay: [flags] then packets, each with a 16-bit
// length. Flag bit 0: mend checksums behind the tag-less Ethernet header and
// put a good VXLAN and Ethernet header in front.

#include "fuzz/cloud.h"

using namespace vxlnat;
using namespace vxlnat::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  Cloud cloud;
  cloud.furnish();
  Input in(data, size);
  for (int n = 0; n < 8 && !in.empty(); n++) {
    const std::uint8_t flags = in.byte();
    cloud.tos = static_cast<std::uint8_t>(flags >> 6);
    cloud.now += std::uint64_t{flags & 0x0cu} * 500;
    std::vector<std::uint8_t> packet = in.bytes(in.word() & 0x7ff);
    if ((flags & 1) != 0) {
      std::vector<std::uint8_t> whole(22);
      whole[0] = 8;
      whole[6] = (flags & 2) != 0 ? 2 : 1;
      put_mac(&whole[8], 0x90b8d0000001);
      put_mac(&whole[14], 0x90b8d00000aa);
      put16(&whole[20], (flags & 0x10) != 0 ? 0x0806 : 0x0800);
      whole.insert(whole.end(), packet.begin(), packet.end());
      packet = whole;
      if ((flags & 0x10) == 0) Cloud::mend(packet, 22);
    }
    cloud.inside(packet);
  }
  cloud.settle();
  return 0;
}
