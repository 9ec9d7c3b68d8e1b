// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A keyed hash for the tables and a seeded source of random numbers. The hash
// is SipHash-1-3 over exactly 16 bytes, without the length word because all
// keys are equally long: who does not know the key cannot make collisions
// (facts: nat-behaviour S2), and a BPF program can compute it, for it needs
// only addition, rotation and exclusive or on 64 bits.

#ifndef VXLNAT_ENGINE_HASH_H_
#define VXLNAT_ENGINE_HASH_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace vxlnat {

struct HashKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

namespace hash_detail {
inline constexpr std::uint64_t kStart[4] = {
    0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261,
    0x7465646279746573};
inline void round(std::uint64_t (&v)[4]) {
  v[0] += v[1];
  v[1] = std::rotl(v[1], 13) ^ v[0];
  v[0] = std::rotl(v[0], 32);
  v[2] += v[3];
  v[3] = std::rotl(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = std::rotl(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = std::rotl(v[1], 17) ^ v[2];
  v[2] = std::rotl(v[2], 32);
}
}  // namespace hash_detail

inline std::uint64_t hash16(const HashKey& key, std::uint64_t a,
                            std::uint64_t b) {
  std::uint64_t v[4] = {
      key.k0 ^ hash_detail::kStart[0], key.k1 ^ hash_detail::kStart[1],
      key.k0 ^ hash_detail::kStart[2], key.k1 ^ hash_detail::kStart[3]};
  v[3] ^= a;
  hash_detail::round(v);
  v[0] ^= a;
  v[3] ^= b;
  hash_detail::round(v);
  v[0] ^= b;
  v[2] ^= 0xff;
  hash_detail::round(v);
  hash_detail::round(v);
  hash_detail::round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// Puts hash16(key, a[i], b[i]) into out[i].
void hash16_many(const HashKey& key, const std::uint64_t* a,
                 const std::uint64_t* b, std::uint64_t* out, std::size_t count);

inline HashKey hash_key(const std::array<std::uint8_t, 16>& seed) {
  HashKey key;
  for (unsigned i = 0; i < 8; i++) {
    key.k0 |= std::uint64_t{seed[i]} << (8 * i);
    key.k1 |= std::uint64_t{seed[8 + i]} << (8 * i);
  }
  return key;
}

// The keyed hash of a counter: unpredictable to who does not know the seed.
class Random {
 public:
  explicit Random(const HashKey& key) : key_(key) {}
  std::uint64_t next() { return hash16(key_, ++counter_, 0x72616e64); }
  // Evenly in [0, bound), bound > 0; the bias is below 2^-32.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((next() >> 32) * bound >> 32);
  }

 private:
  HashKey key_;
  std::uint64_t counter_ = 0;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_HASH_H_
