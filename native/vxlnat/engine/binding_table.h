// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Endpoint-independent mappings: {vnet, protocol, private IP, private port}
// <-> {public IP, public port}, for all remotes (RFC 4787 section 4.1). Each
// flow of such an endpoint is a flow like any other and holds its binding. A
// binding without flows maps nothing, but keeps its port from others for two
// minutes, and the endpoint gets it back (RFC 6888 REQ-8; facts:
// nat-behaviour P8).

#ifndef VXLNAT_ENGINE_BINDING_TABLE_H_
#define VXLNAT_ENGINE_BINDING_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/bucket_index.h"
#include "engine/config.h"
#include "engine/hash.h"
#include "engine/port_maps.h"

namespace vxlnat {

struct Binding {
  std::uint32_t vni_proto = 0;  // vni << 8 | protocol
  Ip4 private_ip = 0;
  Ip4 public_ip = 0;
  std::uint16_t private_port = 0;
  std::uint16_t public_port = 0;
  std::uint32_t rule = 0;  // the pool member; next when free
  std::uint32_t flows = 0;
  Tick idle_since = 0;  // without flows
  bool used = false;
  bool counted = false;   // a use of its host
  bool in_block = false;  // its port is of a block of its host
};

class BindingTable {
 public:
  // How long a port is kept for its endpoint when no flow uses it.
  static constexpr Tick kHold = 120000;

  BindingTable(const EngineConfig& config, const HashKey& key)
      : bindings_(size_for(config)),
        buckets_(BucketIndex::buckets_for(bindings_.size() * 2)),
        index_(buckets_.data(), buckets_.size()),
        key_(key),
        maps_(std::max<std::uint32_t>(1, config.max_port_maps / 16)) {
    for (std::size_t i = bindings_.size(); i-- > 0;) {
      bindings_[i].rule = free_;
      free_ = static_cast<std::uint32_t>(i) + 1;
    }
  }

  Binding* find_private(std::uint32_t vni_proto, Ip4 ip, std::uint16_t port) {
    const std::uint64_t h = private_hash(vni_proto, ip, port);
    return at(index_.find(h, [&](std::uint32_t ref) {
      const Binding& b = bindings_[ref / 2 - 1];
      return (ref & 1) == 1 && b.private_ip == ip && b.private_port == port &&
             b.vni_proto == vni_proto;
    }));
  }

  Binding* find_public(std::uint8_t proto, Ip4 ip, std::uint16_t port) {
    if (count_ == 0) return nullptr;
    const std::uint64_t h = public_hash(proto, ip, port);
    return at(index_.find(h, [&](std::uint32_t ref) {
      const Binding& b = bindings_[ref / 2 - 1];
      return (ref & 1) == 0 && b.public_ip == ip && b.public_port == port &&
             static_cast<std::uint8_t>(b.vni_proto) == proto;
    }));
  }

  // Adds a binding of which neither side is there; null when full.
  Binding* add(const Binding& like) {
    if (free_ == 0) return nullptr;
    const std::uint32_t place = free_;
    Binding& b = bindings_[place - 1];
    free_ = b.rule;
    b = like;
    b.used = true;
    count_++;
    index_.insert(private_hash(b.vni_proto, b.private_ip, b.private_port),
                  place * 2 + 1);
    index_.insert(public_hash(static_cast<std::uint8_t>(b.vni_proto),
                              b.public_ip, b.public_port),
                  place * 2);
    maps_.set(map_key(b), b.public_port, true);
    return &b;
  }

  void remove(Binding& b) {
    const auto place = static_cast<std::uint32_t>(&b - bindings_.data()) + 1;
    index_.remove(private_hash(b.vni_proto, b.private_ip, b.private_port),
                  place * 2 + 1);
    index_.remove(public_hash(static_cast<std::uint8_t>(b.vni_proto),
                              b.public_ip, b.public_port),
                  place * 2);
    maps_.set(map_key(b), b.public_port, false);
    b.used = false;
    b.rule = free_;
    free_ = place;
    count_--;
  }

  static bool is_over(const Binding& b, Tick now) {
    return b.flows == 0 && now - b.idle_since >= kHold;
  }

  std::size_t size() const { return bindings_.size(); }
  std::uint32_t count() const { return count_; }
  bool is_full() const { return free_ == 0; }
  Binding& at_index(std::size_t i) { return bindings_[i]; }
  // Which ports are bound, towards everybody.
  PortMaps& maps() { return maps_; }
  static PortMapKey map_key(const Binding& b) {
    return {b.public_ip, 0, 0, static_cast<std::uint8_t>(b.vni_proto)};
  }

 private:
  static std::size_t size_for(const EngineConfig& config) {
    if (config.max_bindings != 0) {
      return std::min(config.max_bindings, config.max_flows);
    }
    return std::clamp<std::size_t>(config.max_flows / 8, 1, 1u << 24);
  }
  std::uint64_t private_hash(std::uint32_t vni_proto, Ip4 ip,
                             std::uint16_t port) const {
    return hash16(key_, std::uint64_t{vni_proto} << 32 | ip, port);
  }
  std::uint64_t public_hash(std::uint8_t proto, Ip4 ip,
                            std::uint16_t port) const {
    return hash16(key_, std::uint64_t{proto} << 32 | ip,
                  std::uint64_t{1} << 32 | port);
  }
  Binding* at(std::uint32_t ref) {
    return ref == 0 ? nullptr : &bindings_[ref / 2 - 1];
  }

  std::vector<Binding> bindings_;
  std::vector<vxlnat_bucket> buckets_;
  BucketIndex index_;  // private side odd, public side even, as flows
  HashKey key_;
  PortMaps maps_;
  std::uint32_t free_ = 0;  // index + 1
  std::uint32_t count_ = 0;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_BINDING_TABLE_H_
