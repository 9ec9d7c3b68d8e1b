// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Blocks of public ports that belong to one host each, so that a log needs a
// line for a block and not for a flow (RFC 6888 REQ-14; facts: nat-behaviour
// P10). A block is 64 to 1024 ports, a power of two, and begins at a multiple
// of its size. It is indexed by granules of 64 ports, so that blocks of any
// sizes never overlap. It lives as long as a port of it is in use.

#ifndef VXLNAT_ENGINE_BLOCK_TABLE_H_
#define VXLNAT_ENGINE_BLOCK_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/hash.h"
#include "engine/port_maps.h"

namespace vxlnat {

struct Block {
  Ip4 public_ip = 0;
  std::uint32_t vnet_slot = 0;  // the host's
  Vni vnet = 0;
  Ip4 host = 0;
  PortRange ports;
  std::uint32_t uses = 0;
  std::uint32_t next = 0;  // of the same host, index + 1; next free
};

class BlockTable {
 public:
  static constexpr std::uint32_t kGranule = 64;
  static constexpr std::uint32_t kLargest = 1024;

  BlockTable(const EngineConfig& config, const HashKey& key)
      : blocks_(size_for(config)),
        buckets_(BucketIndex::buckets_for(blocks_.size())),
        index_(buckets_.data(), buckets_.size()),
        key_(key),
        granules_left_(static_cast<std::uint32_t>(blocks_.size())) {
    for (std::size_t i = blocks_.size(); i-- > 0;) {
      blocks_[i].next = free_;
      free_ = static_cast<std::uint32_t>(i) + 1;
    }
  }

  static bool is_size(std::uint32_t size) {
    return size >= kGranule && size <= kLargest && (size & (size - 1)) == 0;
  }
  // Whole blocks in a range: where the first begins, and how many.
  static std::uint32_t first_of(PortRange range, std::uint32_t size) {
    return (range.low + size - 1) / size * size;
  }
  static std::uint32_t count_of(PortRange range, std::uint32_t size) {
    const std::uint32_t first = first_of(range, size);
    return first > range.high ? 0 : (range.high + 1u - first) / size;
  }

  // Whose block the port is in, index + 1; 0: nobody's.
  std::uint32_t owner(Ip4 public_ip, std::uint16_t port) const {
    if (count_ == 0) return 0;
    return index_.find(hash(public_ip, port / kGranule), [&](std::uint32_t r) {
      return blocks_[r - 1].public_ip == public_ip &&
             blocks_[r - 1].ports.holds(port);
    });
  }
  Block& at(std::uint32_t ref) { return blocks_[ref - 1]; }
  std::uint32_t count() const { return count_; }

  bool is_free(Ip4 public_ip, PortRange ports) const {
    for (std::uint32_t p = ports.low; p <= ports.high; p += kGranule) {
      if (owner(public_ip, static_cast<std::uint16_t>(p)) != 0) return false;
    }
    return true;
  }

  // Makes a block of ports that are free; 0 when there is no room.
  std::uint32_t add(const Block& like) {
    const std::uint32_t granules = like.ports.size() / kGranule;
    if (free_ == 0 || granules_left_ < granules) return 0;
    const std::uint32_t ref = free_;
    free_ = blocks_[ref - 1].next;
    blocks_[ref - 1] = like;
    each_granule(like, [&](std::uint64_t h) { index_.insert(h, ref); });
    granules_left_ -= granules;
    count_++;
    return ref;
  }

  void remove(std::uint32_t ref) {
    Block& block = blocks_[ref - 1];
    each_granule(block, [&](std::uint64_t h) { index_.remove(h, ref); });
    granules_left_ += block.ports.size() / kGranule;
    block.next = free_;
    free_ = ref;
    count_--;
  }

 private:
  static std::size_t size_for(const EngineConfig& config) {
    if (config.max_blocks != 0) return config.max_blocks;
    return std::max<std::size_t>(64, config.max_flows / 16);
  }
  std::uint64_t hash(Ip4 public_ip, std::uint32_t granule) const {
    return hash16(key_, public_ip, granule);
  }
  template <typename Visit>
  void each_granule(const Block& block, Visit&& visit) const {
    for (std::uint32_t p = block.ports.low; p <= block.ports.high;
         p += kGranule) {
      visit(hash(block.public_ip, p / kGranule));
    }
  }

  std::vector<Block> blocks_;
  std::vector<vxlnat_bucket> buckets_;
  BucketIndex index_;  // ref: index + 1, once for each granule
  HashKey key_;
  std::uint32_t granules_left_;
  std::uint32_t free_ = 0;  // index + 1
  std::uint32_t count_ = 0;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_BLOCK_TABLE_H_
