// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The steps of the look-ahead; see look_ahead.h.

#include "engine/look_ahead.h"

#include "engine/checksum.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::size_t kPorts = 4;

bool is_plain(const std::uint8_t* ip) {
  const std::uint8_t proto = ip[wire::ip::kProto];
  return ip[0] == 0x45 && (proto == kTcp || proto == kUdp);
}

// The plain inner IPv4 header of a datagram, or null.
std::uint8_t* inner_header(const Packet& p) {
  std::size_t at = wire::kVxlanSize + wire::kEthernetSize;
  if (p.length < at + wire::ip::kSize + kPorts) return nullptr;
  if (get16(p.data + at - 2) == wire::kTypeTag) {
    at += wire::kTagSize;
    if (p.length < at + wire::ip::kSize + kPorts) return nullptr;
  }
  return is_plain(p.data + at) ? p.data + at : nullptr;
}

// Whether decap would take the tunnel's headers off and change nothing else.
bool is_quiet_tunnel(const Context& c, const Packet& p,
                     const std::uint8_t* ip) {
  const unsigned outer = p.path.tos & wire::ip::kEcnMask;
  return (p.data[0] & wire::kVxlanHasVni) != 0 &&
         get16(ip - 2) == wire::kTypeIpv4 && c.serves(p.path.local_ip) &&
         (outer == 0 || outer == (ip[wire::ip::kTos] & wire::ip::kEcnMask));
}

bool is_quiet_udp(const std::uint8_t* l4, std::size_t left) {
  const std::size_t size = get16(l4 + wire::udp::kLength);
  return size >= wire::udp::kSize && size <= left;
}

bool is_quiet_tcp(const std::uint8_t* l4, std::size_t left) {
  using namespace wire::tcp;
  if (left < kSize || (l4[kFlags] & (kSyn | kFin | kRst)) != 0) return false;
  const std::size_t size = static_cast<std::size_t>(l4[kOffset] >> 4) * 4;
  return size >= kSize && size <= left;
}

// What `parse` would find sound, of a plain packet with `room` bytes.
FlowState quiet_state(const Packet& p, const std::uint8_t* ip,
                      std::size_t room) {
  const std::size_t total = get16(ip + wire::ip::kLength);
  if (total < wire::ip::kSize + wire::udp::kSize || total > room ||
      ip[wire::ip::kTtl] <= 1 || wire::ip::is_fragment(ip) ||
      p.offload.partial || p.offload.segment != 0 || !is_sound_header(ip)) {
    return FlowState::kFree;
  }
  const std::uint8_t* l4 = ip + wire::ip::kSize;
  const std::size_t left = total - wire::ip::kSize;
  if (ip[wire::ip::kProto] == kUdp) {
    return is_quiet_udp(l4, left) ? FlowState::kUdpFlow : FlowState::kFree;
  }
  return is_quiet_tcp(l4, left) ? FlowState::kTcpEstablished : FlowState::kFree;
}

}  // namespace

void LookAhead::read_outbound(const Context& c, std::span<Packet> packets) {
  for (std::size_t i = 0; i < packets.size(); i++) {
    const Packet& p = packets[i];
    std::uint8_t* const ip = inner_header(p);
    header_[i] = ip;
    a_[i] = b_[i] = 0;
    if (ip == nullptr) continue;
    const std::uint8_t* l4 = ip + wire::ip::kSize;
    const Ip4 dst = get32(ip + wire::ip::kDst);
    c.prefetch_filter(dst);
    const FlowKey key =
        inside_key(get32(p.data + 4) >> 8, ip[wire::ip::kProto],
                   get32(ip + wire::ip::kSrc), get16(l4), dst, get16(l4 + 2));
    a_[i] = key.a;
    b_[i] = key.b;
    const auto room = p.length - static_cast<std::size_t>(ip - p.data);
    quiet_in_[i] =
        is_quiet_tunnel(c, p, ip) ? quiet_state(p, ip, room) : FlowState::kFree;
  }
}

void LookAhead::read_inbound(std::span<Packet> packets) {
  for (std::size_t i = 0; i < packets.size(); i++) {
    const Packet& p = packets[i];
    const bool plain = p.length >= wire::ip::kSize + kPorts && is_plain(p.data);
    std::uint8_t* const ip = plain ? p.data : nullptr;
    header_[i] = ip;
    a_[i] = b_[i] = 0;
    if (ip == nullptr) continue;
    const std::uint8_t* l4 = ip + wire::ip::kSize;
    const FlowKey key =
        outside_key(ip[wire::ip::kProto], get32(ip + wire::ip::kDst),
                    get16(l4 + 2), get32(ip + wire::ip::kSrc), get16(l4));
    a_[i] = key.a;
    b_[i] = key.b;
    quiet_in_[i] = quiet_state(p, ip, p.length);
  }
}

void LookAhead::find(const Context& c, std::size_t count, bool inbound) {
  const FlowTable& flows = c.flows;
  hash16_many(c.key, a_, b_, hash_, count);
  for (std::size_t i = 0; i < count; i++) flows.prefetch(hash_[i]);
  for (std::size_t i = 0; i < count; i++) {
    flow_[i] = header_[i] == nullptr ? nullptr : flows.candidate(hash_[i]);
    if (flow_[i] != nullptr) __builtin_prefetch(flow_[i], 1);
  }
  for (std::size_t i = 0; i < count; i++) {
    if (flow_[i] == nullptr) continue;
    c.rules.prefetch(flow_[i]->rule);
    if (inbound || c.config.check_senders) c.remotes.prefetch(flow_[i]->host);
  }
  find_hosts(c, count, inbound);
}

void LookAhead::find_hosts(const Context& c, std::size_t count, bool inbound) {
  std::size_t at[kMost];
  std::uint64_t vnets[kMost];
  std::uint64_t ips[kMost];
  std::uint64_t hashes[kMost];
  std::size_t n = 0;
  for (std::size_t i = 0; i < count; i++) {
    host_hash_[i] = 0;
    entry_[i] = nullptr;
    if (header_[i] == nullptr || flow_[i] != nullptr) continue;
    at[n] = i;
    vnets[n] = inbound ? OneToOneTable::kOutside : a_[i] >> 40;
    ips[n++] = static_cast<Ip4>(a_[i]);
  }
  if (n == 0) return;
  hash16_many(c.key, vnets, ips, hashes, n);
  for (std::size_t j = 0; j < n; j++) {
    host_hash_[at[j]] = hashes[j];
    c.one_to_ones.prefetch(hashes[j]);
    if (!inbound) c.remotes.prefetch_bucket(hashes[j]);
  }
  for (std::size_t j = 0; j < n; j++) {
    vxlnat_one_to_one* entry = c.one_to_ones.candidate(hashes[j]);
    entry_[at[j]] = entry;
    if (entry != nullptr) __builtin_prefetch(entry, 1);
  }
  for (std::size_t j = 0; j < n; j++) {
    const vxlnat_one_to_one* entry = entry_[at[j]];
    if (entry == nullptr) continue;
    c.rules.prefetch(entry->rule);
    c.remotes.prefetch(entry->host);
  }
}

}  // namespace vxlnat
