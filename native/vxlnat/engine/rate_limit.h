// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A token bucket for each destination, roughly: destinations share buckets by
// a keyed hash. It limits what the engine sends of its own accord, per
// destination and never in all, so that a flood cannot silence what another
// host needs (facts: nat-behaviour I11, M5; RFC 1812 section 4.3.2.8). Costly
// work is limited by vnet in the same way.

#ifndef VXLNAT_ENGINE_RATE_LIMIT_H_
#define VXLNAT_ENGINE_RATE_LIMIT_H_

#include <algorithm>
#include <vector>

#include "engine/hash.h"
#include "engine/types.h"

namespace vxlnat {

class RateLimit {
 public:
  // One in `every` milliseconds, and `burst` at once.
  RateLimit(const HashKey& key, Tick every, Tick burst)
      : key_(key), every_(every), burst_(burst), buckets_(kBuckets) {}

  // Whether one more may go to {realm, ip} now.
  bool allow(std::uint32_t realm, Ip4 ip, Tick now) {
    Bucket& bucket = buckets_[hash16(key_, realm, ip) % kBuckets];
    const Tick due = std::max(bucket.due, now);
    if (due - now > burst_ * every_) return false;
    bucket.due = due + every_;
    return true;
  }

 private:
  static constexpr std::size_t kBuckets = 4096;

  struct Bucket {
    Tick due = 0;  // when the last one sent is paid for
  };

  HashKey key_;
  Tick every_;
  Tick burst_;
  std::vector<Bucket> buckets_;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_RATE_LIMIT_H_
