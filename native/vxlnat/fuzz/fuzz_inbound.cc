// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Packets from the external side, to a zone with a few flows and an AIP:
// [flags] then a packet with a 16-bit length, again and again. Flag bit 0:
// mend checksums. Bit 1: to the AIP, else to the port of the UDP flow.

#include "fuzz/flows.h"

using namespace vxlnat;
using namespace vxlnat::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  BusyCloud cloud;
  Input in(data, size);
  for (int n = 0; n < 8 && !in.empty(); n++) {
    const std::uint8_t flags = in.byte();
    cloud.now += std::uint64_t{flags & 0x0cu} * 500;
    std::vector<std::uint8_t> packet = in.bytes(in.word() & 0x7ff);
    if ((flags & 1) != 0 && packet.size() >= 24) {
      const FlowInfo& flow = cloud.flows[(flags >> 4 & 3) % 3];
      put32(&packet[16], (flags & 2) != 0 ? 0x03030309 : flow.public_ip);
      put32(&packet[12], flow.remote_ip);
      if (flow.proto != kIcmp) {
        put16(&packet[20], flow.remote_port);
        put16(&packet[22], flow.public_port);
      }
      Cloud::mend(packet, 0);
    }
    cloud.outside(packet);
  }
  cloud.settle();
  return 0;
}
