// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The vnets this zone knows and their SNAT rules. A vnet exists as long as it
// has a rule. The rules of a vnet are a list, longest prefix first: few, and
// looked through only for a new flow, an answer of the router, or an error.
//
// A rule with several public addresses has one record for each, its members.
// The first is the head: it alone is in the list of its vnet, and 1:1 entries
// and packets name it; a flow names the member whose address it uses. So an
// address that leaves the pool ends its own flows and no others.
//
// A removed rule is dying until no flow refers to it: its slot, and its
// vnet's, are used again only after FlowTable has walked all flows
// (begin_reap, end_reap), so a flow can never be taken for another rule's.

#ifndef VXLNAT_ENGINE_RULE_TABLE_H_
#define VXLNAT_ENGINE_RULE_TABLE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
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
  Limits limits;
};

class RuleTable {
 public:
  struct Memory {
    vxlnat_rule* rules;
    vxlnat_bucket* public_buckets;
    std::uint64_t public_bucket_count;
    vxlnat_public* publics;
    vxlnat_timers* timers;
  };

  RuleTable(const Memory& memory, const EngineConfig& config, Stats& stats);

  // Slot of a vnet with rules, or kNoSlot.
  std::uint32_t find_vnet(Vni vni) const;
  Vnet& vnet(std::uint32_t slot) { return vnets_[slot]; }
  const Vnet& vnet(std::uint32_t slot) const { return vnets_[slot]; }
  const vxlnat_public& public_at(std::uint32_t slot) const {
    return publics_[slot];
  }

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
  // False when `ip` is surely no router's in the vnet of `rule`.
  static bool may_be_router(const vxlnat_rule& rule, Ip4 ip) {
    return (rule.router_bits & router_bit(ip)) != 0;
  }
  // Whether any router of the vnet has this MAC.
  bool is_router_mac(std::uint32_t vnet_slot, Mac mac) const;
  std::uint32_t find(Vni vni, const Prefix& prefix) const;
  const vxlnat_rule& at(std::uint32_t rule) const { return rules_[rule]; }
  bool is_live(std::uint32_t rule) const {
    return rules_[rule].state == static_cast<std::uint32_t>(RuleState::kLive);
  }
  // For who remembers a rule and is not in the walk over the flows.
  RuleId id(std::uint32_t rule) const { return {rule, generations_[rule]}; }
  bool is_live(RuleId id) const {
    return generations_[id.slot] == id.generation && is_live(id.slot);
  }
  bool is_public(Ip4 ip) const { return find_public(ip) != 0; }

  [[gnu::always_inline]] void prefetch(std::uint32_t rule) const {
    __builtin_prefetch(&rules_[rule]);
  }

  // Of the rule that a member belongs to.
  std::uint32_t head(std::uint32_t rule) const { return members_[rule].head; }
  const RuleOptions& options(std::uint32_t rule) const {
    const auto& options = options_[head(rule)];
    return options != nullptr ? *options : kDefaults;
  }
  // The next member after `rule`, which begins with the head; or kNoSlot.
  std::uint32_t next_member(std::uint32_t rule) const {
    return members_[rule].next;
  }
  // SetRule::public_ip as it was set last; the members are in no order.
  Ip4 first_address(std::uint32_t head) const { return members_[head].first; }
  // The member with this address, or kNoSlot.
  std::uint32_t member_of(std::uint32_t head, Ip4 public_ip) const;
  bool is_draining(std::uint32_t rule) const {
    return (publics_[rules_[rule].public_slot].flags &
            VXLNAT_PUBLIC_DRAINING) != 0;
  }
  // How many records of rules other than that of `head` (or kNoSlot) use the
  // address, and whether it is one deterministic rule's alone.
  std::uint32_t other_users(Ip4 public_ip, std::uint32_t head) const;
  bool is_exclusive(Ip4 public_ip) const;

  // Whether there is room for `members` more records in the vnet; null or
  // why not.
  const char* check_room(Vni vni, std::size_t members) const;
  // Which profile of idle times to use; none when there are too many. Held
  // until `update` puts another in its place.
  std::optional<std::uint16_t> hold_timers(const RuleOptions* options);
  // Adds a rule whose {vnet, prefix} is not there, or a member; there is room.
  std::uint32_t add(const SetRule& rule, Ip4 public_ip);
  void add_member(std::uint32_t head, Ip4 public_ip);
  // Changes everything but the pool; the rule's flows live on.
  void update(std::uint32_t head, const SetRule& to, std::uint16_t timers);
  // Takes out one member, the whole rule with the last. Returns the head that
  // is left, or kNoSlot.
  std::uint32_t remove(std::uint32_t rule);

  // These hold whether or not there is such a vnet or address at the time.
  // False when there are too many.
  bool set_limits(Vni vni, const Limits& limits);
  bool set_drain(Ip4 public_ip, bool draining);

  // Whether rules wait for a walk over the flows, and its bounds.
  bool reap_wanted() const { return dying_ != kNoSlot; }
  void begin_reap();
  void end_reap();

  // Slots of vnets and public addresses that came since the last time: what
  // others keep by slot begins anew.
  std::vector<std::uint32_t> take_fresh_vnets() {
    return std::exchange(fresh_vnets_, {});
  }
  std::vector<std::uint32_t> take_fresh_publics() {
    return std::exchange(fresh_publics_, {});
  }

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
  std::uint32_t take(std::uint32_t vnet_slot, const vxlnat_rule& like);
  void end(std::uint32_t rule);
  void drop_timers(std::uint16_t profile);
  void link(std::uint32_t rule);
  void unlink(std::uint32_t rule);
  void learn_routers(std::uint32_t vnet_slot);
  static std::uint64_t router_bit(Ip4 ip) {
    return std::uint64_t{1} << ((ip ^ ip >> 6 ^ ip >> 12) & 63);
  }

  std::vector<std::uint32_t> fresh_vnets_;
  std::vector<std::uint32_t> fresh_publics_;

  static constexpr std::size_t kMaxDrains = 1024;
  static const RuleOptions kDefaults;

  struct Member {
    std::uint32_t head = kNoSlot;
    std::uint32_t next = kNoSlot;
    Ip4 first = 0;  // of a head: SetRule::public_ip
  };

  vxlnat_rule* rules_;
  vxlnat_public* publics_;
  vxlnat_timers* timers_;
  Stats& stats_;
  std::vector<Member> members_;                              // by rule
  std::vector<std::uint32_t> generations_;                   // by rule
  std::vector<std::shared_ptr<const RuleOptions>> options_;  // by head
  std::uint32_t timer_users_[VXLNAT_MAX_TIMERS] = {};
  std::unordered_map<Vni, Limits> limits_;
  std::vector<Ip4> drains_;
  std::vector<Vnet> vnets_;
  std::vector<vxlnat_bucket> vnet_buckets_;
  BucketIndex vnet_index_;    // ref: slot + 1
  BucketIndex public_index_;  // ref: slot + 1
  std::uint32_t free_rule_ = kNoSlot;
  std::uint32_t free_rules_;
  std::uint32_t free_vnet_ = kNoSlot;
  std::uint32_t free_public_ = kNoSlot;
  std::uint32_t dying_ = kNoSlot;    // wait for a walk to begin
  std::uint32_t reaping_ = kNoSlot;  // wait for the walk to end
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_RULE_TABLE_H_
