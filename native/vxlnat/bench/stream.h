// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Makes a stream from words: `key=number`, as the benchmark's TypeScript half
// sends them. Packet heads and the constant part of every checksum are worked
// out here once, so that the generator only adds what differs by packet.

#ifndef VXLNAT_BENCH_STREAM_H_
#define VXLNAT_BENCH_STREAM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bench/traffic.h"

namespace vxlnat::bench {

// A stream and one packet of it in each direction, all but the heads zero.
struct Made {
  stream s{};
  std::vector<std::uint8_t> out;
  std::vector<std::uint8_t> in;
};

// Returns what is wrong with the words, or nothing.
std::string make_stream(std::uint32_t id, const std::vector<std::string>& words,
                        Made* made);

}  // namespace vxlnat::bench

#endif  // VXLNAT_BENCH_STREAM_H_
