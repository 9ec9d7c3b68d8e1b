// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A part of stage 6: the longest segment that a SYN announces, lowered to what
// fits into the tunnel, for hosts whose path MTU discovery is broken (facts:
// nat-behaviour T14). It is never raised, and never put in where it is not.
//
// Before: the segment is translated; its header lies within the packet.

#include <algorithm>

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::uint8_t kEnd = 0;
constexpr std::uint8_t kNop = 1;
constexpr std::uint8_t kMss = 2;

// Writes a number that may lie across two words of the checksum.
void put_counted(std::uint8_t* l4, std::size_t at, std::uint16_t value,
                 bool update) {
  const std::size_t first = at & ~std::size_t{1};
  const std::size_t last = (at + 1) & ~std::size_t{1};
  const std::uint16_t before[2] = {get16(l4 + first), get16(l4 + last)};
  put16(l4 + at, value);
  if (!update) return;
  Delta change;
  change.word(before[0], get16(l4 + first));
  if (last != first) change.word(before[1], get16(l4 + last));
  change.update_at(l4 + wire::tcp::kChecksum);
}

}  // namespace

std::uint16_t mss_for(const Context& c, const Packet& p, std::uint32_t rule) {
  const bool syn = p.proto == kTcp && p.first &&
                   (p.data[p.l4 + wire::tcp::kFlags] & wire::tcp::kSyn) != 0;
  return syn ? c.rules.at(rule).mss : std::uint16_t{0};
}

void clamp_mss(Packet& p) {
  std::uint8_t* l4 = p.data + p.l4;
  const std::size_t end =
      std::min(p.length - p.l4,
               static_cast<std::size_t>(l4[wire::tcp::kOffset] >> 4) * 4);
  for (std::size_t at = wire::tcp::kSize; at + 4 <= end;) {
    if (l4[at] == kEnd) return;
    if (l4[at] == kNop) {
      at++;
      continue;
    }
    if (l4[at + 1] < 2) return;
    if (l4[at] == kMss && l4[at + 1] == 4 &&
        get16(l4 + at + 2) > p.translation.mss) {
      put_counted(l4, at + 2, p.translation.mss, !p.offload.partial);
    }
    at += l4[at + 1];
  }
}

}  // namespace vxlnat
