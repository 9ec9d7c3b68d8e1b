// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What is remembered of fragmented datagrams: the first fragment has the
// ports and so the translation; the others follow it. Fragments that come
// before their first are held. This is virtual reassembly: nothing is put
// together (facts: nat-behaviour F1 to F5).
//
// The key begins with the realm: a vnet, or kOutside. An entry lives for the
// fragment time from its first packet; oldest first in one list. Bounds:
// max_fragments datagrams, an eighth of them for one source, kHoldEach held
// for one datagram and max_held in all. When full, new datagrams are refused.

#ifndef VXLNAT_ENGINE_FRAGMENT_TABLE_H_
#define VXLNAT_ENGINE_FRAGMENT_TABLE_H_

#include <vector>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/hash.h"
#include "engine/packet_pool.h"
#include "engine/verdict.h"

namespace vxlnat {

inline constexpr std::uint32_t kOutside = 0xffffffff;

struct FragmentKey {
  std::uint32_t realm = 0;
  Ip4 src = 0;
  Ip4 dst = 0;
  std::uint16_t id = 0;
  std::uint8_t proto = 0;
  bool operator==(const FragmentKey&) const = default;
};

struct Fragment {
  FragmentKey key;
  bool used = false;
  bool known = false;  // the first fragment has come
  Translation translation;
  RuleId rule;
  std::uint16_t vlan = 0;
  Vni vnet = 0;
  Tick since = 0;
  std::uint32_t held_first = PacketPool::kNone;
  std::uint32_t held_last = PacketPool::kNone;
  std::uint32_t held = 0;
  std::uint32_t next = PacketPool::kNone;  // in order of age, or free
};

class FragmentTable {
 public:
  FragmentTable(const EngineConfig& config, const HashKey& key, Stats& stats);

  // The entry, known or waiting, or null.
  Fragment* find(const FragmentKey& key, Tick now);
  // Makes an entry; null when there is no room.
  Fragment* add(const FragmentKey& key, Tick now);
  // Keeps a fragment whose first has not come.
  Verdict hold(const FragmentKey& key, Packet& packet, Tick now);
  // The next held fragment's slot, or PacketPool::kNone.
  std::uint32_t take(Fragment& entry);
  Packet& at(std::uint32_t slot) { return pool_.at(slot); }
  void release(std::uint32_t slot) { pool_.release(slot); }
  bool sweep(Tick now, std::size_t budget);

 private:
  static constexpr std::uint32_t kNone = PacketPool::kNone;
  static constexpr std::uint32_t kHoldEach = 16;

  std::uint64_t hash(const FragmentKey& key) const {
    return hash16(key_, std::uint64_t{key.realm} << 32 | key.src,
                  std::uint64_t{key.dst} << 32 |
                      static_cast<std::uint32_t>(key.id << 16) | key.proto);
  }
  std::uint32_t& load(const FragmentKey& key) {
    return loads_[hash16(key_, key.realm, key.src) % loads_.size()];
  }
  void remove_oldest();

  HashKey key_;
  Stats& stats_;
  std::uint32_t lifetime_;
  std::uint32_t per_source_;
  std::vector<Fragment> entries_;
  std::vector<vxlnat_bucket> buckets_;
  BucketIndex index_;  // ref: entry + 1
  PacketPool pool_;
  std::vector<std::uint32_t> loads_;  // datagrams by hash of source
  std::uint32_t free_ = kNone;
  std::uint32_t oldest_ = kNone;
  std::uint32_t newest_ = kNone;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_FRAGMENT_TABLE_H_
