// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Open addressing over 64-byte buckets (layout.h): a hash finds candidate
// references, the caller compares keys. An entry lies in its home bucket or,
// when that is full, in the first later one with room; each bucket passed
// over counts it in `overflow`, so a search ends at the first bucket with a
// count of 0 and removal leaves no tombstones. At most three slots in four
// are in use, so chains stay short.

#ifndef VXLNAT_ENGINE_BUCKET_INDEX_H_
#define VXLNAT_ENGINE_BUCKET_INDEX_H_

#include <atomic>
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "engine/layout.h"

namespace vxlnat {

class BucketIndex {
 public:
  // How many buckets `entries` need; a power of two.
  static std::uint64_t buckets_for(std::uint64_t entries) {
    std::uint64_t buckets = 4;
    while (buckets * 6 < entries) buckets *= 2;
    return buckets;
  }

  BucketIndex() = default;
  BucketIndex(vxlnat_bucket* buckets, std::uint64_t count)
      : buckets_(buckets), mask_(count - 1) {}

  // The reference for which `matches(ref)` holds, or 0.
  template <typename Matches>
  std::uint32_t find(std::uint64_t hash, Matches&& matches) const {
    const std::uint16_t tag = tag_of(hash);
    std::uint64_t at = hash & mask_;
    for (std::uint64_t steps = 0; steps <= mask_; steps++) {
      const vxlnat_bucket& bucket = buckets_[at];
      for (unsigned hits = tags_equal(bucket, tag); hits != 0;
           hits &= hits - 1) {
        const std::uint32_t ref = bucket.ref[__builtin_ctz(hits)];
        if (ref != 0 && matches(ref)) return ref;
      }
      if (bucket.overflow == 0) return 0;
      at = (at + 1) & mask_;
    }
    return 0;
  }

  // Adds a reference that is not there. There is room: see buckets_for.
  void insert(std::uint64_t hash, std::uint32_t ref) {
    std::uint64_t at = hash & mask_;
    for (std::uint64_t steps = 0; steps <= mask_; steps++) {
      vxlnat_bucket& bucket = buckets_[at];
      for (unsigned i = 0; i < 8; i++) {
        if (bucket.ref[i] != 0) continue;
        bucket.tag[i] = tag_of(hash);
        bucket.generation++;
        std::atomic_ref(bucket.ref[i]).store(ref, std::memory_order_release);
        return;
      }
      bucket.overflow++;
      at = (at + 1) & mask_;
    }
  }

  // Removes exactly this reference; another's entry is never touched (B7).
  void remove(std::uint64_t hash, std::uint32_t ref) {
    const std::uint64_t home = hash & mask_;
    std::uint64_t at = home;
    for (std::uint64_t steps = 0; steps <= mask_; steps++) {
      vxlnat_bucket& bucket = buckets_[at];
      for (unsigned i = 0; i < 8; i++) {
        if (bucket.ref[i] != ref) continue;
        std::atomic_ref(bucket.ref[i]).store(0, std::memory_order_release);
        bucket.generation++;
        for (; at != home; at = (at - 1) & mask_) {
          buckets_[(at - 1) & mask_].overflow--;
        }
        return;
      }
      if (bucket.overflow == 0) return;
      at = (at + 1) & mask_;
    }
  }

  // Always inline, as every function that only prefetches: GCC 12 takes it for
  // one without effect and leaves out a call of it.
  [[gnu::always_inline]] void prefetch(std::uint64_t hash) const {
    __builtin_prefetch(&buckets_[hash & mask_]);
  }
  // Very likely the reference of a hash, without comparing keys; or 0.
  std::uint32_t candidate(std::uint64_t hash) const {
    return find(hash, [](std::uint32_t) { return true; });
  }

 private:
  static std::uint16_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint16_t>(hash >> 48);
  }

  // One bit for each slot whose tag is equal.
  static unsigned tags_equal(const vxlnat_bucket& bucket, std::uint16_t tag) {
#if defined(__SSE2__)
    const __m128i tags =
        _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tag));
    const __m128i equal =
        _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<short>(tag)));
    const __m128i packed = _mm_packs_epi16(equal, _mm_setzero_si128());
    return static_cast<unsigned>(_mm_movemask_epi8(packed));
#else
    unsigned hits = 0;
    for (unsigned i = 0; i < 8; i++) {
      hits |= static_cast<unsigned>(bucket.tag[i] == tag) << i;
    }
    return hits;
#endif
  }

  vxlnat_bucket* buckets_ = nullptr;
  std::uint64_t mask_ = 0;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_BUCKET_INDEX_H_
