// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The 1:1 entries: {vnet, private IP} <-> public IP, found from both sides.
// Stateless: an entry is all there is to know (facts: nat-behaviour A2). The
// entries of a rule are a list, so that a change of a rule looks at no other.

#ifndef VXLNAT_ENGINE_ONE_TO_ONE_H_
#define VXLNAT_ENGINE_ONE_TO_ONE_H_

#include <cstdint>
#include <vector>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/hash.h"
#include "engine/layout.h"
#include "engine/stats.h"

namespace vxlnat {

class OneToOneTable {
 public:
  static constexpr Vni kOutside = 0xffffffff;  // no vnet has this number

  struct Memory {
    vxlnat_bucket* buckets;
    std::uint64_t bucket_count;
    vxlnat_one_to_one* entries;
  };

  OneToOneTable(const Memory& memory, const EngineConfig& config,
                const HashKey& key, Stats& stats)
      : index_(memory.buckets, memory.bucket_count),
        entries_(memory.entries),
        size_(config.max_one_to_ones),
        key_(key),
        stats_(stats),
        first_(config.max_rules, kNone) {
    for (std::uint32_t i = size_; i-- > 0;) {
      entries_[i].next = free_;
      free_ = i;
    }
  }

  // `known_hash` spares computing the key's hash; 0 when it is not known.
  vxlnat_one_to_one* find_private(Vni vni, Ip4 ip,
                                  std::uint64_t known_hash = 0) const {
    const std::uint64_t h = known_hash != 0 ? known_hash : hash(vni, ip);
    return by_ref(index_.find(h, [&](std::uint32_t ref) {
      const vxlnat_one_to_one& entry = entries_[ref / 2 - 1];
      return (ref & 1) == 1 && entry.private_ip == ip && entry.vni == vni;
    }));
  }

  vxlnat_one_to_one* find_public(Ip4 ip, std::uint64_t known_hash = 0) const {
    const std::uint64_t h = known_hash != 0 ? known_hash : hash(kOutside, ip);
    return by_ref(index_.find(h, [&](std::uint32_t ref) {
      return (ref & 1) == 0 && entries_[ref / 2 - 1].public_ip == ip;
    }));
  }

  // Adds an entry of which neither side is there, covered by `rule`; null
  // when full.
  vxlnat_one_to_one* add(const SetOneToOne& from, std::uint32_t rule) {
    if (free_ == kNone) return nullptr;
    const std::uint32_t index = free_;
    vxlnat_one_to_one& entry = entries_[index];
    free_ = entry.next;
    entry = vxlnat_one_to_one{};
    entry.vni = from.vnet;
    entry.private_ip = from.private_ip;
    entry.public_ip = from.public_ip;
    entry.vlan = from.vlan;
    entry.used = 1;
    link(index, rule);
    index_.insert(hash(entry.vni, entry.private_ip), (index + 1) * 2 + 1);
    index_.insert(hash(kOutside, entry.public_ip), (index + 1) * 2);
    stats_.one_to_ones.set(stats_.one_to_ones.read() + 1);
    return &entry;
  }

  void remove(vxlnat_one_to_one& entry) {
    const std::uint32_t index = index_of(entry);
    index_.remove(hash(entry.vni, entry.private_ip), (index + 1) * 2 + 1);
    index_.remove(hash(kOutside, entry.public_ip), (index + 1) * 2);
    unlink(index);
    entry.used = 0;
    entry.next = free_;
    free_ = index;
    stats_.one_to_ones.set(stats_.one_to_ones.read() - 1);
  }

  [[gnu::always_inline]] void prefetch(std::uint64_t key_hash) const {
    index_.prefetch(key_hash);
  }
  // Very likely the entry of a hash, or null.
  vxlnat_one_to_one* candidate(std::uint64_t key_hash) const {
    return by_ref(index_.candidate(key_hash));
  }
  std::uint32_t size() const { return size_; }
  vxlnat_one_to_one& at_index(std::uint32_t i) const { return entries_[i]; }
  std::uint32_t index_of(const vxlnat_one_to_one& entry) const {
    return static_cast<std::uint32_t>(&entry - entries_);
  }
  bool any_of(std::uint32_t rule) const { return first_[rule] != kNone; }

  // Rule `to` now covers those entries of rule `from` whose private address
  // has this prefix.
  void move(std::uint32_t from, std::uint32_t to, const Prefix& prefix) {
    for (std::uint32_t at = first_[from]; at != kNone;) {
      const std::uint32_t next = entries_[at].next;
      if (prefix.covers(entries_[at].private_ip)) {
        unlink(at);
        link(at, to);
      }
      at = next;
    }
  }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  std::uint64_t hash(Vni vni, Ip4 ip) const { return hash16(key_, vni, ip); }
  vxlnat_one_to_one* by_ref(std::uint32_t ref) const {
    return ref == 0 ? nullptr : &entries_[ref / 2 - 1];
  }

  void link(std::uint32_t index, std::uint32_t rule) {
    vxlnat_one_to_one& entry = entries_[index];
    entry.rule = rule;
    entry.prev = kNone;
    entry.next = first_[rule];
    if (entry.next != kNone) entries_[entry.next].prev = index;
    first_[rule] = index;
  }
  void unlink(std::uint32_t index) {
    const vxlnat_one_to_one& entry = entries_[index];
    (entry.prev == kNone ? first_[entry.rule] : entries_[entry.prev].next) =
        entry.next;
    if (entry.next != kNone) entries_[entry.next].prev = entry.prev;
  }

  BucketIndex index_;
  vxlnat_one_to_one* entries_;
  std::uint32_t size_;
  HashKey key_;
  Stats& stats_;
  std::uint32_t free_ = kNone;
  std::vector<std::uint32_t> first_;  // by rule
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_ONE_TO_ONE_H_
