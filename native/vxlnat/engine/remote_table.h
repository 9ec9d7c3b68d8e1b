// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Where inner addresses live: {vnet, IP} -> {MAC, UL3}, told by the control
// side alone; data packets teach nothing (facts: nat-behaviour X5). A packet
// for an address nobody has told yet waits here, and the address is put on a
// list of misses for the control side to take. An address is asked for again
// at most once a second, and given up after three.
//
// Bounds: kWaitEach packets wait for one address and max_waiting in all; the
// list of misses holds kMisses. A vnet may have kAskEach addresses asked for
// at a time and an eighth of the table for those that nobody knows, so that
// made-up addresses of one tenant leave room for the others'.

#ifndef VXLNAT_ENGINE_REMOTE_TABLE_H_
#define VXLNAT_ENGINE_REMOTE_TABLE_H_

#include <array>
#include <bit>
#include <span>
#include <vector>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/engine.h"
#include "engine/hash.h"
#include "engine/layout.h"
#include "engine/packet_pool.h"
#include "engine/verdict.h"

namespace vxlnat {

enum class RemoteState : std::uint8_t { kFree, kAsked, kKnown, kNotFound };

class RemoteTable {
 public:
  struct Memory {
    vxlnat_bucket* buckets;
    std::uint64_t bucket_count;
    vxlnat_remote* remotes;
  };

  RemoteTable(const Memory& memory, const EngineConfig& config,
              const HashKey& key, Stats& stats);

  // The place of an address, or null when it is not known. `known_hash` spares
  // computing the key's hash, which is that of the host's 1:1 entry.
  const vxlnat_remote* known(Vni vni, Ip4 ip) const {
    return known_at(hash(vni, ip), vni, ip);
  }
  const vxlnat_remote* known_at(std::uint64_t known_hash, Vni vni,
                                Ip4 ip) const {
    const vxlnat_remote* remote = find_at(known_hash, vni, ip);
    return remote != nullptr && is_known(*remote) ? remote : nullptr;
  }
  // The same by a guess (`hint`) alone; null also when the guess is wrong.
  const vxlnat_remote* guess(Vni vni, Ip4 ip, std::uint32_t hint) const {
    if (hint == 0 || hint > size_) return nullptr;
    const vxlnat_remote& at = remotes_[hint - 1];
    return at.ip == ip && at.vni == vni && is_known(at) ? &at : nullptr;
  }
  // The same with a guess that spares the look-up when it holds; sets it to
  // what is true.
  const vxlnat_remote* known(Vni vni, Ip4 ip, std::uint32_t& hint,
                             std::uint64_t known_hash = 0) const {
    const vxlnat_remote* remote = guess(vni, ip, hint);
    if (remote != nullptr) return remote;
    remote = known_at(known_hash != 0 ? known_hash : hash(vni, ip), vni, ip);
    hint = remote == nullptr ? 0 : index_of(*remote) + 1;
    return remote;
  }
  [[gnu::always_inline]] void prefetch(std::uint32_t hint) const {
    if (hint != 0) __builtin_prefetch(&remotes_[hint - 1]);
  }
  [[gnu::always_inline]] void prefetch_bucket(std::uint64_t key_hash) const {
    index_.prefetch(key_hash);
  }
  // While dry, nothing is kept and nobody is asked for (explain.cc).
  void set_dry(bool dry) { dry_ = dry; }
  // Keeps a translated packet for an unknown address and asks for it.
  Verdict wait(Packet& packet, Ip4 ip, Tick now);

  // Asks for a known address again, because a packet speaks against it.
  void doubt(Vni vni, Ip4 ip, Tick now);

  // Records an answer; null when the table is full. `take` then gives what
  // waited, one slot at a time; `at` its packet; `release` ends it.
  vxlnat_remote* set(const SetRemote& answer);
  std::uint32_t take(vxlnat_remote& remote);
  Packet& at(std::uint32_t slot) { return pool_.at(slot); }
  void release(std::uint32_t slot) { pool_.release(slot); }

  void not_found(Vni vni, Ip4 ip, Tick retry_at);
  void remove(Vni vni, Ip4 ip);
  // These look at the addresses of the vnet and a few others'.
  void remove_mac(Vni vni, Mac mac);
  void remove_vnet(Vni vni);

  // Gives up what was asked for too long ago; true when it hit the budget.
  bool sweep(Tick now, std::size_t budget);
  std::size_t take_misses(std::span<Miss> out);

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  static constexpr std::uint8_t kWaitEach = 4;
  static constexpr std::size_t kMisses = 1024;
  static constexpr Tick kAskAgain = 1000;
  static constexpr Tick kGiveUp = 3000;
  static constexpr std::uint32_t kAskEach = 256;

  struct Line {  // in order of entering
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
  };
  struct Unknown {
    std::uint32_t asked = 0;
    std::uint32_t not_found = 0;
  };

  static bool is_known(const vxlnat_remote& remote) {
    return remote.state == static_cast<std::uint8_t>(RemoteState::kKnown);
  }
  std::uint64_t hash(Vni vni, Ip4 ip) const { return hash16(key_, vni, ip); }
  vxlnat_remote* find(Vni vni, Ip4 ip) const {
    return find_at(hash(vni, ip), vni, ip);
  }
  vxlnat_remote* find_at(std::uint64_t key_hash, Vni vni, Ip4 ip) const;
  vxlnat_remote* add(Vni vni, Ip4 ip);
  void ask(vxlnat_remote& remote, Tick now);
  void begin_asking(vxlnat_remote& remote, Tick now);
  void enter(Line& line, vxlnat_remote& remote);
  void leave(Line& line, const vxlnat_remote& remote);
  bool may_ask(Vni vni);
  void set_state(vxlnat_remote& remote, RemoteState state);
  void drop_waiting(vxlnat_remote& remote, Drop reason);
  void erase(vxlnat_remote& remote, Drop reason);
  void link(std::uint32_t index);
  void unlink(const vxlnat_remote& remote);
  // Calls `visit` with each record of a vnet; it may erase that record.
  template <typename Visit>
  void each_of(Vni vni, Visit&& visit);
  std::size_t chain_of(Vni vni) const {
    return (vni * 0x9e3779b1u >> 7) & (first_.size() - 1);
  }
  std::uint32_t& first_of(Vni vni) { return first_[chain_of(vni)]; }
  Unknown& unknown_of(Vni vni) { return unknown_[chain_of(vni)]; }
  std::uint32_t index_of(const vxlnat_remote& remote) const {
    return static_cast<std::uint32_t>(&remote - remotes_);
  }

  BucketIndex index_;
  vxlnat_remote* remotes_;
  std::uint32_t size_;
  HashKey key_;
  Stats& stats_;
  PacketPool pool_;
  std::uint32_t free_ = kNone;
  std::vector<std::uint32_t> first_;  // by vnet, some share one
  std::vector<Unknown> unknown_;
  Line asked_;
  Line not_found_;
  std::array<Miss, kMisses> misses_{};
  std::size_t miss_at_ = 0;
  std::size_t miss_count_ = 0;
  bool dry_ = false;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_REMOTE_TABLE_H_
