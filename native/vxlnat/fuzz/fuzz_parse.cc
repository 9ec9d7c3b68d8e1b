// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// One IPv4 packet through stage 3 alone. What it lets pass must be as its head
// comment promises: every field that a later stage reads lies inside the
// packet. The first byte says whether checksums are mended.

#include "engine/context.h"
#include "engine/stages.h"
#include "fuzz/cloud.h"

using namespace vxlnat;
using namespace vxlnat::fuzz;

namespace {

Context& context() {
  static EngineConfig config = [] {
    EngineConfig small;
    small.max_flows = small.max_vnets = small.max_rules = 8;
    small.max_one_to_ones = small.max_remotes = 8;
    return small;
  }();
  static const vxlnat_layout layout = plan_tables(config);
  static OwnedMemory memory(static_cast<std::uint8_t*>(
      ::operator new[](layout.bytes, std::align_val_t{64})));
  static Context made = [] {
    std::memset(memory.get(), 0, layout.bytes);
    std::memcpy(memory.get(), &layout, sizeof layout);
    return Context(config, {}, SharedTables(memory.get()));
  }();
  return made;
}

void check(const Packet& p, std::size_t given) {
  require(p.length <= given && p.l4 >= wire::ip::kSize && p.l4 <= p.length);
  require(get16(p.data + wire::ip::kLength) == p.length);
  require(p.first || p.fragment);
  if (!p.first) return;
  const std::size_t left = p.length - p.l4;
  if (p.proto == kTcp) require(left >= wire::tcp::kSize);
  if (p.proto == kUdp || p.proto == kIcmp) require(left >= wire::udp::kSize);
  require((p.icmp == IcmpKind::kNone) == (p.proto != kIcmp));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  Input in(data, size);
  const bool mend = (in.byte() & 1) != 0;
  std::vector<std::uint8_t> bytes = in.bytes(4096);
  if (mend) Cloud::mend(bytes, 0);
  // Memory that ends where the packet ends.
  const auto exact = std::make_unique<std::uint8_t[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  Packet p;
  p.data = exact.get();
  p.length = bytes.size();
  Context& c = context();
  const std::uint64_t before = c.stats.drops.read();
  if (parse(c, p).ended()) {
    require(c.stats.drops.read() == before + 1);
  } else {
    require(c.stats.drops.read() == before);
    check(p, bytes.size());
  }
  return 0;
}
