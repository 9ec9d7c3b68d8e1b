// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Vnets, rules and which public addresses rules use; see rule_table.h.

#include "engine/rule_table.h"

namespace vxlnat {

RuleTable::RuleTable(const Memory& memory, const EngineConfig& config,
                     Stats& stats)
    : rules_(memory.rules),
      publics_(memory.publics),
      stats_(stats),
      vnets_(config.max_vnets),
      vnet_buckets_(BucketIndex::buckets_for(config.max_vnets)),
      vnet_index_(vnet_buckets_.data(), vnet_buckets_.size()),
      public_index_(memory.public_buckets, memory.public_bucket_count) {
  for (std::uint32_t i = config.max_rules; i-- > 0;) {
    rules_[i].next = free_rule_;
    free_rule_ = i;
    publics_[i].next = free_public_;
    free_public_ = i;
  }
  for (std::uint32_t i = config.max_vnets; i-- > 0;) {
    vnets_[i].next_free = free_vnet_;
    free_vnet_ = i;
  }
}

std::uint32_t RuleTable::find_vnet(Vni vni) const {
  // No vnet is ref 0, so this gives kNoSlot.
  return vnet_index_.find(hash(vni), [&](std::uint32_t ref) {
    return vnets_[ref - 1].vni == vni;
  }) - 1;
}

std::uint32_t RuleTable::find_public(Ip4 ip) const {
  return public_index_.find(
      hash(ip), [&](std::uint32_t ref) { return publics_[ref - 1].ip == ip; });
}

std::uint32_t RuleTable::match_from(std::uint32_t rule, Ip4 ip) const {
  while (rule != kNoSlot && (ip & rules_[rule].mask) != rules_[rule].prefix) {
    rule = rules_[rule].next;
  }
  return rule;
}

// Those after it in the list are no longer, so one that covers its first
// address covers them all.
std::uint32_t RuleTable::around(std::uint32_t rule) const {
  return match_from(rules_[rule].next, rules_[rule].prefix);
}

std::uint32_t RuleTable::router(std::uint32_t vnet_slot, Ip4 ip) const {
  if ((vnets_[vnet_slot].router_bits & router_bit(ip)) == 0) return kNoSlot;
  std::uint32_t at = vnets_[vnet_slot].first_rule;
  while (at != kNoSlot && rules_[at].router_ip != ip) at = rules_[at].next;
  return at;
}

bool RuleTable::is_router_mac(std::uint32_t vnet_slot, Mac mac) const {
  std::uint32_t at = vnets_[vnet_slot].first_rule;
  while (at != kNoSlot && rules_[at].router_mac != mac) at = rules_[at].next;
  return at != kNoSlot;
}

std::uint32_t RuleTable::find(Vni vni, const Prefix& prefix) const {
  const std::uint32_t slot = find_vnet(vni);
  if (slot == kNoSlot) return kNoSlot;
  std::uint32_t at = vnets_[slot].first_rule;
  while (at != kNoSlot && (rules_[at].prefix != prefix.address ||
                           rules_[at].bits != prefix.bits)) {
    at = rules_[at].next;
  }
  return at;
}

std::uint32_t RuleTable::make_vnet(Vni vni) {
  const std::uint32_t slot = free_vnet_;
  if (slot == kNoSlot) return kNoSlot;
  free_vnet_ = vnets_[slot].next_free;
  vnets_[slot] = Vnet{};
  vnets_[slot].vni = vni;
  vnet_index_.insert(hash(vni), slot + 1);
  stats_.vnets.set(stats_.vnets.read() + 1);
  return slot;
}

std::uint32_t RuleTable::hold_public(Ip4 ip) {
  const std::uint32_t ref = find_public(ip);
  if (ref != 0) {
    publics_[ref - 1].rules++;
    return ref - 1;
  }
  // There are as many places as rules, so there is one.
  const std::uint32_t slot = free_public_;
  free_public_ = publics_[slot].next;
  publics_[slot] = {ip, 1, kNoSlot, 0};
  public_index_.insert(hash(ip), slot + 1);
  return slot;
}

void RuleTable::drop_public(Ip4 ip) {
  const std::uint32_t ref = find_public(ip);
  vxlnat_public& entry = publics_[ref - 1];
  if (--entry.rules > 0) return;
  public_index_.remove(hash(ip), ref);
  entry.next = free_public_;
  free_public_ = ref - 1;
}

void RuleTable::link(std::uint32_t rule) {
  std::uint32_t* at = &vnets_[rules_[rule].vnet_slot].first_rule;
  while (*at != kNoSlot && rules_[*at].bits >= rules_[rule].bits) {
    at = &rules_[*at].next;
  }
  rules_[rule].next = *at;
  *at = rule;
}

void RuleTable::unlink(std::uint32_t rule) {
  std::uint32_t* at = &vnets_[rules_[rule].vnet_slot].first_rule;
  while (*at != rule) at = &rules_[*at].next;
  *at = rules_[rule].next;
}

void RuleTable::learn_routers(std::uint32_t vnet_slot) {
  Vnet& vnet = vnets_[vnet_slot];
  vnet.router_bits = 0;
  for (std::uint32_t at = vnet.first_rule; at != kNoSlot;
       at = rules_[at].next) {
    vnet.router_bits |= router_bit(rules_[at].router_ip);
  }
  // The fast path reads them from any rule.
  for (std::uint32_t at = vnet.first_rule; at != kNoSlot;
       at = rules_[at].next) {
    rules_[at].first = vnet.first_rule;
    rules_[at].router_bits = vnet.router_bits;
  }
}

const char* RuleTable::add(const SetRule& rule) {
  const std::uint32_t index = free_rule_;
  if (index == kNoSlot) return "the rule table is full";
  std::uint32_t slot = find_vnet(rule.vnet);
  if (slot == kNoSlot) slot = make_vnet(rule.vnet);
  if (slot == kNoSlot) return "the vnet table is full";
  free_rule_ = rules_[index].next;
  vxlnat_rule& to = rules_[index];
  to = vxlnat_rule{};
  to.vni = rule.vnet;
  to.prefix = rule.prefix.address;
  to.mask = rule.prefix.mask();
  to.bits = rule.prefix.bits;
  to.public_ip = rule.public_ip;
  to.vnet_slot = slot;
  to.public_slot = hold_public(rule.public_ip);
  link(index);
  vnets_[slot].live_rules++;
  vnets_[slot].all_rules++;
  update(index, rule);
  to.state = static_cast<std::uint32_t>(RuleState::kLive);
  stats_.rules.set(stats_.rules.read() + 1);
  return nullptr;
}

void RuleTable::update(std::uint32_t rule, const SetRule& to) {
  rules_[rule].router_ip = to.router_ip;
  rules_[rule].router_mac = to.router_mac;
  rules_[rule].vlan = to.vlan;
  learn_routers(rules_[rule].vnet_slot);
}

void RuleTable::remove(std::uint32_t rule) {
  vxlnat_rule& gone = rules_[rule];
  Vnet& vnet = vnets_[gone.vnet_slot];
  gone.state = static_cast<std::uint32_t>(RuleState::kDying);
  unlink(rule);
  learn_routers(gone.vnet_slot);
  drop_public(gone.public_ip);
  gone.next = dying_;
  dying_ = rule;
  stats_.rules.set(stats_.rules.read() - 1);
  if (--vnet.live_rules > 0) return;
  vnet_index_.remove(hash(vnet.vni), gone.vnet_slot + 1);
  stats_.vnets.set(stats_.vnets.read() - 1);
}

void RuleTable::begin_reap() {
  reaping_ = dying_;
  dying_ = kNoSlot;
}

void RuleTable::end_reap() {
  while (reaping_ != kNoSlot) {
    const std::uint32_t rule = reaping_;
    reaping_ = rules_[rule].next;
    const std::uint32_t slot = rules_[rule].vnet_slot;
    if (--vnets_[slot].all_rules == 0) {
      vnets_[slot].next_free = free_vnet_;
      free_vnet_ = slot;
    }
    rules_[rule].state = static_cast<std::uint32_t>(RuleState::kFree);
    rules_[rule].next = free_rule_;
    free_rule_ = rule;
  }
}

}  // namespace vxlnat
