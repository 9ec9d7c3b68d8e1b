// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Taking over the tables of an engine that is gone; see recover.h.

#include "engine/recover.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "engine/engine.h"
#include "engine/stages.h"

namespace vxlnat {

namespace {

bool fits(const vxlnat_region& region, std::uint64_t size,
          std::uint64_t bytes) {
  return region.offset % 64 == 0 && region.offset <= bytes &&
         region.count <= (bytes - region.offset) / size;
}

bool fits_buckets(const vxlnat_region& region, std::uint64_t bytes) {
  return std::has_single_bit(region.count) &&
         fits(region, sizeof(vxlnat_bucket), bytes);
}

const char* check(std::span<const std::uint8_t> old) {
  vxlnat_layout l;
  if (old.size() < sizeof l) return "the old tables are too short";
  std::memcpy(&l, old.data(), sizeof l);
  if (l.magic != VXLNAT_LAYOUT_MAGIC) return "the old memory has no tables";
  if (l.version != VXLNAT_LAYOUT_VERSION) {
    return "the old tables have another layout";
  }
  const std::uint64_t n = old.size();
  if (l.ul3_count > VXLNAT_MAX_UL3S || !fits_buckets(l.flow_buckets, n) ||
      !fits(l.flows, sizeof(vxlnat_flow), n) ||
      !fits(l.rules, sizeof(vxlnat_rule), n) ||
      !fits_buckets(l.one_to_one_buckets, n) ||
      !fits(l.one_to_ones, sizeof(vxlnat_one_to_one), n) ||
      !fits_buckets(l.remote_buckets, n) ||
      !fits(l.remotes, sizeof(vxlnat_remote), n) ||
      !fits(l.ip_ids, sizeof(std::uint32_t), n) ||
      l.ip_ids.count != VXLNAT_IP_IDS) {
    return "the old tables are damaged";
  }
  return nullptr;
}

bool holds(const BucketIndex& index, std::uint64_t hash, std::uint32_t ref) {
  return index.find(hash, [&](std::uint32_t r) { return r == ref; }) != 0;
}

class TakeOver {
 public:
  TakeOver(Context& c, std::span<const std::uint8_t> old, Adopted& result)
      : c_(c),
        // Only read; the views are those of the engine's own tables.
        old_(const_cast<std::uint8_t*>(old.data())),
        key_{old_.layout->key[0], old_.layout->key[1]},
        flow_index_(old_.flows.buckets, old_.flows.bucket_count),
        result_(result) {}

  void run() {
    Inherited& left = c_.inherited;
    left.rules.assign(c_.layout.rules.count, false);
    left.one_to_ones.assign(c_.layout.one_to_ones.count, false);
    left.open = true;
    std::memcpy(c_.ip_ids, old_.ip_ids, VXLNAT_IP_IDS * sizeof *c_.ip_ids);
    take_ul3s();
    take_rules();
    take_remotes();
    take_one_to_ones();
    take_flows();
  }

 private:
  bool apply(const Operation& operation) {
    return change(c_, operation) == nullptr;
  }

  void take_ul3s() {
    for (std::uint32_t i = 0; i < old_.layout->ul3_count; i++) {
      const Ip4 ip = old_.layout->ul3s[i];
      if (apply(AddUl3{ip})) c_.inherited.ul3s.push_back(ip);
    }
  }

  void take_rules() {
    rule_of_.assign(old_.layout->rules.count, kNoSlot);
    for (std::uint32_t i = 0; i < rule_of_.size(); i++) {
      const vxlnat_rule& rule = old_.rules.rules[i];
      if (rule.state != static_cast<std::uint32_t>(RuleState::kLive) ||
          rule.bits > 32) {
        continue;
      }
      const Prefix prefix{rule.prefix, static_cast<std::uint8_t>(rule.bits)};
      SetRule op{rule.vni,       rule.vlan,       prefix,
                 rule.router_ip, rule.router_mac, rule.public_ip};
      const std::uint32_t head = c_.rules.find(rule.vni, prefix);
      if (head != kNoSlot) {
        add_member(op, head);
      } else {
        add_timers(op, rule.timers);
      }
      if (!apply(op)) continue;
      const std::uint32_t made = c_.rules.find(rule.vni, prefix);
      rule_of_[i] = c_.rules.member_of(made, rule.public_ip);
      c_.inherited.rules[made] = true;
      if (head == kNoSlot) result_.rules++;
    }
  }

  // Gives `op` the idle times that the old rule's flows follow.
  void add_timers(SetRule& op, std::uint16_t profile) const {
    if (profile == 0 || profile >= VXLNAT_MAX_TIMERS) return;
    RuleOptions options;
    options.timers = unpack(old_.layout->timers[profile]);
    op.options = std::make_shared<const RuleOptions>(options);
  }

  // Makes `op` the rule that is there with one more address in its pool.
  void add_member(SetRule& op, std::uint32_t head) const {
    RuleOptions options = c_.rules.options(head);
    options.more_public_ips.push_back(op.public_ip);
    op.public_ip = c_.rules.first_address(head);
    op.options = std::make_shared<const RuleOptions>(options);
  }

  void take_remotes() {
    const BucketIndex index(old_.remotes.buckets, old_.remotes.bucket_count);
    const std::uint64_t count = old_.layout->remotes.count;
    for (std::uint32_t i = 0; i < count; i++) {
      const vxlnat_remote& r = old_.remotes.remotes[i];
      if (r.state != static_cast<std::uint8_t>(RemoteState::kKnown) ||
          !holds(index, hash16(key_, r.vni, r.ip), i + 1) ||
          c_.rules.find_vnet(r.vni) == kNoSlot) {
        continue;
      }
      if (apply(SetRemote{r.vni, r.ip, r.mac, r.ul3_ip, r.ul3_port})) {
        result_.remotes++;
      }
    }
  }

  void take_one_to_ones() {
    const BucketIndex index(old_.one_to_ones.buckets,
                            old_.one_to_ones.bucket_count);
    const std::uint64_t count = old_.layout->one_to_ones.count;
    for (std::uint32_t i = 0; i < count; i++) {
      const vxlnat_one_to_one& e = old_.one_to_ones.entries[i];
      const std::uint32_t ref = (i + 1) * 2;
      if (e.used == 0 ||
          !holds(index, hash16(key_, e.vni, e.private_ip), ref + 1) ||
          !holds(index, hash16(key_, OneToOneTable::kOutside, e.public_ip),
                 ref) ||
          c_.one_to_ones.find_private(e.vni, e.private_ip) != nullptr ||
          !apply(SetOneToOne{e.vni, e.vlan, e.private_ip, e.public_ip})) {
        continue;
      }
      vxlnat_one_to_one* made =
          c_.one_to_ones.find_private(e.vni, e.private_ip);
      made->packets_out = e.packets_out;
      made->bytes_out = e.bytes_out;
      made->packets_in = e.packets_in;
      made->bytes_in = e.bytes_in;
      c_.inherited.one_to_ones[c_.one_to_ones.index_of(*made)] = true;
      result_.one_to_ones++;
    }
  }

  // In bursts, so that look-ups in both tables overlap.
  void take_flows() {
    const std::uint64_t count = old_.layout->flows.count;
    for (std::uint64_t at = 0; at < count; at += kBurst) {
      const std::uint64_t end = std::min(count, at + kBurst);
      std::uint32_t found = 0;
      for (std::uint64_t i = at; i < end; i++) {
        const vxlnat_flow& flow = old_.flows.flows[i];
        if (flow.state == static_cast<std::uint8_t>(FlowState::kFree)) continue;
        Candidate& each = candidates_[found++];
        each.index = static_cast<std::uint32_t>(i);
        each.inside = hash16(key_, inside_key(flow).a, inside_key(flow).b);
        each.outside = hash16(key_, outside_key(flow).a, outside_key(flow).b);
        flow_index_.prefetch(each.inside);
        flow_index_.prefetch(each.outside);
        c_.flows.prefetch(c_.flows.hash(inside_key(flow)));
        c_.flows.prefetch(c_.flows.hash(outside_key(flow)));
      }
      for (std::uint32_t i = 0; i < found; i++) take_flow(candidates_[i]);
    }
  }

  struct Candidate {
    std::uint32_t index;
    std::uint64_t inside;
    std::uint64_t outside;
  };

  void take_flow(const Candidate& from) {
    vxlnat_flow flow = old_.flows.flows[from.index];
    const std::uint32_t rule =
        flow.rule < rule_of_.size() ? rule_of_[flow.rule] : kNoSlot;
    if (!is_found(from) || rule == kNoSlot || !is_rules(flow, rule)) {
      result_.flows_left++;
      return;
    }
    flow.rule = rule;
    flow.public_slot = c_.rules.at(rule).public_slot;
    flow.flags = c_.accounts.restore(flow, flow.flags);
    flow.host = 0;
    (void)c_.remotes.known(flow.vni_proto >> 8, flow.private_ip, flow.host);
    if (c_.flows.restore(flow, c_.now)) {
      result_.flows++;
    } else {
      result_.flows_left++;
    }
  }

  // Whether both of its keys lead to the record.
  bool is_found(const Candidate& from) const {
    const std::uint32_t ref = (from.index + 1) * 2;
    return holds(flow_index_, from.inside, ref + 1) &&
           holds(flow_index_, from.outside, ref);
  }

  bool is_rules(const vxlnat_flow& flow, std::uint32_t rule) const {
    const vxlnat_rule& to = c_.rules.at(rule);
    return to.vni == flow.vni_proto >> 8 && to.public_ip == flow.public_ip &&
           (flow.private_ip & to.mask) == to.prefix &&
           flow.state < static_cast<std::uint8_t>(FlowState::kCount);
  }

  static constexpr std::uint64_t kBurst = 32;

  Context& c_;
  const SharedTables old_;
  const HashKey key_;
  const BucketIndex flow_index_;
  Adopted& result_;
  std::vector<std::uint32_t> rule_of_;  // by the old index
  Candidate candidates_[kBurst];
};

void unmark(std::vector<bool>& marks, std::uint32_t index) {
  if (index < marks.size()) marks[index] = false;
}

struct Confirm {
  Context& c;
  void operator()(const SetRule& op) const {
    unmark(c.inherited.rules, c.rules.find(op.vnet, op.prefix));
  }
  void operator()(const SetOneToOne& op) const {
    const auto* entry = c.one_to_ones.find_private(op.vnet, op.private_ip);
    if (entry == nullptr) return;
    unmark(c.inherited.one_to_ones, c.one_to_ones.index_of(*entry));
  }
  void operator()(const AddUl3& op) const {
    std::erase(c.inherited.ul3s, op.ip);
  }
  template <typename Other>
  void operator()(const Other&) const {}
};

}  // namespace

const char* take_over(Context& c, std::span<const std::uint8_t> old,
                      Adopted& result) {
  result = {};
  if (c.stats.rules.read() != 0 || c.inherited.open) {
    return "only a new engine takes old tables over";
  }
  if (const char* error = check(old)) return error;
  TakeOver(c, old, result).run();
  return nullptr;
}

void confirm(Context& c, const Operation& operation) {
  if (c.inherited.open) std::visit(Confirm{c}, operation);
}

void drop_inherited(Context& c) {
  const Inherited left = std::exchange(c.inherited, {});
  // A rule that an entry needs goes after the entry.
  for (std::uint32_t i = 0; i < left.one_to_ones.size(); i++) {
    const vxlnat_one_to_one& e = c.one_to_ones.at_index(i);
    if (left.one_to_ones[i] && e.used != 0) {
      (void)change(c, RemoveOneToOne{e.vni, e.private_ip});
    }
  }
  for (std::uint32_t i = 0; i < left.rules.size(); i++) {
    const vxlnat_rule& r = c.rules.at(i);
    if (!left.rules[i] || !c.rules.is_live(i)) continue;
    const Prefix prefix{r.prefix, static_cast<std::uint8_t>(r.bits)};
    (void)change(c, RemoveRule{r.vni, prefix});
  }
  for (const Ip4 ip : left.ul3s) (void)change(c, RemoveUl3{ip});
}

}  // namespace vxlnat
