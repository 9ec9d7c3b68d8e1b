// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The inside hosts that have flows, {vnet slot, private IP}: how many, so that
// a host can be limited, and which public address of its rule it uses, so that
// all its flows use one (facts: nat-behaviour U2, P1, P3).
//
// A record lives as long as something of the host's refers to it. The table is
// bounded and a vnet may hold its share of it; a host that finds no room goes
// uncounted, which only a rule that needs the count refuses.

#ifndef VXLNAT_ENGINE_HOST_TABLE_H_
#define VXLNAT_ENGINE_HOST_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/hash.h"

namespace vxlnat {

// New flows in the second that is now, on the engine's clock.
struct Pace {
  std::uint32_t second = 0;
  std::uint32_t count = 0;

  // Whether one more is allowed; 0 allows any number.
  bool allows(std::uint32_t per_second, Tick now) const {
    return per_second == 0 || second != second_of(now) || count < per_second;
  }
  void add(Tick now) {
    if (second != second_of(now)) *this = {second_of(now), 0};
    count++;
  }

 private:
  static std::uint32_t second_of(Tick now) {
    return static_cast<std::uint32_t>(now / 1000);
  }
};

// Whether a limit is near: from four fifths of it on, until less than seven
// tenths were in use when the next one came.
struct Mark {
  bool near = false;

  static std::uint32_t level(std::uint32_t limit) {
    return static_cast<std::uint32_t>((std::uint64_t{limit} * 8 + 9) / 10);
  }
  // One more makes it `value`; true when that brings the limit near.
  bool reached(std::uint32_t value, std::uint32_t limit) {
    if (limit == 0) return false;
    if (near) near = std::uint64_t{value} * 10 >= std::uint64_t{limit} * 7;
    if (near || value < level(limit)) return false;
    return near = true;
  }
};

struct Host {
  std::uint32_t vnet_slot = 0;
  Ip4 ip = 0;
  std::uint32_t uses = 0;  // flows in any state, bindings; 0: free
  std::uint32_t flows = 0;
  std::uint32_t opening = 0;
  // The pool member it uses, slot + 1; 0: none that lives. Next when free.
  std::uint32_t rule = 0;
  std::uint32_t first_block = 0;  // of its ports, index + 1
  Pace pace;
  Mark mark;
};

class HostTable {
 public:
  HostTable(const EngineConfig& config, const HashKey& key)
      : hosts_(size_for(config)),
        buckets_(BucketIndex::buckets_for(hosts_.size())),
        index_(buckets_.data(), buckets_.size()),
        key_(key) {
    for (std::size_t i = hosts_.size(); i-- > 0;) {
      hosts_[i].rule = free_;
      free_ = static_cast<std::uint32_t>(i) + 1;
    }
  }

  Host* find(std::uint32_t vnet_slot, Ip4 ip) {
    const std::uint32_t ref =
        index_.find(hash(vnet_slot, ip), [&](std::uint32_t r) {
          return hosts_[r - 1].ip == ip && hosts_[r - 1].vnet_slot == vnet_slot;
        });
    return ref == 0 ? nullptr : &hosts_[ref - 1];
  }

  std::size_t size() const { return hosts_.size(); }
  Host& at_index(std::size_t i) { return hosts_[i]; }
  bool is_full() const { return free_ == 0; }
  // Most hosts of one vnet.
  std::uint32_t share(std::uint32_t percent) const {
    return std::max<std::uint32_t>(
        1, static_cast<std::uint32_t>(hosts_.size() * percent / 100));
  }

  // A host that is not there; null when there is no room.
  Host* add(std::uint32_t vnet_slot, Ip4 ip) {
    if (free_ == 0) return nullptr;
    const std::uint32_t ref = free_;
    Host& host = hosts_[ref - 1];
    free_ = host.rule;
    host = Host{};
    host.vnet_slot = vnet_slot;
    host.ip = ip;
    index_.insert(hash(vnet_slot, ip), ref);
    return &host;
  }

  void remove(Host& host) {
    const auto ref = static_cast<std::uint32_t>(&host - hosts_.data()) + 1;
    index_.remove(hash(host.vnet_slot, host.ip), ref);
    host.uses = 0;
    host.rule = free_;
    free_ = ref;
  }

 private:
  static std::size_t size_for(const EngineConfig& config) {
    const std::uint32_t wanted = config.max_hosts != 0
                                     ? config.max_hosts
                                     : std::max(64u, config.max_flows / 4);
    // A walk over the flows takes in all of them (FlowTable::reap).
    return std::min(wanted, config.max_flows);
  }
  std::uint64_t hash(std::uint32_t vnet_slot, Ip4 ip) const {
    return hash16(key_, vnet_slot, ip);
  }

  std::vector<Host> hosts_;
  std::vector<vxlnat_bucket> buckets_;
  BucketIndex index_;  // ref: index + 1
  HashKey key_;
  std::uint32_t free_ = 0;  // index + 1
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_HOST_TABLE_H_
