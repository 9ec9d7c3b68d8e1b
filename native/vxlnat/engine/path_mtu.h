// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Nodes whose way through the underlay carries less than the rest of it, as
// routers there have said (RFC 1191). Few, and forgotten after ten minutes, in
// case the way has become better.

#ifndef VXLNAT_ENGINE_PATH_MTU_H_
#define VXLNAT_ENGINE_PATH_MTU_H_

#include <algorithm>
#include <array>
#include <cstddef>

#include "engine/types.h"

namespace vxlnat {

class PathMtu {
 public:
  static constexpr std::uint16_t kAny = 0xffff;

  // Remembers that tunnel packets to `node` may have `mtu` bytes. False when
  // that is no news: a report can lower it, only time raises it.
  bool learn(Ip4 node, std::uint16_t mtu, Tick now) {
    Entry* at = find(node);
    const bool known = at != nullptr;
    if (known && mtu > at->mtu) return false;
    if (!known) {
      // Where all are in use, the one that would be forgotten first.
      at = std::min_element(
          entries_.begin(), entries_.end(),
          [](const Entry& a, const Entry& b) { return a.until < b.until; });
    }
    const bool news = !known || mtu < at->mtu;
    *at = {node, mtu, now + kKeepMs};
    find_least();
    return news;
  }

  // Bytes that a tunnel packet to `node` may have.
  std::uint16_t to(Ip4 node) const {
    const Entry* at = const_cast<PathMtu*>(this)->find(node);
    return at == nullptr ? kAny : at->mtu;
  }
  // The least of all.
  std::uint16_t least() const { return least_; }

  // Forgets what is old; true when that changed `least`.
  bool sweep(Tick now) {
    if (least_ == kAny) return false;
    const std::uint16_t before = least_;
    for (Entry& each : entries_) {
      if (each.until != 0 && now >= each.until) each = {};
    }
    find_least();
    return least_ != before;
  }

 private:
  static constexpr Tick kKeepMs = 600'000;  // RFC 1191 section 6.3
  struct Entry {
    Ip4 node = 0;
    std::uint16_t mtu = kAny;
    Tick until = 0;  // 0: unused
  };

  Entry* find(Ip4 node) {
    const auto at = std::find_if(
        entries_.begin(), entries_.end(),
        [node](const Entry& e) { return e.until != 0 && e.node == node; });
    return at == entries_.end() ? nullptr : &*at;
  }
  void find_least() {
    least_ = kAny;
    for (const Entry& each : entries_) least_ = std::min(least_, each.mtu);
  }

  std::array<Entry, 64> entries_;
  std::uint16_t least_ = kAny;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_PATH_MTU_H_
