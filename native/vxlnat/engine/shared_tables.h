// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Lays out the memory that the packet tables share with a BPF program: the
// header of layout.h first, then each region on a 64-byte border.

#ifndef VXLNAT_ENGINE_SHARED_TABLES_H_
#define VXLNAT_ENGINE_SHARED_TABLES_H_

#include <cstdint>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/flow_table.h"
#include "engine/layout.h"
#include "engine/one_to_one.h"
#include "engine/remote_table.h"

namespace vxlnat {

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
  layout.flow_buckets = buckets(std::uint64_t{config.max_flows} * 2);
  layout.flows = region(config.max_flows, sizeof(vxlnat_flow));
  layout.rules = region(config.max_rules, sizeof(vxlnat_rule));
  layout.one_to_one_buckets =
      buckets(std::uint64_t{config.max_one_to_ones} * 2);
  layout.one_to_ones =
      region(config.max_one_to_ones, sizeof(vxlnat_one_to_one));
  layout.remote_buckets = buckets(config.max_remotes);
  layout.remotes = region(config.max_remotes, sizeof(vxlnat_remote));
  layout.bytes = at;
  return layout;
}

// Typed views on planned, zeroed memory.
struct SharedTables {
  FlowTable::Memory flows;
  vxlnat_rule* rules;
  OneToOneTable::Memory one_to_ones;
  RemoteTable::Memory remotes;

  SharedTables(std::uint8_t* base, const vxlnat_layout& layout)
      : flows{at<vxlnat_bucket>(base, layout.flow_buckets),
              layout.flow_buckets.count, at<vxlnat_flow>(base, layout.flows),
              at<vxlnat_rule>(base, layout.rules)},
        rules(at<vxlnat_rule>(base, layout.rules)),
        one_to_ones{at<vxlnat_bucket>(base, layout.one_to_one_buckets),
                    layout.one_to_one_buckets.count,
                    at<vxlnat_one_to_one>(base, layout.one_to_ones)},
        remotes{at<vxlnat_bucket>(base, layout.remote_buckets),
                layout.remote_buckets.count,
                at<vxlnat_remote>(base, layout.remotes)} {}

 private:
  template <typename T>
  static T* at(std::uint8_t* base, const vxlnat_region& region) {
    return reinterpret_cast<T*>(base + region.offset);
  }
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_SHARED_TABLES_H_
