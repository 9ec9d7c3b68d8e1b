// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The checks; see invariants.h.

#include "test/invariants.h"

#include <bit>
#include <set>

#include "engine/flow_state.h"
#include "engine/flow_table.h"
#include "engine/remote_table.h"
#include "engine/rule_table.h"
#include "test/harness.h"

namespace vxlnat::test {

namespace {

class Tables {
 public:
  explicit Tables(const std::uint8_t* memory)
      : memory_(memory),
        layout(*reinterpret_cast<const vxlnat_layout*>(memory)) {}

  template <typename Record>
  std::span<const Record> region(const vxlnat_region& r) const {
    return {reinterpret_cast<const Record*>(memory_ + r.offset), r.count};
  }

  // Whether a reader finds `ref` by a key, as layout.h says.
  bool finds(const vxlnat_region& r, std::uint64_t a, std::uint64_t b,
             std::uint32_t ref) const {
    const auto buckets = region<vxlnat_bucket>(r);
    const std::uint64_t hash = hash16({layout.key[0], layout.key[1]}, a, b);
    for (std::uint64_t i = 0; i < buckets.size(); i++) {
      const auto& bucket = buckets[(hash + i) & (buckets.size() - 1)];
      for (unsigned slot = 0; slot < 8; slot++) {
        if (bucket.ref[slot] == ref && bucket.tag[slot] == hash >> 48) {
          return true;
        }
      }
      if (bucket.overflow == 0) return false;
    }
    return false;
  }

  std::uint64_t refs(const vxlnat_region& r) const {
    std::uint64_t count = 0;
    for (const auto& bucket : region<vxlnat_bucket>(r)) {
      for (const std::uint32_t ref : bucket.ref) count += ref != 0;
    }
    return count;
  }

  bool is_ours(Ip4 ip) const {
    const auto ours = region<std::uint32_t>(layout.ours);
    return ours[(ip * 0x9e3779b1u) >> (32 - std::countr_zero(ours.size()))] !=
           0;
  }

 private:
  const std::uint8_t* memory_;

 public:
  const vxlnat_layout& layout;
};

using Keys = std::set<std::pair<std::uint64_t, std::uint64_t>>;

bool is_unique(Keys& keys, const FlowKey& key) {
  return keys.emplace(key.a, key.b).second;
}

// One flow: found by both keys, which nobody else has; within its rule.
void check_flow(const Tables& t, std::uint32_t index, const vxlnat_flow& flow,
                const EngineConfig& config) {
  const FlowKey in = inside_key(flow);
  const FlowKey out = outside_key(flow);
  CHECK(t.finds(t.layout.flow_buckets, in.a, in.b, (index + 1) * 2 + 1));
  CHECK(t.finds(t.layout.flow_buckets, out.a, out.b, (index + 1) * 2));
  CHECK(flow.public_port >= config.port_low &&
        flow.public_port <= config.port_high);
  const auto& rule = t.region<vxlnat_rule>(t.layout.rules)[flow.rule];
  if (rule.state != static_cast<std::uint32_t>(RuleState::kLive)) return;
  CHECK_EQ(flow.vni_proto >> 8, rule.vni);
  CHECK((flow.private_ip & rule.mask) == rule.prefix);
  CHECK(t.is_ours(flow.public_ip));
}

void check_flows(const Tables& t, const EngineConfig& config,
                 const Stats& stats) {
  const auto flows = t.region<vxlnat_flow>(t.layout.flows);
  Keys inside;
  Keys outside;
  std::uint64_t used = 0;
  std::uint64_t live = 0;
  for (std::uint32_t i = 0; i < flows.size(); i++) {
    const auto state = static_cast<FlowState>(flows[i].state);
    if (state == FlowState::kFree) continue;
    used++;
    live += is_live(state);
    CHECK(is_unique(inside, inside_key(flows[i])));
    CHECK(is_unique(outside, outside_key(flows[i])));
    check_flow(t, i, flows[i], config);
  }
  CHECK_EQ(t.refs(t.layout.flow_buckets), 2 * used);
  CHECK_EQ(stats.flows.read(), live);
  CHECK_EQ(live, stats.flows_created.read() + stats.flows_revived.read() -
                     stats.flows_expired.read());
}

void check_entries(const Tables& t, const Stats& stats) {
  const auto entries = t.region<vxlnat_one_to_one>(t.layout.one_to_ones);
  const auto rules = t.region<vxlnat_rule>(t.layout.rules);
  std::set<Ip4> publics;
  std::uint64_t used = 0;
  for (const auto& entry : entries) {
    if (entry.used == 0) continue;
    used++;
    CHECK(publics.insert(entry.public_ip).second);
    CHECK(t.is_ours(entry.public_ip));
    const auto& rule = rules[entry.rule];
    CHECK_EQ(rule.vni, entry.vni);
    CHECK((entry.private_ip & rule.mask) == rule.prefix);
  }
  CHECK_EQ(t.refs(t.layout.one_to_one_buckets), 2 * used);
  CHECK_EQ(stats.one_to_ones.read(), used);
  for (const auto& rule : rules) {
    if (rule.state != static_cast<std::uint32_t>(RuleState::kLive)) continue;
    CHECK(publics.count(rule.public_ip) == 0);
    CHECK(t.is_ours(rule.public_ip));
  }
}

void check_remotes(const Tables& t, const Stats& stats) {
  const auto remotes = t.region<vxlnat_remote>(t.layout.remotes);
  Keys keys;
  std::uint64_t known = 0;
  for (std::uint32_t i = 0; i < remotes.size(); i++) {
    const vxlnat_remote& remote = remotes[i];
    const auto state = static_cast<RemoteState>(remote.state);
    if (state == RemoteState::kFree) continue;
    CHECK(keys.emplace(remote.vni, remote.ip).second);
    CHECK(t.finds(t.layout.remote_buckets, remote.vni, remote.ip, i + 1));
    known += state == RemoteState::kKnown;
  }
  CHECK_EQ(t.refs(t.layout.remote_buckets), keys.size());
  CHECK_EQ(stats.remotes.read(), known);
}

}  // namespace

void check_invariants(const std::uint8_t* memory, const EngineConfig& config,
                      const Stats& stats) {
  const Tables t(memory);
  CHECK_EQ(t.layout.magic, VXLNAT_LAYOUT_MAGIC);
  check_flows(t, config, stats);
  check_entries(t, stats);
  check_remotes(t, stats);
}

}  // namespace vxlnat::test
