// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The vnets this zone knows and their SNAT rules. A vnet exists as long as it
// has a rule. The rules of a vnet are a list, longest prefix first: few, and
// looked through only for a new flow, an answer of the router, or an error.
//
// A removed rule is dying until no flow refers to it: its slot, and its
// vnet's, are used again only after FlowTable has walked all flows
// (begin_reap, end_reap), so a flow can never be taken for another rule's.

#ifndef VXLNAT_ENGINE_RULE_TABLE_H_
#define VXLNAT_ENGINE_RULE_TABLE_H_

#include <cstdint>
#include <vector>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/layout.h"
#include "engine/stats.h"

namespace vxlnat {

enum class RuleState : std::uint32_t { kFree, kLive, kDying };

inline constexpr std::uint32_t kNoSlot = 0xffffffff;

struct Vnet {
  Vni vni = 0;
  std::uint32_t first_rule = kNoSlot;
  std::uint32_t live_rules = 0;
  std::uint32_t all_rules = 0;  // with the dying ones
  std::uint32_t next_free = kNoSlot;
  std::uint64_t router_bits = 0;  // which router addresses there may be
};

class RuleTable {
 public:
  struct Memory {
    vxlnat_rule* rules;
    vxlnat_bucket* public_buckets;
    std::uint64_t public_bucket_count;
    vxlnat_public* publics;
  };

  RuleTable(const Memory& memory, const EngineConfig& config, Stats& stats);

  // Slot of a vnet with rules, or kNoSlot.
  std::uint32_t find_vnet(Vni vni) const;
  Vnet& vnet(std::uint32_t slot) { return vnets_[slot]; }

  // Any rule of a vnet that has one.
  std::uint32_t first_rule(std::uint32_t vnet_slot) const {
    return vnets_[vnet_slot].first_rule;
  }

  // The rule with the longest prefix that covers `ip`, or kNoSlot.
  std::uint32_t match(std::uint32_t vnet_slot, Ip4 ip) const {
    return match_from(vnets_[vnet_slot].first_rule, ip);
  }
  // The rule that would cover all that `rule` covers if that were not there,
  // or kNoSlot.
  std::uint32_t around(std::uint32_t rule) const;
  // The rule whose router has the address `ip`, or kNoSlot.
  std::uint32_t router(std::uint32_t vnet_slot, Ip4 ip) const;
  // Whether any router of the vnet has this MAC.
  bool is_router_mac(std::uint32_t vnet_slot, Mac mac) const;
  std::uint32_t find(Vni vni, const Prefix& prefix) const;
  const vxlnat_rule& at(std::uint32_t rule) const { return rules_[rule]; }
  bool is_live(std::uint32_t rule) const {
    return rules_[rule].state == static_cast<std::uint32_t>(RuleState::kLive);
  }
  // Whether a rule remembered by a packet that waited is still that vnet's.
  bool is_live_in(std::uint32_t rule, Vni vni) const {
    return is_live(rule) && rules_[rule].vni == vni;
  }
  bool is_public(Ip4 ip) const { return find_public(ip) != 0; }

  void prefetch(std::uint32_t rule) const { __builtin_prefetch(&rules_[rule]); }

  // Adds a rule whose {vnet, prefix} is not there; null or why not.
  const char* add(const SetRule& rule);
  // Changes router and VLAN of a rule; its flows live on.
  void update(std::uint32_t rule, const SetRule& to);
  void remove(std::uint32_t rule);

  // Whether rules wait for a walk over the flows, and its bounds.
  bool reap_wanted() const { return dying_ != kNoSlot; }
  void begin_reap();
  void end_reap();

 private:
  // Vnets and public addresses are chosen by operators, so nobody makes them
  // collide and a plain mix will do.
  static std::uint64_t hash(std::uint64_t value) {
    value *= 0x9e3779b97f4a7c15;
    return value ^ value >> 29;
  }
  std::uint32_t match_from(std::uint32_t rule, Ip4 ip) const;
  std::uint32_t find_public(Ip4 ip) const;
  std::uint32_t make_vnet(Vni vni);
  std::uint32_t hold_public(Ip4 ip);
  void drop_public(Ip4 ip);
  void link(std::uint32_t rule);
  void unlink(std::uint32_t rule);
  void learn_routers(std::uint32_t vnet_slot);
  static std::uint64_t router_bit(Ip4 ip) {
    return std::uint64_t{1} << ((ip ^ ip >> 6 ^ ip >> 12) & 63);
  }

  vxlnat_rule* rules_;
  vxlnat_public* publics_;
  Stats& stats_;
  std::vector<Vnet> vnets_;
  std::vector<vxlnat_bucket> vnet_buckets_;
  BucketIndex vnet_index_;    // ref: slot + 1
  BucketIndex public_index_;  // ref: slot + 1
  std::uint32_t free_rule_ = kNoSlot;
  std::uint32_t free_vnet_ = kNoSlot;
  std::uint32_t free_public_ = kNoSlot;
  std::uint32_t dying_ = kNoSlot;    // wait for a walk to begin
  std::uint32_t reaping_ = kNoSlot;  // wait for the walk to end
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_RULE_TABLE_H_
