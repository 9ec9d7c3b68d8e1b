// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the twin makes of a packet; see twin.h.

#include "test/twin/twin.h"

namespace vxlnat::test {

using Phase = TwinFlow::Phase;

namespace {

bool is_tcp_or_udp(const Seen& s) { return s.proto == kTcp || s.proto == kUdp; }
bool is_echo(const Seen& s) { return s.proto == kIcmp && s.sport >> 8 == 8; }
bool is_reply(const Seen& s) { return s.proto == kIcmp && s.sport >> 8 == 0; }

std::uint8_t flags_of(const Bytes& packet) {
  return packet[wire::ip::header_size(packet.data()) + 13];
}

// The longest segment that a SYN announces, lowered to `most` (T14).
void clamp(std::uint8_t* tcp, std::uint16_t most) {
  if ((tcp[13] & kSyn) == 0 || most == 0) return;
  const int end = (tcp[12] >> 4) * 4;
  for (int at = 20; at < end;) {
    const int kind = tcp[at];
    if (kind == 0) return;
    if (kind == 1) {
      at++;
      continue;
    }
    if (kind == 2 && get16(tcp + at + 2) > most) put16(tcp + at + 2, most);
    at += tcp[at + 1];
  }
}

Want dropped(std::string why) { return {{}, {}, std::move(why)}; }

// Time exceeded or unreachable about `packet` (I11, I12).
Bytes make_report(const Bytes& packet, Ip4 from, unsigned type, unsigned code) {
  const Seen s(packet);
  return make_icmp(
      from, s.src, static_cast<std::uint8_t>(type),
      static_cast<std::uint8_t>(code), 0, first(packet, 548),
      {.id = 0, .tos = static_cast<std::uint8_t>(packet[1] & 0xfc)});
}

}  // namespace

Bytes changed(Bytes b, const Change& change) {
  const std::size_t head = wire::ip::header_size(b.data());
  if (change.src) put32(&b[12], *change.src);
  if (change.dst) put32(&b[16], *change.dst);
  if (change.ttl) b[8] = *change.ttl;
  if (change.id) put16(&b[4], *change.id);
  put16(&b[10], 0);
  put16(&b[10], checksum(b.data(), head));
  std::uint8_t* l4 = &b[head];
  const std::size_t size = b.size() - head;
  if (b[9] == kIcmp) {
    if (change.sport) put16(l4 + 4, *change.sport);
    put16(l4 + 2, 0);
    put16(l4 + 2, checksum(l4, size));
    return b;
  }
  if (change.sport) put16(l4, *change.sport);
  if (change.dport) put16(l4 + 2, *change.dport);
  if (b[9] == kTcp) clamp(l4, change.mss);
  const std::size_t at = b[9] == kTcp ? 16u : 6u;
  if ((b[9] != kTcp && b[9] != kUdp) || (b[9] == kUdp && get16(l4 + at) == 0)) {
    return b;
  }
  put16(l4 + at, 0);
  const std::uint16_t sum =
      checksum(l4, size, pseudo_sum(get32(&b[12]), get32(&b[16]), b[9], size));
  put16(l4 + at, b[9] == kUdp && sum == 0 ? 0xffff : sum);
  return b;
}

Out Twin::into(const Bytes& packet, const Route& to) const {
  const SetRemote& remote = remotes_.at({to.vnet, to.host});
  Out out;
  out.inside = true;
  out.ip = packet;
  out.vnet = to.vnet;
  out.vlan = to.vlan == 0 ? -1 : to.vlan;
  out.dst_mac = remote.mac;
  out.src_mac = to.rule->is.router_mac;
  out.to.dst_ip = remote.ul3_ip;
  out.to.dst_port = remote.ul3_port;
  return out;
}

Want Twin::told_inside(const Bytes& packet, const TwinRule& rule,
                       std::string why, unsigned type, unsigned code) {
  Want want = dropped(std::move(why));
  Out out;
  out.inside = true;
  out.ip = make_report(packet, rule.is.router_ip, type, code);
  out.vnet = vnet_;
  out.vlan = rule.is.vlan == 0 ? -1 : rule.is.vlan;
  out.dst_mac = kHostMac;
  out.src_mac = rule.is.router_mac;
  out.to.dst_ip = node_;
  out.to.dst_port = config_.vxlan_port;
  want.report = out;
  return want;
}

// What ends before anybody asks for a translation.
std::optional<Want> Twin::refused(const Bytes& packet, Vni vnet, Ip4 node) {
  const Seen s(packet);
  bool served = false;
  const TwinRule* router = nullptr;
  for (const TwinRule& rule : rules_) {
    if (rule.is.vnet != vnet) continue;
    served = true;
    if (rule.is.router_ip == s.dst) router = &rule;
  }
  if (!served) return dropped("UnknownVnet");
  const TwinRule* rule = match(vnet, s.src);
  if (router != nullptr) {
    if (!is_echo(s)) return dropped("GatewayOther");
    if (rule == nullptr) return dropped("SpoofedSource");
    return dropped("");  // the answer is checked by tests of its own
  }
  if (s.ttl <= 1) {
    if (rule == nullptr) return dropped("SpoofedSource");
    return told_inside(packet, *rule, "TtlExceeded", 11, 0);
  }
  const auto remote = remotes_.find({vnet, s.src});
  if (remote == remotes_.end()) {
    return dropped(rule == nullptr ? "SpoofedSource" : "kept");
  }
  if (remote->second.ul3_ip != node) return dropped("UnknownUl3");
  return std::nullopt;
}

Want Twin::outbound(const Bytes& packet, Vni vnet, Ip4 node) {
  vnet_ = vnet;
  node_ = node;
  if (std::optional<Want> want = refused(packet, vnet, node)) return *want;
  const Seen s(packet);
  const SetOneToOne* entry = entry_inside(vnet, s.src);
  TwinFlow key;
  key.vnet = vnet;
  key.proto = s.proto;
  key.inside = s.src;
  key.remote = s.dst;
  key.inside_port = s.proto == kIcmp ? s.dport : s.sport;
  key.remote_port = s.proto == kIcmp ? 0 : s.dport;
  const bool shares = is_tcp_or_udp(s) || is_echo(s);
  TwinFlow* f = shares ? flow_inside(key) : nullptr;
  if (f != nullptr && is_live(*f)) {
    // A3: old flows go on, but a new connection is the entry's.
    const bool anew = f->proto == kTcp && (flags_of(packet) & kSyn) != 0 &&
                      (f->phase == Phase::kReset || f->phase == Phase::kClosed);
    if (entry == nullptr || !anew) return by_flow(packet, *f);
  }
  const bool to_inside = match(vnet, s.dst) != nullptr;
  if (entry != nullptr) {
    if (to_inside) return dropped("DestinationInside");
    return leave(changed(packet, {.src = entry->public_ip,
                                  .ttl = static_cast<std::uint8_t>(s.ttl - 1),
                                  .mss = match(vnet, s.src)->options().mss}));
  }
  if (match(vnet, s.src) == nullptr) return dropped("SpoofedSource");
  if (to_inside) return dropped("DestinationInside");
  if (!shares) return dropped(s.proto == kIcmp ? "IcmpType" : "Protocol");
  return by_rule(packet, key);
}

Want Twin::by_rule(const Bytes& packet, const TwinFlow& key) {
  TwinFlow flow = key;
  const TwinRule* rule = match(flow.vnet, flow.inside);
  for (const Prefix& prefix : rule->options().exempt) {
    if (prefix.covers(flow.remote)) {
      return told_inside(packet, *rule, "Exempt", 3, 13);  // P4
    }
  }
  if (flow.proto == kTcp) {
    const std::uint8_t flags = flags_of(packet);
    if ((flags & kSyn) == 0) return dropped("TcpNoFlow");  // T11
    if ((flags & (kFin | kRst)) != 0) return dropped("TcpFlags");
    if ((flags & kAck) != 0) return dropped("TcpNoFlow");
    flow.phase = Phase::kOpening;
  }
  flow.rule = rule->id;
  flow.seen = now_;
  std::string drop;
  TwinFlow* made = allocate(flow, *rule, drop);
  if (made == nullptr) return told_inside(packet, *rule, drop, 3, 1);
  return by_flow(packet, *made);
}

Want Twin::by_flow(const Bytes& packet, TwinFlow& f) {
  track(f, packet, true);
  Change change = {.src = f.shown,
                   .sport = f.shown_port,
                   .ttl = static_cast<std::uint8_t>(packet[8] - 1),
                   .mss = by_id(f.rule)->options().mss};
  // L4: who may be fragmented gets an identifier of the gateway's.
  if ((get16(&packet[6]) & 0x4000) == 0) change.id = chosen_id();
  return leave(changed(packet, change));
}

// Out, or round to a fabric of ours (U10).
Want Twin::leave(Bytes packet) {
  const Seen s(packet);
  const bool ours = entry_outside(s.dst) != nullptr || is_rule_public(s.dst);
  if (ours) {
    std::string why;
    if (std::optional<Want> want = enter(packet, true, why)) return *want;
  }
  Out out;
  out.ip = std::move(packet);
  return {{out}, {}, ""};
}

Want Twin::inbound(const Bytes& packet) {
  const Seen s(packet);
  std::string why;
  if (std::optional<Want> want = enter(packet, false, why)) return *want;
  if (!is_rule_public(s.dst)) return dropped("UnknownPublic");
  return dropped(why.empty() ? "NoFlow" : why);
}

std::optional<Want> Twin::enter(const Bytes& packet, bool turned,
                                std::string& why) {
  const Seen s(packet);
  Route to;
  Change change;
  if (const SetOneToOne* entry = entry_outside(s.dst)) {
    to = {entry->vnet, entry->private_ip, match(entry->vnet, entry->private_ip),
          entry->vlan};
  } else {
    if (!is_tcp_or_udp(s) && !is_reply(s)) return std::nullopt;
    const bool icmp = s.proto == kIcmp;
    TwinFlow* f = flow_outside(s.proto, s.dst, s.dport, s.src,
                               icmp ? std::uint16_t{0} : s.sport);
    if ((f == nullptr || !is_live(*f)) && !icmp) f = let_in(packet, why);
    if (f == nullptr || !is_live(*f)) return std::nullopt;
    track(*f, packet, false);
    (icmp ? change.sport : change.dport) = f->inside_port;
    const TwinRule* rule = by_id(f->rule);
    to = {f->vnet, f->inside, rule, rule->is.vlan};
  }
  if (!turned && s.ttl <= 1) {
    Want want = dropped("TtlExceeded");
    Out out;
    out.ip = make_report(packet, s.dst, 11, 0);
    want.report = out;
    return want;
  }
  change.dst = to.host;
  change.mss = to.rule->options().mss;
  if (!turned) change.ttl = static_cast<std::uint8_t>(s.ttl - 1);
  return Want{{into(changed(packet, change), to)}, {}, ""};
}

namespace {

// The error with its quote being of `was`, as far as `became` travelled.
Bytes restored(const Bytes& error, const Bytes& was, const Bytes& became) {
  const Seen e(error);
  Bytes quote = was;
  quote[1] = became[1];
  quote[8] = became[8];
  put16(&quote[4], get16(&became[4]));
  put16(&quote[10], 0);
  const std::size_t head = wire::ip::header_size(&quote[0]);
  put16(&quote[10], checksum(quote.data(), head));
  // What a SYN was made to announce stays so.
  if (quote[9] == kTcp && (flags_of(quote) & kSyn) != 0) {
    // By pointers: without options both stand at the end.
    std::copy_n(became.data() + head + 20, became[head + 12] / 16 * 4 - 20,
                quote.data() + head + 20);
    quote = changed(quote, {});
  }
  Bytes result = first(error, wire::ip::header_size(&error[0]) + 8);
  quote.resize(e.quote().size());
  result.insert(result.end(), quote.begin(), quote.end());
  return result;
}

}  // namespace

std::optional<Want> Twin::error_inbound(const Bytes& error, const Bytes& was,
                                        const Bytes& became, Vni vnet) {
  const Seen in(was);
  const Seen out(became);
  const bool icmp = out.proto == kIcmp;
  Route to;
  if (const SetOneToOne* entry = entry_outside(out.src)) {
    if (entry->vnet != vnet || entry->private_ip != in.src ||
        in.sport != out.sport || in.dport != out.dport) {
      return std::nullopt;
    }
    to = {vnet, in.src, match(vnet, in.src), entry->vlan};
  } else {
    if (!is_tcp_or_udp(out) && !is_echo(out)) return std::nullopt;
    const TwinFlow* f =
        flow_outside(out.proto, out.src, icmp ? out.dport : out.sport, out.dst,
                     icmp ? std::uint16_t{0} : out.dport);
    if (f == nullptr || !is_live(*f)) return dropped("IcmpNoMatch");
    if (f->vnet != vnet || f->inside != in.src ||
        f->inside_port != (icmp ? in.dport : in.sport)) {
      return std::nullopt;
    }
    const TwinRule* rule = by_id(f->rule);
    to = {vnet, in.src, rule, rule->is.vlan};
  }
  const Bytes packet =
      changed(restored(error, was, became),
              {.dst = in.src, .ttl = static_cast<std::uint8_t>(error[8] - 1)});
  return Want{{into(packet, to)}, {}, ""};
}

std::optional<Want> Twin::error_outbound(const Bytes& error, const Bytes& was,
                                         const Bytes& became, Vni vnet) {
  const Seen out(was);
  const Seen in(became);
  const auto remote = remotes_.find({vnet, in.dst});
  if (match(vnet, in.dst) == nullptr || remote == remotes_.end()) {
    return std::nullopt;
  }
  if (auto want = refused(error, vnet, remote->second.ul3_ip)) return want;
  TwinFlow key;
  key.vnet = vnet;
  key.proto = in.proto;
  key.inside = in.dst;
  key.inside_port = in.dport;
  key.remote = in.src;
  key.remote_port = in.proto == kIcmp ? std::uint16_t{0} : in.sport;
  const bool shares = is_tcp_or_udp(in) || is_reply(in);
  const TwinFlow* f = shares ? flow_inside(key) : nullptr;
  const SetOneToOne* entry = entry_inside(vnet, in.dst);
  Ip4 shown = 0;
  if (f != nullptr && is_live(*f)) {
    shown = f->shown;
    if (f->shown_port != out.dport) return std::nullopt;
  } else if (entry != nullptr) {
    shown = entry->public_ip;
    if (in.dport != out.dport) return std::nullopt;
  } else {
    return dropped("IcmpNoMatch");
  }
  if (shown != out.dst) return std::nullopt;
  return leave(changed(restored(error, was, became),
                       {.src = entry != nullptr ? entry->public_ip : shown,
                        .ttl = static_cast<std::uint8_t>(error[8] - 1)}));
}

}  // namespace vxlnat::test
