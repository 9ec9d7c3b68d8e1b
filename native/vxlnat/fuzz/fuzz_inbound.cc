// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Packets from the external side, to a zone with a few flows and an AIP:
// [flags] then a packet with a 16-bit length, again and again. Flag bit 0:
// mend checksums. Bit 1: to the AIP, else to the port of the UDP flow.

#include "fuzz/cloud.h"

using namespace vxlnat;
using namespace vxlnat::fuzz;

namespace {

// A UDP, a TCP and an echo flow of 10.4.4.6 in vnet 1 to 192.0.2.1.
void open_flows(Cloud& cloud) {
  for (const std::uint8_t proto : {kUdp, kTcp, kIcmp}) {
    std::vector<std::uint8_t> b(22 + 20 + 20);
    b[0] = 8;
    b[6] = 1;
    put_mac(&b[8], 0x90b8d0000001);
    put_mac(&b[14], 0x90b8d00000aa);
    put16(&b[20], 0x0800);
    b[22] = 0x45;
    put16(&b[24], 40);
    b[30] = 64;
    b[31] = proto;
    put32(&b[34], 0x0a040406);
    put32(&b[38], 0xc0000201);
    put16(&b[42], proto == kIcmp ? 0x0800 : 7);
    put16(&b[44], 53);
    if (proto == kUdp) put16(&b[46], 20);
    if (proto == kTcp) put16(&b[54], 0x5002);
    Cloud::mend(b, 22);
    cloud.inside(b);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  Cloud cloud;
  cloud.furnish();
  open_flows(cloud);
  FlowInfo flows[3];
  require(cloud.engine->list_flows({}, flows, 0, cloud.now).count == 3);
  Input in(data, size);
  for (int n = 0; n < 8 && !in.empty(); n++) {
    const std::uint8_t flags = in.byte();
    cloud.now += std::uint64_t{flags & 0x0cu} * 500;
    std::vector<std::uint8_t> packet = in.bytes(in.word() & 0x7ff);
    if ((flags & 1) != 0 && packet.size() >= 24) {
      const FlowInfo& flow = flows[(flags >> 4 & 3) % 3];
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
