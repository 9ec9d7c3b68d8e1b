// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The peer that the engine's figures are compared with: the same translation
// of an established UDP flow with the container a programmer takes first,
// std::unordered_map. It does only what the fast path cannot do without, so
// the comparison favours it.

#ifndef VXLNAT_BENCH_TWIN_H_
#define VXLNAT_BENCH_TWIN_H_

#include <unordered_map>

#include "engine/checksum.h"
#include "engine/flow_table.h"
#include "engine/wire.h"

namespace vxlnat::bench {

struct KeyHash {
  HashKey key{1, 2};
  std::size_t operator()(const FlowKey& k) const {
    return hash16(key, k.a, k.b);
  }
};

struct TwinFlow {
  Ip4 public_ip = 0;
  std::uint16_t public_port = 0;
  std::uint64_t last_seen = 0;
  std::uint64_t packets = 0;
};

class Twin {
 public:
  void add(const FlowKey& key, const TwinFlow& flow) { flows_[key] = flow; }

  // Translates a datagram in place; false when there is no flow.
  bool translate(std::uint8_t* datagram, std::uint64_t now) {
    std::uint8_t* ip = datagram + wire::kVxlanSize + wire::kEthernetSize;
    std::uint8_t* l4 = ip + wire::ip::kSize;
    if (checksum(ip, wire::ip::kSize) != 0) return false;
    const Ip4 src = get32(ip + wire::ip::kSrc);
    const std::uint16_t sport = get16(l4);
    const auto found =
        flows_.find(inside_key(get32(datagram + 4) >> 8, kUdp, src, sport,
                               get32(ip + wire::ip::kDst), get16(l4 + 2)));
    if (found == flows_.end()) return false;
    TwinFlow& flow = found->second;
    flow.last_seen = now;
    flow.packets++;
    Delta addresses;
    addresses.address(src, flow.public_ip);
    Delta ports = addresses;
    ports.word(sport, flow.public_port);
    put32(ip + wire::ip::kSrc, flow.public_ip);
    put16(l4, flow.public_port);
    ports.update_udp_at(l4 + wire::udp::kChecksum);
    const std::uint16_t life = get16(ip + wire::ip::kTtl);
    ip[wire::ip::kTtl]--;
    addresses.word(life, get16(ip + wire::ip::kTtl));
    addresses.update_at(ip + wire::ip::kChecksum);
    return true;
  }

 private:
  std::unordered_map<FlowKey, TwinFlow, KeyHash> flows_;
};

}  // namespace vxlnat::bench

#endif  // VXLNAT_BENCH_TWIN_H_
