// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which remotes hold most of a public address's ports: where the next flow
// would be the first to be refused. Nothing is kept for it while packets pass;
// a walk over the flows finds it when somebody asks, by a majority vote for
// each of kCells hashes. What is told of a remote is what it has more than all
// others of its hash together: exact when it is alone there, and never too
// much. With a million flows about 60 share a hash; a hot remote has thousands.

#ifndef VXLNAT_ENGINE_HOT_H_
#define VXLNAT_ENGINE_HOT_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "engine/layout.h"
#include "engine/types.h"

namespace vxlnat {

struct HotRemote {
  Ip4 public_ip = 0;
  Ip4 remote_ip = 0;
  std::uint16_t remote_port = 0;
  std::uint8_t proto = 0;
  std::uint32_t flows = 0;  // at least

  bool is_of(const vxlnat_flow& f) const {
    return public_ip == f.public_ip && remote_ip == f.remote_ip &&
           remote_port == f.remote_port && proto == (f.vni_proto & 0xff);
  }
};

class HotScan {
 public:
  std::uint64_t at = 0;  // where the walk is

  void vote(const vxlnat_flow& f) {
    HotRemote& cell = cell_of(f);
    if (cell.flows == 0) {
      cell = {f.public_ip, f.remote_ip, f.remote_port,
              static_cast<std::uint8_t>(f.vni_proto), 1};
    } else if (cell.is_of(f)) {
      cell.flows++;
    } else {
      cell.flows--;
    }
  }
  // The `most` hottest of each public address, hottest first.
  std::vector<HotRemote> result(std::size_t most) const;

 private:
  static constexpr std::size_t kCells = 1 << 14;

  HotRemote& cell_of(const vxlnat_flow& f) {
    std::uint64_t mix = std::uint64_t{f.public_ip} << 32 | f.remote_ip;
    mix = (mix ^ std::uint64_t{f.remote_port} << 16 ^ (f.vni_proto & 0xff)) *
          0x9e3779b97f4a7c15;
    mix = (mix ^ mix >> 29) * 0xbf58476d1ce4e5b9;
    return cells_[mix >> 50];
  }

  std::array<HotRemote, kCells> cells_{};
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_HOT_H_
