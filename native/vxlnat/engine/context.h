// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Everything the stages work with: the tables, the counters, and for the
// packet in hand the time and where to send. Nothing here is about one packet.

#ifndef VXLNAT_ENGINE_CONTEXT_H_
#define VXLNAT_ENGINE_CONTEXT_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "engine/accounts.h"
#include "engine/config.h"
#include "engine/flow_table.h"
#include "engine/fragment_table.h"
#include "engine/hash.h"
#include "engine/one_to_one.h"
#include "engine/packet.h"
#include "engine/path_mtu.h"
#include "engine/rate_limit.h"
#include "engine/recover.h"
#include "engine/remote_table.h"
#include "engine/rule_table.h"
#include "engine/shared_tables.h"
#include "engine/stats.h"
#include "engine/tap.h"
#include "engine/verdict.h"

namespace vxlnat {

// Memory of the engine's own, when nobody gave any.
struct FreeAligned {
  void operator()(std::uint8_t* memory) const {
    ::operator delete[](memory, std::align_val_t{64});
  }
};
using OwnedMemory = std::unique_ptr<std::uint8_t[], FreeAligned>;

struct Context {
  Context(const EngineConfig& engine_config, OwnedMemory own,
          const SharedTables& tables)
      : config(engine_config),
        key(hash_key(engine_config.seed)),
        memory(std::move(own)),
        layout(*tables.layout),
        vnet_counts(tables.vnet_counts),
        public_counts(tables.public_counts),
        ours(tables.ours),
        filter_shift(
            static_cast<unsigned>(32 - std::countr_zero(layout.ours.count))),
        ip_ids(tables.ip_ids),
        random(key),
        rules(tables.rules, config, stats),
        one_to_ones(tables.one_to_ones, config, key, stats),
        accounts(tables.flows.rules, config, key, now),
        flows(tables.flows, config, key, stats, accounts),
        remotes(tables.remotes, config, key, stats),
        fragments(config, key, stats),
        icmp_limit(key, 10, 32),
        scan_limit(key, 20, 256),
        vnet_drops(config.max_vnets),
        events(now),
        taps(*this) {
    stats.vnet_drops = &vnet_drops;
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Verdict drop(Packet& packet, Drop reason) {
    return vxlnat::drop(stats, packet, reason);
  }

  // Whether a datagram sent to `ip` is for us.
  bool serves(Ip4 ip) const {
    if (layout.ul3_count == 0) return true;
    if (ip == 0) return false;
    const Ip4* const end = layout.ul3s + layout.ul3_count;
    return std::find<const Ip4*>(layout.ul3s, end, ip) != end;
  }

  // Whether the last UL3 was taken away: nothing passes, everything stays.
  bool is_shut() const { return layout.ul3_count == 1 && layout.ul3s[0] == 0; }

  // Public addresses are held in the filter once for each rule and entry.
  void hold_public(Ip4 ip) { ours[filter_slot(ip)]++; }
  void drop_public(Ip4 ip) { ours[filter_slot(ip)]--; }
  // False when `ip` is surely no public address of ours; spares the packets
  // that leave two look-ups.
  bool maybe_ours(Ip4 ip) const { return ours[filter_slot(ip)] != 0; }
  [[gnu::always_inline]] void prefetch_filter(Ip4 ip) const {
    __builtin_prefetch(&ours[filter_slot(ip)]);
  }

  // The next IP identifier for datagrams that may be fragmented, so that
  // hosts behind one address do not collide (RFC 6864 section 5.3.1). The
  // counters are shared with the fast path.
  std::uint16_t next_ip_id(Ip4 src, Ip4 dst, std::uint8_t proto) {
    std::uint32_t& counter =
        ip_ids[hash16(key, std::uint64_t{src} << 32 | dst, proto) %
               VXLNAT_IP_IDS];
    return static_cast<std::uint16_t>(
        std::atomic_ref(counter).fetch_add(1, std::memory_order_relaxed));
  }

  // The slot of an address in `ours`; a power of two of them.
  std::size_t filter_slot(Ip4 ip) const {
    return (ip * 0x9e3779b1u) >> filter_shift;
  }
  // An inner packet is translated.
  void count_out(std::uint32_t vnet_slot, std::uint32_t public_slot,
                 std::size_t bytes) {
    if (dry) return;
    for (vxlnat_counts* row :
         {&vnet_counts[vnet_slot], &public_counts[public_slot]}) {
      row->packets_out++;
      row->bytes_out += bytes;
    }
  }
  void count_in(std::uint32_t vnet_slot, std::uint32_t public_slot,
                std::size_t bytes) {
    if (dry) return;
    for (vxlnat_counts* row :
         {&vnet_counts[vnet_slot], &public_counts[public_slot]}) {
      row->packets_in++;
      row->bytes_in += bytes;
    }
  }
  // The same by a 1:1 entry, which counts for itself.
  void count_out(std::uint32_t vnet_slot, vxlnat_one_to_one& entry,
                 std::size_t bytes) {
    if (dry) return;
    vnet_counts[vnet_slot].packets_out++;
    vnet_counts[vnet_slot].bytes_out += bytes;
    add_to(entry.packets_out, 1);
    add_to(entry.bytes_out, bytes);
  }
  void count_in(std::uint32_t vnet_slot, vxlnat_one_to_one& entry,
                std::size_t bytes) {
    if (dry) return;
    vnet_counts[vnet_slot].packets_in++;
    vnet_counts[vnet_slot].bytes_in += bytes;
    add_to(entry.packets_in, 1);
    add_to(entry.bytes_in, bytes);
  }
  static void add_to(std::uint64_t& shared, std::uint64_t by) {
    std::atomic_ref(shared).fetch_add(by, std::memory_order_relaxed);
  }
  // Slots that are another's from now on begin at zero.
  void reset_fresh() {
    for (const std::uint32_t slot : rules.take_fresh_vnets()) {
      for (std::uint32_t row = 0; row < config.rows; row++) {
        vnet_counts[std::size_t{config.max_vnets} * row + slot] = {};
      }
      flows.reset_vnet(slot);
      accounts.vnet(slot).pace = {};
      vnet_drops.reset(slot);
    }
    for (const std::uint32_t slot : rules.take_fresh_publics()) {
      for (std::uint32_t row = 0; row < config.rows; row++) {
        public_counts[std::size_t{config.max_rules} * row + slot] = {};
      }
      flows.reset_public(slot);
    }
  }

  // The source of what is not an answer; 0 when no UL3 of ours is known.
  Ip4 first_ul3() const { return layout.ul3_count == 0 ? 0 : layout.ul3s[0]; }

  const EngineConfig config;
  const HashKey key;
  const OwnedMemory memory;
  vxlnat_layout& layout;
  vxlnat_counts* const vnet_counts;    // row 0, by vnet slot
  vxlnat_counts* const public_counts;  // row 0, by public slot
  std::uint32_t* const ours;
  const unsigned filter_shift;
  std::uint32_t* const ip_ids;
  Stats stats;
  Random random;
  RuleTable rules;
  OneToOneTable one_to_ones;
  Accounts accounts;
  FlowTable flows;
  RemoteTable remotes;
  FragmentTable fragments;
  PathMtu paths;
  RateLimit icmp_limit;
  RateLimit scan_limit;  // by vnet: searches for a port that take long
  VnetDrops vnet_drops;
  EventLog events;  // stats.events while it is open
  Taps taps;
  Inherited inherited;
  // Where replies and pieces are made; one user at a time.
  std::array<std::uint8_t, kHeadroom + 9216> scratch{};

  // A packet passes that must leave no trace (explain.cc).
  bool dry = false;
  // The taps while any is open, else null.
  Taps* look = nullptr;

  // For the packet in hand.
  std::uint32_t port_tries = 0;  // looked at for a new flow; for stories
  Tick now = 0;
  Outbox* out = nullptr;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_CONTEXT_H_
