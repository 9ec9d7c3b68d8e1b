// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What each vnet and each public address has carried and holds: a page at a
// time, for operators. Rows of counts are summed here, where nobody waits.

#include <algorithm>
#include <atomic>
#include <iterator>

#include "engine/context.h"
#include "engine/engine.h"

namespace vxlnat {

namespace {

std::uint64_t read(const std::uint64_t& value) {
  return std::atomic_ref(const_cast<std::uint64_t&>(value))
      .load(std::memory_order_relaxed);
}

void add(Traffic& to, const vxlnat_counts& row) {
  to.packets_out += read(row.packets_out);
  to.bytes_out += read(row.bytes_out);
  to.packets_in += read(row.packets_in);
  to.bytes_in += read(row.bytes_in);
}

Traffic sum(const vxlnat_counts* first_row, std::size_t slots,
            std::uint32_t rows, std::uint32_t slot) {
  Traffic all;
  for (std::uint32_t row = 0; row < rows; row++) {
    add(all, first_row[slots * row + slot]);
  }
  return all;
}

// Flow records looked at in one call of scan_hot, and slots in one of list_*.
constexpr std::uint64_t kHotScan = 1024;
constexpr std::uint32_t kListed = 1024;

// Where a list call that begins at `at` stops looking.
std::uint32_t list_until(std::uint32_t at, std::uint32_t size) {
  return at >= size ? size : at + std::min(kListed, size - at);
}

}  // namespace

std::vector<HotRemote> HotScan::result(std::size_t most) const {
  std::vector<HotRemote> all;
  std::copy_if(cells_.begin(), cells_.end(), std::back_inserter(all),
               [](const HotRemote& cell) { return cell.flows > 0; });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.public_ip != b.public_ip ? a.public_ip < b.public_ip
                                      : a.flows > b.flows;
  });
  std::vector<HotRemote> hottest;
  std::size_t same = 0;
  for (const HotRemote& each : all) {
    same = !hottest.empty() && hottest.back().public_ip == each.public_ip
               ? same + 1
               : 0;
    if (same < most) hottest.push_back(each);
  }
  return hottest;
}

bool Engine::scan_hot(HotScan& scan) const {
  const FlowTable& flows = context_->flows;
  const std::uint64_t end =
      std::min<std::uint64_t>(scan.at + kHotScan, flows.size());
  for (; scan.at < end; scan.at++) {
    const vxlnat_flow& flow = flows.at(static_cast<std::uint32_t>(scan.at));
    if (is_live(static_cast<FlowState>(flow.state))) scan.vote(flow);
  }
  return scan.at < flows.size();
}

std::size_t Engine::list_vnets(std::span<VnetInfo> out,
                               std::uint32_t* cursor) const {
  Context& c = *context_;
  std::size_t n = 0;
  std::uint32_t& at = *cursor;
  const std::uint32_t until = list_until(at, c.config.max_vnets);
  for (; at < until && n < out.size(); at++) {
    const Vnet& vnet = c.rules.vnet(at);
    if (vnet.live_rules == 0) continue;
    VnetInfo& to = out[n++];
    to.vnet = vnet.vni;
    to.flows = c.accounts.vnet(at).flows;
    to.opening = c.accounts.vnet(at).opening;
    to.tally = c.flows.vnet_tally(at);
    to.traffic = sum(c.vnet_counts, c.config.max_vnets, c.config.rows, at);
    const std::uint32_t* drops = c.vnet_drops.of(at);
    std::copy(drops, drops + kDropCount, to.drops.begin());
  }
  if (at >= c.config.max_vnets) at = kListEnd;
  return n;
}

std::size_t Engine::list_publics(std::span<PublicInfo> out,
                                 std::uint32_t* cursor) const {
  const Context& c = *context_;
  std::size_t n = 0;
  std::uint32_t& at = *cursor;
  const std::uint32_t all = c.config.max_rules + c.one_to_ones.size();
  const std::uint32_t until = list_until(at, all);
  for (; at < until && n < out.size(); at++) {
    PublicInfo info;
    if (at < c.config.max_rules) {
      const vxlnat_public& address = c.rules.public_at(at);
      if (address.rules == 0) continue;
      info.ip = address.ip;
      info.flows = c.accounts.public_flows(at);
      info.tally = c.flows.public_tally(at);
      info.traffic =
          sum(c.public_counts, c.config.max_rules, c.config.rows, at);
    } else {
      const vxlnat_one_to_one& entry =
          c.one_to_ones.at_index(at - c.config.max_rules);
      if (entry.used == 0) continue;
      info.ip = entry.public_ip;
      info.one_to_one = true;
      info.vnet = entry.vni;
      info.traffic = {read(entry.packets_out), read(entry.bytes_out),
                      read(entry.packets_in), read(entry.bytes_in)};
    }
    out[n++] = info;
  }
  if (at >= all) at = kListEnd;
  return n;
}

}  // namespace vxlnat
