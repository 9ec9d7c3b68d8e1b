// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Entries by age and held packets; see fragment_table.h.

#include "engine/fragment_table.h"

#include <algorithm>

namespace vxlnat {

FragmentTable::FragmentTable(const EngineConfig& config, const HashKey& key,
                             Stats& stats)
    : key_(key),
      stats_(stats),
      lifetime_(config.timers.fragment),
      per_source_(std::max(1u, config.max_fragments / 8)),
      entries_(config.max_fragments),
      buckets_(BucketIndex::buckets_for(config.max_fragments)),
      index_(buckets_.data(), buckets_.size()),
      pool_(config.max_held, std::max<std::size_t>(config.inner_mtu, 1500)),
      loads_(256) {
  for (std::uint32_t i = config.max_fragments; i-- > 0;) {
    entries_[i].next = free_;
    free_ = i;
  }
}

Fragment* FragmentTable::find(const FragmentKey& key, Tick now) {
  const std::uint32_t ref = index_.find(
      hash(key), [&](std::uint32_t r) { return entries_[r - 1].key == key; });
  if (ref == 0) return nullptr;
  Fragment& entry = entries_[ref - 1];
  if (now - entry.since < lifetime_) return &entry;
  // Entries older than this one are expired too.
  (void)sweep(now, entries_.size());
  return nullptr;
}

Fragment* FragmentTable::add(const FragmentKey& key, Tick now) {
  if (free_ == kNone) (void)sweep(now, 1);
  if (free_ == kNone || load(key) >= per_source_) return nullptr;
  const std::uint32_t index = free_;
  Fragment& entry = entries_[index];
  free_ = entry.next;
  entry = Fragment{};
  entry.key = key;
  entry.used = true;
  entry.since = now;
  (newest_ == kNone ? oldest_ : entries_[newest_].next) = index;
  newest_ = index;
  index_.insert(hash(key), index + 1);
  load(key)++;
  stats_.fragments.set(stats_.fragments.read() + 1);
  return &entry;
}

Verdict FragmentTable::hold(const FragmentKey& key, Packet& packet, Tick now) {
  Fragment* entry = find(key, now);
  if (entry == nullptr) entry = add(key, now);
  const std::uint32_t slot =
      entry == nullptr || entry->held >= kHoldEach ? kNone : pool_.keep(packet);
  if (slot == kNone) return drop(stats_, packet, Drop::kFragmentLimit);
  (entry->held_first == kNone ? entry->held_first
                              : pool_.next(entry->held_last)) = slot;
  entry->held_last = slot;
  entry->held++;
  stats_.kept.add();
  return Verdict::done();
}

std::uint32_t FragmentTable::take(Fragment& entry) {
  const std::uint32_t slot = entry.held_first;
  if (slot == kNone) return kNone;
  entry.held_first = pool_.next(slot);
  entry.held--;
  return slot;
}

void FragmentTable::remove_oldest() {
  const std::uint32_t index = oldest_;
  Fragment& entry = entries_[index];
  for (std::uint32_t slot; (slot = take(entry)) != kNone;) {
    (void)drop(stats_, pool_.at(slot), Drop::kFragmentTimeout);
    pool_.release(slot);
  }
  oldest_ = entry.next;
  if (oldest_ == kNone) newest_ = kNone;
  index_.remove(hash(entry.key), index + 1);
  load(entry.key)--;
  entry.used = false;
  entry.next = free_;
  free_ = index;
  stats_.fragments.set(stats_.fragments.read() - 1);
}

bool FragmentTable::sweep(Tick now, std::size_t budget) {
  while (oldest_ != kNone && now - entries_[oldest_].since >= lifetime_) {
    if (budget-- == 0) return true;
    remove_oldest();
  }
  return false;
}

}  // namespace vxlnat
