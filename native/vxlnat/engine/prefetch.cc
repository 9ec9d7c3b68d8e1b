// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Looks ahead over a burst, in steps, each of which asks for the memory that
// the next one reads: keys from the bytes; hashes, all at once, and their
// buckets; the flow records; what these lead to. By the time a packet's turn
// comes its memory is there. What is not a plain TCP or UDP packet is passed
// over. Nothing is decided: the hash only spares the stage that looks the flow
// up from computing it again.

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
  explicit Ahead(const Context& c) : c_(c) {}

  void add(Packet& p, const FlowKey& key) {
    packets_[count_] = &p;
    a_[count_] = key.a;
    b_[count_] = key.b;
    count_++;
  }

  void finish(bool inbound) {
    const FlowTable& flows = c_.flows;
    hash16_many(c_.key, a_, b_, count_);
    for (std::size_t i = 0; i < count_; i++) {
      packets_[i]->flow_hash = a_[i];
      flows.prefetch(a_[i]);
    }
    std::size_t found = 0;
    for (std::size_t i = 0; i < count_; i++) {
      const vxlnat_flow* flow = flows.candidate(a_[i]);
      if (flow == nullptr) continue;
      __builtin_prefetch(flow, 1);
      flows_[found++] = flow;
    }
    for (std::size_t i = 0; i < found; i++) {
      c_.rules.prefetch(flows_[i]->rule);
      if (inbound) c_.remotes.prefetch(flows_[i]->host);
    }
  }

 private:
  const Context& c_;
  std::size_t count_ = 0;
  Packet* packets_[kMost];
  std::uint64_t a_[kMost];  // the keys' halves; then the hashes
  std::uint64_t b_[kMost];
  const vxlnat_flow* flows_[kMost];
};

}  // namespace

void prefetch_outbound(const Context& c, std::span<Packet> packets) {
  Ahead ahead(c);
  for (Packet& p : packets.first(std::min(packets.size(), kMost))) {
    const std::uint8_t* ip = inner_header(p);
    if (ip == nullptr || !is_plain(ip)) continue;
    const std::uint8_t* l4 = ip + wire::ip::kSize;
    c.prefetch_filter(get32(ip + wire::ip::kDst));
    ahead.add(p, inside_key(get32(p.data + 4) >> 8, ip[wire::ip::kProto],
                            get32(ip + wire::ip::kSrc), get16(l4),
                            get32(ip + wire::ip::kDst), get16(l4 + 2)));
  }
  ahead.finish(false);
}

void prefetch_inbound(const Context& c, std::span<Packet> packets) {
  Ahead ahead(c);
  for (Packet& p : packets.first(std::min(packets.size(), kMost))) {
    if (p.length < wire::ip::kSize + 4 || !is_plain(p.data)) continue;
    const std::uint8_t* l4 = p.data + wire::ip::kSize;
    ahead.add(p, outside_key(p.data[wire::ip::kProto],
                             get32(p.data + wire::ip::kDst), get16(l4 + 2),
                             get32(p.data + wire::ip::kSrc), get16(l4)));
  }
  ahead.finish(true);
}

}  // namespace vxlnat
