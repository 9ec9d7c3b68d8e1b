// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// hash16 for many keys at a time, four in one vector where the processor has
// them: a burst's hashes then cost a third. Same results everywhere.

#include <cstring>

#include "engine/hash.h"

namespace vxlnat {

namespace {

#if defined(__x86_64__)
using Four = std::uint64_t __attribute__((vector_size(32)));

// Macros, because a vector may not pass between functions that are compiled
// for different processors.
#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define ROUND(v0, v1, v2, v3) \
  do {                        \
    v0 += v1;                 \
    v1 = ROTATE(v1, 13) ^ v0; \
    v0 = ROTATE(v0, 32);      \
    v2 += v3;                 \
    v3 = ROTATE(v3, 16) ^ v2; \
    v0 += v3;                 \
    v3 = ROTATE(v3, 21) ^ v0; \
    v2 += v1;                 \
    v1 = ROTATE(v1, 17) ^ v2; \
    v2 = ROTATE(v2, 32);      \
  } while (false)

#define HASH_FOURS(name, processor)                                       \
  __attribute__((target(processor))) void name(                           \
      const HashKey& key, const std::uint64_t* a, const std::uint64_t* b, \
      std::uint64_t* out, std::size_t fours) {                            \
    for (; fours > 0; fours--, a += 4, b += 4, out += 4) {                \
      Four first, second;                                                 \
      std::memcpy(&first, a, sizeof first);                               \
      std::memcpy(&second, b, sizeof second);                             \
      Four v0 = Four{} + (key.k0 ^ hash_detail::kStart[0]);               \
      Four v1 = Four{} + (key.k1 ^ hash_detail::kStart[1]);               \
      Four v2 = Four{} + (key.k0 ^ hash_detail::kStart[2]);               \
      Four v3 = (Four{} + (key.k1 ^ hash_detail::kStart[3])) ^ first;     \
      ROUND(v0, v1, v2, v3);                                              \
      v0 ^= first;                                                        \
      v3 ^= second;                                                       \
      ROUND(v0, v1, v2, v3);                                              \
      v0 ^= second;                                                       \
      v2 ^= Four{} + 0xff;                                                \
      ROUND(v0, v1, v2, v3);                                              \
      ROUND(v0, v1, v2, v3);                                              \
      ROUND(v0, v1, v2, v3);                                              \
      v0 ^= v1 ^ v2 ^ v3;                                                 \
      std::memcpy(out, &v0, sizeof v0);                                   \
    }                                                                     \
  }

HASH_FOURS(fours_by_avx512, "avx512vl")
HASH_FOURS(fours_by_avx2, "avx2")

#undef HASH_FOURS
#undef ROUND
#undef ROTATE

using Fours = void (*)(const HashKey&, const std::uint64_t*,
                       const std::uint64_t*, std::uint64_t*, std::size_t);

Fours best() {
  if (__builtin_cpu_supports("avx512vl")) return fours_by_avx512;
  if (__builtin_cpu_supports("avx2")) return fours_by_avx2;
  return nullptr;
}
#endif

}  // namespace

void hash16_many(const HashKey& key, const std::uint64_t* a,
                 const std::uint64_t* b, std::uint64_t* out,
                 std::size_t count) {
  std::size_t done = 0;
#if defined(__x86_64__)
  static const Fours fours = best();
  if (fours != nullptr) {
    fours(key, a, b, out, count / 4);
    done = count / 4 * 4;
  }
#endif
  for (; done < count; done++) out[done] = hash16(key, a[done], b[done]);
}

}  // namespace vxlnat
