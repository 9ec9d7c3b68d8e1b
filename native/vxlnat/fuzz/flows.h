// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A furnished cloud with three flows of 10.4.4.6 in vnet 1 to 192.0.2.1: UDP,
// TCP and echo.

#ifndef VXLNAT_FUZZ_FLOWS_H_
#define VXLNAT_FUZZ_FLOWS_H_

#include <vector>

#include "fuzz/cloud.h"

namespace vxlnat::fuzz {

class BusyCloud final : public Cloud {
 public:
  BusyCloud() {
    furnish();
    for (const std::uint8_t proto : {kUdp, kTcp, kIcmp}) open(proto);
    require(engine->list_flows({}, flows, 0, now).count == 3);
  }

  FlowInfo flows[3];

 private:
  void open(std::uint8_t proto) {
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
    mend(b, 0);
    inside(framed(b));
  }
};

}  // namespace vxlnat::fuzz

#endif  // VXLNAT_FUZZ_FLOWS_H_
