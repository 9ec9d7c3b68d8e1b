// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Stage 5c and a part of 6: ICMP errors (RFC 5508 sections 4 and 5). An error
// is about a packet that this engine translated, and quotes its beginning.
// The quote finds the flow or 1:1 entry; error and quote are then translated
// together, checksums inside the quote included, so that the receiver sees a
// quote of what it sent. Errors never refresh, make or end a flow (I7).
//
// Before: parsed, an error, not a later fragment.
// After: translation and the quote_* fields are set.
// Drops: IcmpChecksum (I4), IcmpQuote (malformed, an error about an error),
// IcmpNoMatch, SpoofedSource, NoRule.

#include "engine/checksum.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

// What an error quotes.
struct Quote {
  bool sound = false;
  bool ports = false;  // the transport header's first 8 bytes are there
  std::size_t at = 0;  // offset of the quoted IPv4 header
  std::size_t l4 = 0;
  std::size_t l4_size = 0;  // bytes of the transport header and data quoted
  Ip4 src = 0;
  Ip4 dst = 0;
  std::uint8_t proto = 0;
  std::uint16_t sport = 0;
  std::uint16_t dport = 0;
};

// Ports, or what stands for them; false for an error about an error.
bool read_ports(const std::uint8_t* l4, Quote& q) {
  if (q.proto == kTcp || q.proto == kUdp) {
    q.ports = true;
    q.sport = get16(l4);
    q.dport = get16(l4 + 2);
  }
  if (q.proto != kIcmp) return true;
  const std::uint16_t id = get16(l4 + wire::icmp::kIdentifier);
  switch (l4[0]) {
    case wire::icmp::kEcho:
    case wire::icmp::kTimestamp:
      q.ports = true;
      q.sport = id;
      return true;
    case wire::icmp::kEchoReply:
    case wire::icmp::kTimestampReply:
      q.ports = true;
      q.dport = id;
      return true;
    default:
      return false;
  }
}

Quote read_quote(const Packet& p) {
  Quote q;
  q.at = std::size_t{p.l4} + wire::icmp::kSize;
  if (p.length < q.at + wire::ip::kSize) return q;
  const std::uint8_t* header = p.data + q.at;
  const std::size_t size = wire::ip::header_size(header);
  if (header[0] >> 4 != 4 || size < wire::ip::kSize || p.length < q.at + size ||
      checksum(header, size) != 0) {
    return q;
  }
  q.l4 = q.at + size;
  q.l4_size = p.length - q.l4;
  q.src = get32(header + wire::ip::kSrc);
  q.dst = get32(header + wire::ip::kDst);
  q.proto = header[wire::ip::kProto];
  const bool has_l4 = wire::ip::is_first(header) && q.l4_size >= 8;
  q.sound = !has_l4 || read_ports(p.data + q.l4, q);
  return q;
}

// Everything that can be said without the tables.
Drop check(const Packet& p, const Quote& q) {
  if (p.fragment) return Drop::kIcmpQuote;
  if (checksum(p.data + p.l4, p.length - p.l4) != 0) {
    return Drop::kIcmpChecksum;
  }
  return q.sound ? Drop::kCount : Drop::kIcmpQuote;
}

}  // namespace

Drop resolve_error_outbound(Context& c, Packet& p) {
  const Quote q = read_quote(p);
  const Drop reason = check(p, q);
  if (reason != Drop::kCount) return reason;
  if (c.rules.match(p.vnet_slot, p.src) == kNoSlot) {
    return Drop::kSpoofedSource;
  }
  // The error goes to who sent the quoted packet to us.
  if (q.src != p.dst) return Drop::kIcmpNoMatch;
  p.translation = {.dst = p.dst};
  p.quote_source = false;
  p.quote_ports = false;
  const vxlnat_flow* flow =
      q.ports ? c.flows.live_inside(
                    inside_key(p.vnet, q.proto, q.dst, q.dport, q.src, q.sport),
                    c.now)
              : nullptr;
  if (flow != nullptr) {
    p.rule = flow->rule;
    p.quote_ip = flow->public_ip;
    p.quote_port = flow->public_port;
    p.quote_ports = true;
  } else {
    const vxlnat_one_to_one* entry = c.one_to_ones.find_private(p.vnet, q.dst);
    if (entry == nullptr) return Drop::kIcmpNoMatch;
    if (!c.rules.is_live(entry->rule)) return Drop::kNoRule;
    p.rule = entry->rule;
    p.quote_ip = entry->public_ip;
  }
  // A router inside has no public address: it speaks as the one concerned.
  const vxlnat_one_to_one* own = c.one_to_ones.find_private(p.vnet, p.src);
  p.translation.src = own != nullptr ? own->public_ip : p.quote_ip;
  return Drop::kCount;
}

Drop resolve_error_inbound(Context& c, Packet& p) {
  const Quote q = read_quote(p);
  const Drop reason = check(p, q);
  if (reason != Drop::kCount) return reason;
  if (q.src != p.dst) return Drop::kIcmpNoMatch;
  p.translation = {.src = p.src};
  p.quote_source = true;
  p.quote_ports = false;
  const vxlnat_one_to_one* entry = c.one_to_ones.find_public(p.dst);
  if (entry != nullptr) {
    p.rule = entry->rule;
    p.vnet = entry->vni;
    p.vlan = entry->vlan;
    p.quote_ip = entry->private_ip;
  } else {
    const vxlnat_flow* flow =
        q.ports
            ? c.flows.live_outside(
                  outside_key(q.proto, q.src, q.sport, q.dst, q.dport), c.now)
            : nullptr;
    if (flow == nullptr) return Drop::kIcmpNoMatch;
    p.rule = flow->rule;
    p.vnet = flow->vni_proto >> 8;
    p.vlan = c.rules.at(flow->rule).vlan;
    p.quote_ip = flow->private_ip;
    p.quote_port = flow->private_port;
    p.quote_ports = true;
  }
  if (!c.rules.is_live(p.rule)) return Drop::kNoRule;
  p.vnet_slot = c.rules.at(p.rule).vnet_slot;
  p.translation.dst = p.quote_ip;
  return Drop::kCount;
}

namespace {

// Changes words inside an ICMP message and remembers what that does to its
// checksum.
class Patch {
 public:
  void set16(std::uint8_t* at, std::uint16_t value) {
    change_.word(get16(at), value);
    put16(at, value);
  }
  void set32(std::uint8_t* at, std::uint32_t value) {
    change_.address(get32(at), value);
    put32(at, value);
  }
  const Delta& change() const { return change_; }

 private:
  Delta change_;
};

// The checksum of the quoted transport header, if it is inside the quote.
void patch_l4_checksum(std::uint8_t* l4, const Quote& q, const Delta& pseudo,
                       const Delta& ports, Patch& patch) {
  std::size_t offset = wire::checksum_offset(q.proto);
  Delta change = ports;
  if (q.proto == kIcmp) {
    offset = wire::icmp::kChecksum;
  } else {
    change.add(pseudo);
  }
  if (offset == 0 || q.l4_size < offset + 2) return;
  const std::uint16_t old = get16(l4 + offset);
  if (q.proto == kUdp && old == 0) return;
  const std::uint16_t updated = change.update(old);
  patch.set16(l4 + offset, q.proto == kUdp && updated == 0 ? 0xffff : updated);
}

}  // namespace

void rewrite_quote(const Context& c, Packet& p) {
  const Quote q = read_quote(p);
  std::uint8_t* icmp = p.data + p.l4;
  std::uint8_t* header = p.data + q.at;
  std::uint8_t* l4 = p.data + q.l4;
  Patch patch;
  Delta pseudo;
  Delta ports;
  const Ip4 old_ip = p.quote_source ? q.src : q.dst;
  pseudo.address(old_ip, p.quote_ip);
  patch.set32(header + (p.quote_source ? wire::ip::kSrc : wire::ip::kDst),
              p.quote_ip);
  patch.set16(header + wire::ip::kChecksum,
              pseudo.update(get16(header + wire::ip::kChecksum)));
  if (p.quote_ports) {
    std::uint8_t* port = l4 + (p.quote_source ? 0 : 2);
    if (q.proto == kIcmp) port = l4 + wire::icmp::kIdentifier;
    ports.word(get16(port), p.quote_port);
    patch.set16(port, p.quote_port);
  }
  if (wire::ip::is_first(header)) {
    patch_l4_checksum(l4, q, pseudo, ports, patch);
  }
  // A fabric cannot carry more than its own MTU; never raise it (I16).
  if (p.quote_source && icmp[0] == wire::icmp::kUnreachable &&
      icmp[wire::icmp::kCode] == wire::icmp::kFragmentationNeeded &&
      get16(icmp + wire::icmp::kMtu) > c.config.inner_mtu) {
    patch.set16(icmp + wire::icmp::kMtu, c.config.inner_mtu);
  }
  patch.change().update_at(icmp + wire::icmp::kChecksum);
}

}  // namespace vxlnat
