// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Looks ahead over a burst: computes each packet's flow hash from the bytes,
// asks for the bucket, then for the record it points at, so that by the time
// a packet's turn comes its memory is there. What is not a plain TCP or UDP
// packet is passed over. Nothing is decided: the hash only spares the stage
// that looks the flow up from computing it again.

#include <algorithm>

#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::size_t kMost = 64;

// The inner IPv4 header and its VNI, or null.
const std::uint8_t* inner_header(const Packet& p) {
  std::size_t at = wire::kVxlanSize + wire::kEthernetSize;
  if (p.length < at + wire::kTagSize) return nullptr;
  if (get16(p.data + at - 2) == wire::kTypeTag) at += wire::kTagSize;
  return p.length < at + wire::ip::kSize + 4 ? nullptr : p.data + at;
}

bool is_plain(const std::uint8_t* ip) {
  const std::uint8_t proto = ip[wire::ip::kProto];
  return ip[0] == 0x45 && (proto == kTcp || proto == kUdp);
}

class Ahead {
 public:
  explicit Ahead(const FlowTable& flows) : flows_(flows) {}
  void add(Packet& p, const FlowKey& key) {
    p.flow_hash = flows_.hash(key);
    hashes_[count_++] = p.flow_hash;
    flows_.prefetch(p.flow_hash);
  }
  void finish() const {
    for (std::size_t i = 0; i < count_; i++) {
      flows_.prefetch_record(hashes_[i]);
    }
  }

 private:
  const FlowTable& flows_;
  std::size_t count_ = 0;
  std::uint64_t hashes_[kMost];
};

}  // namespace

void prefetch_outbound(const Context& c, std::span<Packet> packets) {
  Ahead ahead(c.flows);
  for (Packet& p : packets.first(std::min(packets.size(), kMost))) {
    const std::uint8_t* ip = inner_header(p);
    if (ip == nullptr || !is_plain(ip)) continue;
    const std::uint8_t* l4 = ip + wire::ip::kSize;
    ahead.add(p, inside_key(get32(p.data + 4) >> 8, ip[wire::ip::kProto],
                            get32(ip + wire::ip::kSrc), get16(l4),
                            get32(ip + wire::ip::kDst), get16(l4 + 2)));
  }
  ahead.finish();
}

void prefetch_inbound(const Context& c, std::span<Packet> packets) {
  Ahead ahead(c.flows);
  for (Packet& p : packets.first(std::min(packets.size(), kMost))) {
    if (p.length < wire::ip::kSize + 4 || !is_plain(p.data)) continue;
    const std::uint8_t* l4 = p.data + wire::ip::kSize;
    ahead.add(p, outside_key(p.data[wire::ip::kProto],
                             get32(p.data + wire::ip::kDst), get16(l4 + 2),
                             get32(p.data + wire::ip::kSrc), get16(l4)));
  }
  ahead.finish();
}

}  // namespace vxlnat
