// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Lays out the memory that the packet tables share with a BPF program: the
// header of layout.h first, then each region on a 64-byte border.

#ifndef VXLNAT_ENGINE_SHARED_TABLES_H_
#define VXLNAT_ENGINE_SHARED_TABLES_H_

#include <algorithm>
#include <bit>
#include <cstdint>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/flow_table.h"
#include "engine/layout.h"
#include "engine/one_to_one.h"
#include "engine/remote_table.h"
#include "engine/rule_table.h"

namespace vxlnat {

// Slots of the filter of our own addresses: a power of two, so many that a
// foreign address seldom meets one.
inline std::uint64_t filter_slots(std::uint64_t addresses) {
  return std::bit_ceil(
      std::clamp<std::uint64_t>(addresses * 8, 4096, std::uint64_t{1} << 24));
}

// Where everything lies; `bytes` is the whole size.
inline vxlnat_layout plan_tables(const EngineConfig& config) {
  vxlnat_layout layout{};
  layout.magic = VXLNAT_LAYOUT_MAGIC;
  layout.version = VXLNAT_LAYOUT_VERSION;
  std::uint64_t at = (sizeof(vxlnat_layout) + 63) / 64 * 64;
  const auto region = [&at](std::uint64_t count, std::uint64_t size) {
    const vxlnat_region made{at, count};
    at += (count * size + 63) / 64 * 64;
    return made;
  };
  const auto buckets = [&region](std::uint64_t entries) {
    return region(BucketIndex::buckets_for(entries), sizeof(vxlnat_bucket));
  };
  layout.rows = config.rows;
  layout.probe_vnet = config.probe_vnet;
  layout.vxlan_port = config.vxlan_port;
  layout.inner_mtu = config.inner_mtu;
  layout.flow_buckets = buckets(std::uint64_t{config.max_flows} * 2);
  layout.flows = region(config.max_flows, sizeof(vxlnat_flow));
  layout.rules = region(config.max_rules, sizeof(vxlnat_rule));
  layout.public_buckets = buckets(config.max_rules);
  layout.publics = region(config.max_rules, sizeof(vxlnat_public));
  layout.one_to_one_buckets =
      buckets(std::uint64_t{config.max_one_to_ones} * 2);
  layout.one_to_ones =
      region(config.max_one_to_ones, sizeof(vxlnat_one_to_one));
  layout.remote_buckets = buckets(config.max_remotes);
  layout.remotes = region(config.max_remotes, sizeof(vxlnat_remote));
  layout.ours = region(filter_slots(config.max_rules + config.max_one_to_ones),
                       sizeof(std::uint32_t));
  layout.ip_ids = region(VXLNAT_IP_IDS, sizeof(std::uint32_t));
  layout.vnet_counts = region(std::uint64_t{config.rows} * config.max_vnets,
                              sizeof(vxlnat_counts));
  layout.public_counts = region(std::uint64_t{config.rows} * config.max_rules,
                                sizeof(vxlnat_counts));
  layout.bytes = at;
  return layout;
}

// Typed views on memory that begins with its layout.
struct SharedTables {
  vxlnat_layout* layout;
  FlowTable::Memory flows;
  RuleTable::Memory rules;
  OneToOneTable::Memory one_to_ones;
  RemoteTable::Memory remotes;
  std::uint32_t* ours;
  std::uint32_t* ip_ids;
  vxlnat_counts* vnet_counts;
  vxlnat_counts* public_counts;

  explicit SharedTables(std::uint8_t* base)
      : layout(reinterpret_cast<vxlnat_layout*>(base)),
        flows{at<vxlnat_bucket>(layout->flow_buckets),
              layout->flow_buckets.count, at<vxlnat_flow>(layout->flows),
              at<vxlnat_rule>(layout->rules), layout->timers},
        rules{at<vxlnat_rule>(layout->rules),
              at<vxlnat_bucket>(layout->public_buckets),
              layout->public_buckets.count, at<vxlnat_public>(layout->publics),
              layout->timers},
        one_to_ones{at<vxlnat_bucket>(layout->one_to_one_buckets),
                    layout->one_to_one_buckets.count,
                    at<vxlnat_one_to_one>(layout->one_to_ones)},
        remotes{at<vxlnat_bucket>(layout->remote_buckets),
                layout->remote_buckets.count,
                at<vxlnat_remote>(layout->remotes)},
        ours(at<std::uint32_t>(layout->ours)),
        ip_ids(at<std::uint32_t>(layout->ip_ids)),
        vnet_counts(at<vxlnat_counts>(layout->vnet_counts)),
        public_counts(at<vxlnat_counts>(layout->public_counts)) {}

 private:
  template <typename T>
  T* at(const vxlnat_region& region) {
    return reinterpret_cast<T*>(reinterpret_cast<std::uint8_t*>(layout) +
                                region.offset);
  }
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_SHARED_TABLES_H_
