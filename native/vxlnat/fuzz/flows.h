// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Three flows of 10.4.4.6 in vnet 1 to 192.0.2.1: UDP, TCP and echo.

#ifndef VXLNAT_FUZZ_FLOWS_H_
#define VXLNAT_FUZZ_FLOWS_H_

#include <vector>

#include "fuzz/cloud.h"

namespace vxlnat::fuzz {

inline void open_flows(Cloud& cloud, FlowInfo (&flows)[3]) {
  for (const std::uint8_t proto : {kUdp, kTcp, kIcmp}) {
    std::vector<std::uint8_t> b(20 + 20);
    b[0] = 0x45;
    put16(&b[2], 40);
    b[8] = 64;
    b[9] = proto;
    put32(&b[12], 0x0a040406);
    put32(&b[16], 0xc0000201);
    put16(&b[20], proto == kIcmp ? 0x0800 : 7);
    put16(&b[22], 53);
    if (proto == kUdp) put16(&b[24], 20);
    if (proto == kTcp) put16(&b[32], 0x5002);
    Cloud::mend(b, 0);
    cloud.inside(Cloud::framed(b));
  }
  require(cloud.engine->list_flows({}, flows, 0, cloud.now).count == 3);
}

}  // namespace vxlnat::fuzz

#endif  // VXLNAT_FUZZ_FLOWS_H_
