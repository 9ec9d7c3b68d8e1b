// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Fragments of few datagrams in any order, from both sides, with time going
// by: each is [flags, offset, size]. Flag bit 0: from inside; bit 1: more
// follow; bits 2 and 3: which datagram; bit 4: to the AIP; bits 5 and 6: the
// protocol; bit 7: half a second passes.

#include "fuzz/flows.h"

using namespace vxlnat;
using namespace vxlnat::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  BusyCloud cloud;
  // The flows' host gets an entry: its pieces must leave alike.
  require(cloud.apply(SetOneToOne{1, 0, cloud.flows[0].private_ip,
                                  0x0303030a}) == nullptr);
  Input in(data, size);
  for (int n = 0; n < 64 && !in.empty(); n++) {
    const std::uint8_t flags = in.byte();
    const bool inside = (flags & 1) != 0;
    const bool aip = (flags & 0x10) != 0;
    const FlowInfo& flow = cloud.flows[(flags >> 5 & 3) % 3];
    const std::uint16_t offset = in.byte();
    std::vector<std::uint8_t> b(20 + std::size_t{in.byte()} * 4);
    const std::vector<std::uint8_t> text = in.bytes(8);
    for (std::size_t i = 20; i < b.size() && !text.empty(); i++) {
      b[i] = text[i % text.size()];
    }
    b[0] = 0x45;
    put16(&b[2], static_cast<std::uint16_t>(b.size()));
    put16(&b[4], flags >> 2 & 3);
    put16(&b[6], static_cast<std::uint16_t>((flags & 2) << 12 | offset));
    b[8] = 64;
    b[9] = flow.proto;
    const Ip4 host = aip ? 0x0a040405 : flow.private_ip;
    put32(&b[12], inside ? host : flow.remote_ip);
    put32(&b[16],
          inside ? flow.remote_ip : (aip ? 0x03030309 : flow.public_ip));
    if (offset == 0 && b.size() >= 28 && flow.proto != kIcmp) {
      put16(&b[20], inside ? flow.private_port : flow.remote_port);
      put16(&b[22], inside ? flow.remote_port : flow.public_port);
    }
    if ((flags & 0x80) != 0) cloud.now += 500;
    Cloud::mend(b, 0);
    if (inside) b = Cloud::framed(b);
    inside ? cloud.inside(b) : cloud.outside(b);
  }
  cloud.now += 10'000;
  cloud.settle();
  require(cloud.engine->stats().fragments.read() == 0);
  return 0;
}
