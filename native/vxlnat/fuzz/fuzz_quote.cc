// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// ICMP errors that quote packets of ours, from both sides: an error about a
// packet of one of the flows or of the AIP, with the input written over the
// quote, cut where it says. Each message is [flags, at, cut, patch length]
// and the patch. Flag bit 0: from inside; bits 1 and 2: whose packet; bit 3:
// checksums are not mended; bits 4 and 5: the kind of error.

#include <algorithm>

#include "fuzz/flows.h"

using namespace vxlnat;
using namespace vxlnat::fuzz;

namespace {

constexpr std::uint8_t kTypes[] = {3, 11, 12, 5};

// The packet that an error is about, as its reporter saw it.
std::vector<std::uint8_t> quoted(const FlowInfo& flow, bool inside, bool aip) {
  std::vector<std::uint8_t> b(20 + 20);
  b[0] = 0x45;
  put16(&b[2], 40);
  b[8] = 60;
  b[9] = flow.proto;
  const Ip4 ours = aip ? (inside ? 0x0a040405 : 0x03030309)
                       : (inside ? flow.private_ip : flow.public_ip);
  const std::uint16_t port = inside ? flow.private_port : flow.public_port;
  put32(&b[inside ? 16 : 12], ours);
  put32(&b[inside ? 12 : 16], flow.remote_ip);
  if (flow.proto == kIcmp) {
    b[20] = inside ? 0 : 8;
    put16(&b[24], port);
  } else {
    put16(&b[inside ? 22 : 20], port);
    put16(&b[inside ? 20 : 22], flow.remote_port);
  }
  Cloud::mend(b, 0);
  return b;
}

std::vector<std::uint8_t> error_about(const std::vector<std::uint8_t>& quote,
                                      std::uint8_t type, bool inside) {
  std::vector<std::uint8_t> b(28);
  b[0] = 0x45;
  b[8] = 64;
  b[9] = kIcmp;
  b[20] = type;
  b[21] = type == 3 ? 4 : 0;
  put16(&b[26], 580);
  put32(&b[12], inside ? get32(&quote[16]) : 0xc6336401);
  put32(&b[16], get32(&quote[12]));
  b.insert(b.end(), quote.begin(), quote.end());
  put16(&b[2], static_cast<std::uint16_t>(b.size()));
  return b;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  BusyCloud cloud;
  Input in(data, size);
  for (int n = 0; n < 8 && !in.empty(); n++) {
    const std::uint8_t flags = in.byte();
    const bool inside = (flags & 1) != 0;
    const unsigned whose = flags >> 1 & 3;
    std::vector<std::uint8_t> quote =
        quoted(cloud.flows[whose % 3], inside, whose == 3);
    std::vector<std::uint8_t> b =
        error_about(quote, kTypes[flags >> 4 & 3], inside);
    const std::size_t at = in.byte();
    const std::size_t cut = in.byte();
    const std::vector<std::uint8_t> patch = in.bytes(in.byte());
    overwrite(b, 20 + at, patch);
    b.resize(std::max<std::size_t>(b.size(), 64) - cut % 64);
    if (b.size() >= 20) put16(&b[2], static_cast<std::uint16_t>(b.size()));
    if ((flags & 8) == 0) Cloud::mend(b, 0);
    if (inside) b = Cloud::framed(b);
    inside ? cloud.inside(b) : cloud.outside(b);
  }
  cloud.settle();
  return 0;
}
