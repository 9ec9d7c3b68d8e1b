// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Changes of rules. A rule that is set again keeps its flows, except those on
// a public address that leaves its pool. A deterministic rule keeps them only
// when its arithmetic stays what it was: a flow that the arithmetic does not
// explain would make it lie.

#include "engine/apply_rule.h"

#include <algorithm>

#include "engine/block_table.h"
#include "engine/deterministic.h"
#include "engine/port_range.h"

namespace vxlnat {

namespace {

const RuleOptions kDefaults;

const RuleOptions& options_of(const SetRule& op) {
  return op.options != nullptr ? *op.options : kDefaults;
}

std::vector<Ip4> pool_of(const SetRule& op) {
  std::vector<Ip4> pool{op.public_ip};
  const std::vector<Ip4>& more = options_of(op).more_public_ips;
  pool.insert(pool.end(), more.begin(), more.end());
  return pool;
}

const char* check_prefix(const Context& c, const SetRule& op) {
  if (op.vnet > kMaxVni) return "the vnet must be at most 16777215";
  if (op.vnet == c.config.probe_vnet) {
    return "the vnet is the one for liveness probes";
  }
  if (op.vlan > 4094) return "the VLAN must be at most 4094";
  if (op.prefix.bits > 32 ||
      (op.prefix.address & op.prefix.mask()) != op.prefix.address) {
    return "the prefix has bits behind its length";
  }
  if (!op.prefix.covers(op.router_ip)) {
    return "the router's address is not in the prefix";
  }
  if (op.router_mac == 0 || (op.router_mac >> 40 & 1) != 0 ||
      op.router_mac >> 48 != 0) {
    return "the router's MAC is not a station's address";
  }
  return nullptr;
}

const char* check_timers(const Timers& t) {
  for (const std::uint32_t each :
       {t.tcp_established, t.tcp_opening, t.tcp_closing, t.udp, t.icmp}) {
    if (each == 0 || each > 0x7fffffff) {
      return "options.timers must be 1 to 2147483647 ms";
    }
  }
  if (t.quarantine > 0x7fffffff) {
    return "options.timers.quarantine must be at most 2147483647 ms";
  }
  return nullptr;
}

const char* check_ports(const Context& c, const SetRule& op) {
  const RuleOptions& o = options_of(op);
  if ((o.port_low == 0) != (o.port_high == 0) || o.port_low > o.port_high) {
    return "options.port_low must be at least 1 and at most port_high";
  }
  if (o.slices == 0 || o.slice >= o.slices) {
    return "options.slice must be below options.slices";
  }
  const PortRange whole = whole_range(c.config, o);
  if (o.slices > whole.size()) {
    return "options.slices must not exceed the ports of the range";
  }
  const PortRange ports = port_range(c.config, o);
  if (o.block_size != 0 && (!BlockTable::is_size(o.block_size) ||
                            BlockTable::count_of(ports, o.block_size) == 0)) {
    return "options.block_size must be 64, 128, 256, 512 or 1024, and fit "
           "into the range";
  }
  if (o.mapping != Mapping::kDeterministic) return nullptr;
  if (o.block_size != 0) {
    return "options.block_size and a deterministic mapping exclude each other";
  }
  const std::size_t pool = 1 + o.more_public_ips.size();
  if (deal(op.prefix, pool, ports).ports_per_host == 0) {
    return "the pool has fewer ports than the prefix has hosts";
  }
  return nullptr;
}

const char* check_pool(const Context& c, const SetRule& op,
                       std::uint32_t head) {
  const RuleOptions& o = options_of(op);
  std::vector<Ip4> pool = pool_of(op);
  if (pool.size() > kMaxPool) {
    return "a rule has at most 64 public addresses";
  }
  const bool alone = o.mapping == Mapping::kDeterministic;
  for (const Ip4 ip : pool) {
    if (ip == 0) return "the public address must not be 0.0.0.0";
    if (c.one_to_ones.find_public(ip) != nullptr) {
      return "the public address is used by a 1:1 entry";
    }
    if (c.rules.other_users(ip, head) == 0) continue;
    if (alone || c.rules.is_exclusive(ip)) {
      return "a public address of a deterministic rule must be its alone";
    }
  }
  std::sort(pool.begin(), pool.end());
  if (std::adjacent_find(pool.begin(), pool.end()) != pool.end()) {
    return "options.more_public_ips names an address twice";
  }
  return nullptr;
}

const char* check(const Context& c, const SetRule& op, std::uint32_t head) {
  if (const char* error = check_prefix(c, op)) return error;
  if (const char* error = check_pool(c, op, head)) return error;
  if (const char* error = check_ports(c, op)) return error;
  const RuleOptions& o = options_of(op);
  if (o.exempt.size() > kMaxExempt) {
    return "a rule has at most 64 exempt prefixes";
  }
  for (const Prefix& prefix : o.exempt) {
    if (prefix.bits > 32 ||
        (prefix.address & prefix.mask()) != prefix.address) {
      return "an exempt prefix has bits behind its length";
    }
  }
  // RFC 9293 section 3.7.1: 536 is what every host takes.
  if (o.mss != 0 && o.mss < 536) return "options.mss must be 0 or 536 or more";
  return o.timers ? check_timers(*o.timers) : nullptr;
}

// Whether the arithmetic of a deterministic rule changes.
bool begins_anew(const Context& c, std::uint32_t head, const SetRule& op) {
  const RuleOptions& now = c.rules.options(head);
  const RuleOptions& then = options_of(op);
  if (now.mapping != Mapping::kDeterministic &&
      then.mapping != Mapping::kDeterministic) {
    return false;
  }
  // Taken over with its flows, and its options are not known yet.
  if (c.inherited.open && c.inherited.rules[head]) return false;
  return now.mapping != then.mapping ||
         port_range(c.config, now) != port_range(c.config, then) ||
         c.rules.first_address(head) != op.public_ip ||
         now.more_public_ips != then.more_public_ips;
}

// The rule's 1:1 entries go to the head that is left, or else to the rule
// around it, when there are any.
std::uint32_t take_out(Context& c, std::uint32_t rule) {
  const std::uint32_t around = c.rules.around(c.rules.head(rule));
  c.drop_public(c.rules.at(rule).public_ip);
  const std::uint32_t left = c.rules.remove(rule);
  if (c.inherited.open) c.inherited.rules[rule] = false;
  const std::uint32_t heir = left != kNoSlot ? left : around;
  if (heir != kNoSlot && heir != rule) c.one_to_ones.move(rule, heir, {});
  return left;
}

void take_all_out(Context& c, std::uint32_t head) {
  while (head != kNoSlot) head = take_out(c, head);
}

std::uint32_t make(Context& c, const SetRule& op,
                   const std::vector<Ip4>& pool) {
  const std::uint32_t head = c.rules.add(op, pool.front());
  for (std::size_t i = 1; i < pool.size(); i++) {
    c.rules.add_member(head, pool[i]);
  }
  for (const Ip4 ip : pool) c.hold_public(ip);
  return head;
}

// Makes the members of a rule those of `pool`; returns its head.
std::uint32_t set_pool(Context& c, std::uint32_t head,
                       const std::vector<Ip4>& pool) {
  for (const Ip4 ip : pool) {
    if (c.rules.member_of(head, ip) != kNoSlot) continue;
    c.rules.add_member(head, ip);
    c.hold_public(ip);
  }
  const auto stays = [&](std::uint32_t member) {
    return std::find(pool.begin(), pool.end(), c.rules.at(member).public_ip) !=
           pool.end();
  };
  while (!stays(head)) head = take_out(c, head);
  for (std::uint32_t at = head; at != kNoSlot;) {
    const std::uint32_t next = c.rules.next_member(at);
    if (!stays(at)) (void)take_out(c, at);
    at = next;
  }
  return head;
}

}  // namespace

const char* set_rule(Context& c, const SetRule& op) {
  std::uint32_t head = c.rules.find(op.vnet, op.prefix);
  if (const char* error = check(c, op, head)) return error;
  const std::vector<Ip4> pool = pool_of(op);
  const bool anew = head == kNoSlot || begins_anew(c, head, op);
  std::size_t members = 0;
  for (const Ip4 ip : pool) {
    if (anew || c.rules.member_of(head, ip) == kNoSlot) members++;
  }
  if (const char* error = c.rules.check_room(op.vnet, members)) return error;
  const auto timers = c.rules.hold_timers(op.options.get());
  if (!timers) return "rules have at most 15 different sets of idle times";
  if (!anew) {
    c.rules.update(set_pool(c, head, pool), op, *timers);
    return nullptr;
  }
  const std::uint32_t made = make(c, op, pool);
  c.rules.update(made, op, *timers);
  if (head != kNoSlot) {
    take_all_out(c, head);
    return nullptr;
  }
  const std::uint32_t around = c.rules.around(made);
  if (around != kNoSlot) c.one_to_ones.move(around, made, op.prefix);
  return nullptr;
}

const char* remove_rule(Context& c, const RemoveRule& op) {
  const std::uint32_t head = c.rules.find(op.vnet, op.prefix);
  if (head == kNoSlot) return nullptr;
  if (c.one_to_ones.any_of(head) && c.rules.around(head) == kNoSlot) {
    return "a 1:1 entry needs this rule; remove the entry first";
  }
  take_all_out(c, head);
  if (c.rules.find_vnet(op.vnet) == kNoSlot) c.remotes.remove_vnet(op.vnet);
  return nullptr;
}

}  // namespace vxlnat
