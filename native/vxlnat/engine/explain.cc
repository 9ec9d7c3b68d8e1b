// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What would become of a packet: it is built and goes through the very stages
// that a real one passes, and its story is the answer. Nothing remains of it.
// While it passes, the tables are told to remember nothing (`set_dry`: flows
// are copies, nobody waits, no question is asked), what is small is put back
// afterwards, and nothing is sent.

#include <cstring>

#include "engine/checksum.h"
#include "engine/context.h"
#include "engine/engine.h"
#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

constexpr std::size_t kFrameSize = wire::kVxlanSize + wire::kEthernetSize;
constexpr std::size_t kMostSize = 9000;

// Undoes at its end what a packet does to small things, and keeps it from
// doing anything to large ones.
class Dry {
 public:
  explicit Dry(Context& c)
      : c_(c),
        stats_(c.stats),
        random_(c.random),
        icmp_limit_(c.icmp_limit),
        out_(c.out) {
    set(true);
    c.stats.events = nullptr;
    c.accounts.set_events(nullptr);
    c.stats.vnet_drops = nullptr;
    c.out = nullptr;
    c.taps.begin_question();
  }
  Dry(const Dry&) = delete;
  Dry& operator=(const Dry&) = delete;
  ~Dry() {
    c_.taps.end_question();
    set(false);
    c_.stats = stats_;
    c_.accounts.set_events(stats_.events);
    c_.random = random_;
    c_.icmp_limit = icmp_limit_;
    c_.out = out_;
  }

 private:
  void set(bool dry) {
    c_.dry = dry;
    c_.flows.set_dry(dry);
    c_.accounts.set_dry(dry);
    c_.remotes.set_dry(dry);
  }

  Context& c_;
  const Stats stats_;
  const Random random_;
  const RateLimit icmp_limit_;
  Outbox* const out_;
};

std::size_t least_size(std::uint8_t proto) {
  return wire::ip::kSize +
         (proto == kTcp ? wire::tcp::kSize : wire::udp::kSize);
}

void put_l4(const Question& q, std::uint8_t* l4, std::size_t size) {
  const std::size_t at =
      q.proto == kIcmp ? wire::icmp::kChecksum : wire::checksum_offset(q.proto);
  if (q.proto == kIcmp) {
    l4[0] = q.icmp_type;
    put16(l4 + wire::icmp::kIdentifier, q.sport != 0 ? q.sport : q.dport);
    put16(l4 + at, checksum(l4, size));
    return;
  }
  if (at == 0) return;
  put16(l4, q.sport);
  put16(l4 + 2, q.dport);
  if (q.proto == kTcp) {
    l4[wire::tcp::kOffset] = 0x50;
    l4[wire::tcp::kFlags] = q.tcp_flags;
  } else {
    put16(l4 + wire::udp::kLength, static_cast<std::uint16_t>(size));
  }
  put16(l4 + at, checksum(l4, size, pseudo_sum(q.src, q.dst, q.proto, size)));
}

void put_packet(const Question& q, std::uint8_t* ip) {
  ip[0] = 0x45;
  put16(ip + wire::ip::kLength, q.size);
  put16(ip + wire::ip::kFragment, wire::ip::kDontFragment);
  ip[wire::ip::kTtl] = q.ttl;
  ip[wire::ip::kProto] = q.proto;
  put32(ip + wire::ip::kSrc, q.src);
  put32(ip + wire::ip::kDst, q.dst);
  put16(ip + wire::ip::kChecksum, checksum(ip, wire::ip::kSize));
  put_l4(q, ip + wire::ip::kSize, q.size - wire::ip::kSize);
}

// The frame as the host would send it, from where it is known to live.
void put_frame(const Context& c, const Question& q, Packet& p) {
  p.data[0] = wire::kVxlanHasVni;
  put32(p.data + 4, q.vnet << 8);
  std::uint8_t* ethernet = p.data + wire::kVxlanSize;
  const std::uint32_t slot = c.rules.find_vnet(q.vnet);
  if (slot != kNoSlot) {
    std::uint32_t rule = c.rules.match(slot, q.src);
    if (rule == kNoSlot) rule = c.rules.first_rule(slot);
    put_mac(ethernet, c.rules.at(rule).router_mac);
  }
  put16(ethernet + 12, wire::kTypeIpv4);
  p.path.local_ip = c.first_ul3();
  const vxlnat_remote* host = c.remotes.known(q.vnet, q.src);
  if (host != nullptr) {
    put_mac(ethernet + 6, host->mac);
    p.path.peer_ip = host->ul3_ip;
  }
}

}  // namespace

const char* Engine::explain(const Question& q, Tick now, std::string* answer) {
  Context& c = *context_;
  if (q.vnet > kMaxVni) return "the vnet must be at most 16777215";
  if (q.size < least_size(q.proto) || q.size > kMostSize) {
    return "the size is not that of such a packet";
  }
  if (q.proto == kIcmp && q.icmp_type != wire::icmp::kEcho &&
      q.icmp_type != wire::icmp::kEchoReply) {
    return "of ICMP only echo can be explained";
  }
  std::vector<std::uint8_t> memory(kHeadroom + kFrameSize + q.size);
  Packet p;
  p.data = memory.data() + kHeadroom;
  p.length = q.size;
  put_packet(q, p.data + (q.outbound ? kFrameSize : 0));
  if (q.outbound) {
    p.length += kFrameSize;
    put_frame(c, q, p);
  }
  begin(p);
  c.now = now;
  const Dry dry(c);
  c.taps.begin(p, q.outbound);
  (void)(q.outbound ? outbound(c, p) : inbound(c, p));
  *answer = c.taps.story();
  return nullptr;
}

}  // namespace vxlnat
