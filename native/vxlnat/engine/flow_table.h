// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The flows: each a record found by its inside key and by its outside key.
//
// Expiry is exact where it matters and lazy elsewhere. A look-up never gives
// an expired flow: it ends it first (B11). What nobody looks up is found by a
// hand that goes round the records, a few at each `sweep`. A packet so writes
// `last_seen` and nothing else, which a BPF program can do too, each rule may
// have its own idle times, and a flow needs no place in any list. A flow whose
// rule is no longer live is dead: look-ups end it, and `reap` walks the table
// once to find the rest.
//
// An ended TCP flow keeps its outside tuple for the quarantine time (T13)
// unless closing took at least that long. Quarantined records are room that
// may be taken when the table is full; live ones are never evicted (D7).

#ifndef VXLNAT_ENGINE_FLOW_TABLE_H_
#define VXLNAT_ENGINE_FLOW_TABLE_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/accounts.h"
#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/flow_state.h"
#include "engine/hash.h"
#include "engine/inspect.h"
#include "engine/layout.h"
#include "engine/port_maps.h"
#include "engine/rule_table.h"
#include "engine/stats.h"

namespace vxlnat {

struct FlowKey {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  bool operator==(const FlowKey&) const = default;
};

inline FlowKey inside_key(Vni vni, std::uint8_t proto, Ip4 private_ip,
                          std::uint16_t private_port, Ip4 remote_ip,
                          std::uint16_t remote_port) {
  return {std::uint64_t{vni << 8 | proto} << 32 | private_ip,
          std::uint64_t{remote_ip} << 32 |
              static_cast<std::uint32_t>(private_port << 16) | remote_port};
}

inline FlowKey outside_key(std::uint8_t proto, Ip4 public_ip,
                           std::uint16_t public_port, Ip4 remote_ip,
                           std::uint16_t remote_port) {
  return {std::uint64_t{proto} << 32 | public_ip,
          std::uint64_t{remote_ip} << 32 |
              static_cast<std::uint32_t>(public_port << 16) | remote_port};
}

inline FlowKey inside_key(const vxlnat_flow& f) {
  return {std::uint64_t{f.vni_proto} << 32 | f.private_ip,
          std::uint64_t{f.remote_ip} << 32 |
              static_cast<std::uint32_t>(f.private_port << 16) | f.remote_port};
}

inline FlowKey outside_key(const vxlnat_flow& f) {
  return {std::uint64_t{f.vni_proto & 0xff} << 32 | f.public_ip,
          std::uint64_t{f.remote_ip} << 32 |
              static_cast<std::uint32_t>(f.public_port << 16) | f.remote_port};
}

class FlowTable {
 public:
  struct Memory {
    vxlnat_bucket* buckets;
    std::uint64_t bucket_count;
    vxlnat_flow* flows;
    const vxlnat_rule* rules;
    const vxlnat_timers* timers;
  };

  FlowTable(const Memory& memory, const EngineConfig& config,
            const HashKey& key, Stats& stats, Accounts& accounts);

  // The flow, live or in quarantine, or null. Ends what is expired or dead.
  // `known_hash` spares computing the key's hash.
  vxlnat_flow* find_inside(const FlowKey& key, Tick now,
                           std::uint64_t known_hash = 0) {
    return at_inside(known_hash != 0 ? known_hash : hash(key), key, now);
  }
  vxlnat_flow* find_outside(const FlowKey& key, Tick now) {
    return at_outside(hash(key), key, now);
  }
  // The same, but live only.
  vxlnat_flow* live_inside(const FlowKey& key, Tick now,
                           std::uint64_t known_hash = 0);
  vxlnat_flow* live_outside(const FlowKey& key, Tick now,
                            std::uint64_t known_hash = 0);

  // The record of a key, whatever its state, or null. Changes nothing.
  vxlnat_flow* peek_inside(const FlowKey& key) {
    for (vxlnat_flow& each : copies()) {
      if (inside_key(each) == key) return &each;
    }
    return record(ref_inside(hash(key), key));
  }
  vxlnat_flow* peek_outside(const FlowKey& key) {
    for (vxlnat_flow& each : copies()) {
      if (outside_key(each) == key) return &each;
    }
    return record(ref_outside(hash(key), key));
  }

  // While dry, look-ups give copies, flows that are made or ended are so in
  // copies only, and the table stays as it is (explain.cc).
  void set_dry(bool dry) {
    dry_ = dry;
    copies_used_ = 0;
  }

  // Whether there is a record for one more flow.
  bool make_room(Tick now);
  // Makes a flow from the key fields, rule, flags and state of `like`; its
  // outside key is not in use. Null when the table is full of live flows.
  vxlnat_flow* add(const vxlnat_flow& like, Tick now,
                   std::uint64_t inside_hash = 0);
  // Takes over a flow as another table had it; false when there is no room or
  // one of its keys is in use.
  bool restore(const vxlnat_flow& flow, Tick now);
  // A packet of the flow went by.
  static void seen(vxlnat_flow& flow, Tick now) {
    flow.last_seen = static_cast<std::uint32_t>(now);
  }
  void set_state(vxlnat_flow& flow, FlowState state);
  // Ends a live flow: into quarantine, or out of the table.
  void end(vxlnat_flow& flow, Tick now);

  // Takes a record in quarantine out of the table.
  void forget(vxlnat_flow& flow) {
    if (dry_) {
      flow.state = static_cast<std::uint8_t>(FlowState::kFree);
    } else {
      release(index_of(flow));
    }
  }

  // Ends expired flows among the next `budget` records of the round; true when
  // it stopped short because many ended.
  bool sweep(Tick now, std::size_t budget);
  // Begins a walk that ends every flow of a rule that is not live.
  void begin_reap() { reap_at_ = 0; }
  bool reaping() const { return reap_at_ < size_; }
  // Walks on; false when the walk has ended.
  bool reap(std::size_t budget);

  // Whether a flow towards the remote has the public port.
  bool port_in_use(const PortMapKey& key, std::uint16_t port, Tick now);
  // Which ports are taken towards remotes with few free ones.
  PortMaps& maps() { return maps_; }

  // What a vnet or a public address has had of flows, by slot.
  const Tally& vnet_tally(std::uint32_t slot) const {
    return vnet_tallies_[slot];
  }
  const Tally& public_tally(std::uint32_t slot) const {
    return public_tallies_[slot];
  }
  void reset_vnet(std::uint32_t slot) { vnet_tallies_[slot] = {}; }
  void reset_public(std::uint32_t slot) { public_tallies_[slot] = {}; }
  std::uint32_t size() const { return size_; }
  const vxlnat_flow& at(std::uint32_t index) const { return flows_[index]; }
  vxlnat_flow& at(std::uint32_t index) { return flows_[index]; }
  bool is_dead(const vxlnat_flow& flow) const {
    return rules_[flow.rule].state !=
           static_cast<std::uint32_t>(RuleState::kLive);
  }
  // Whether a look-up would give this flow, which is not free, as it is.
  bool is_current(const vxlnat_flow& flow, Tick now) const {
    return !is_dead(flow) && idle(flow, now) < timeout(flow);
  }
  // The fast path reads a clock of its own and may be ahead of `now`, which is
  // a burst old: a flow seen up to a minute from now has not been idle.
  static std::uint32_t idle(const vxlnat_flow& flow, Tick now) {
    constexpr std::uint32_t kAhead = 0xffff0000;
    const std::uint32_t time = static_cast<std::uint32_t>(now) - flow.last_seen;
    return time >= kAhead ? 0 : time;
  }
  std::uint32_t timeout(const vxlnat_flow& flow) const {
    const auto state = static_cast<FlowState>(flow.state);
    return timers_[rules_[flow.rule].timers]
        .ms[static_cast<std::size_t>(timer_class(state))];
  }

  std::uint64_t hash(const FlowKey& key) const {
    return hash16(key_, key.a, key.b);
  }
  [[gnu::always_inline]] void prefetch(std::uint64_t key_hash) const {
    index_.prefetch(key_hash);
  }
  // Perhaps the flow of a hash, for prefetching; or null.
  vxlnat_flow* candidate(std::uint64_t key_hash) const {
    const std::uint32_t ref = index_.candidate(key_hash);
    return ref == 0 ? nullptr : &flows_[ref / 2 - 1];
  }

 private:
  // Records looked at for a place when no record is free.
  static constexpr std::uint32_t kLookForRoom = 64;
  // A record that goes costs as much as looking at so many.
  static constexpr std::size_t kReleaseCost = 128;
  static constexpr std::uint32_t kSweepAhead = 16;
  static constexpr std::uint32_t kNone = 0xffffffff;

  std::uint32_t ref_inside(std::uint64_t key_hash, const FlowKey& key) const {
    return index_.find(key_hash, [&](std::uint32_t r) {
      return (r & 1) == 1 && inside_key(flows_[r / 2 - 1]) == key;
    });
  }
  std::uint32_t ref_outside(std::uint64_t key_hash, const FlowKey& key) const {
    return index_.find(key_hash, [&](std::uint32_t r) {
      return (r & 1) == 0 && outside_key(flows_[r / 2 - 1]) == key;
    });
  }
  vxlnat_flow* record(std::uint32_t ref) const {
    return ref == 0 ? nullptr : &flows_[ref / 2 - 1];
  }
  vxlnat_flow* at_inside(std::uint64_t key_hash, const FlowKey& key, Tick now);
  vxlnat_flow* at_outside(std::uint64_t key_hash, const FlowKey& key, Tick now);
  vxlnat_flow* checked(std::uint32_t ref, Tick now);
  template <typename SameKey>
  vxlnat_flow* copy(const vxlnat_flow* flow, Tick now, SameKey&& same_key);
  vxlnat_flow& next_copy() {
    if (copies_used_ == copies_.size()) copies_used_--;
    return copies_[copies_used_++];
  }
  std::span<vxlnat_flow> copies() { return {copies_.data(), copies_used_}; }
  void end_copy(vxlnat_flow& flow, Tick now) const;
  std::uint32_t hold_time(const vxlnat_flow& flow, Tick now) const;
  std::uint32_t quarantine(const vxlnat_flow& flow) const;
  bool is_expired(const vxlnat_flow& flow, Tick now) const;
  vxlnat_flow* put(const vxlnat_flow& like, Tick now,
                   std::uint64_t inside_hash);
  void look_ahead(Tick now) const;
  // Ends what is over at the hand and moves on; true when it gave a record.
  bool step(Tick now);
  // A flow has begun or ends to be live.
  void tell(const vxlnat_flow& flow, bool live);
  void release(std::uint32_t index);
  std::uint32_t index_of(const vxlnat_flow& flow) const {
    return static_cast<std::uint32_t>(&flow - flows_);
  }

  BucketIndex index_;
  vxlnat_flow* flows_;
  const vxlnat_rule* rules_;
  std::uint32_t size_;
  const vxlnat_timers* timers_;
  HashKey key_;
  Stats& stats_;
  Accounts& accounts_;
  std::uint32_t free_ = kNone;
  std::uint32_t hand_ = 0;
  std::uint32_t reap_at_;
  std::vector<Tally> vnet_tallies_;
  std::vector<Tally> public_tallies_;
  PortMaps maps_;
  // A packet meets at most its own flow, a new one, and a hairpin's.
  std::array<vxlnat_flow, 4> copies_{};
  std::uint32_t copies_used_ = 0;
  bool dry_ = false;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_FLOW_TABLE_H_
