// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which flows the twin allows and where they may be; see twin.h. The engine
// names a place, and this says whether the requirements allow it; when it
// names none, that there is none.

#include <algorithm>

#include "test/twin/twin.h"

namespace vxlnat::test {

namespace {

bool below(std::uint64_t value, std::uint32_t limit) {
  return limit == 0 || value < limit;
}

bool is_slow(const TwinPace& pace, std::uint32_t limit, Tick now) {
  return limit == 0 || pace.second != now / 1000 || pace.count < limit;
}

void quicken(TwinPace& pace, Tick now) {
  if (pace.second != now / 1000) pace = {now / 1000, 0};
  pace.count++;
}

void fail_place(const TwinFlow& f, const TwinRule& rule,
                const std::optional<Spot>& chosen, const std::string& drop) {
  std::ostringstream text;
  text << "vnet " << f.vnet << " host " << std::hex << f.inside << std::dec
       << ":" << f.inside_port << " protocol " << int{f.proto} << ", rule "
       << rule.id << " /" << int{rule.is.prefix.bits} << ", mapping "
       << static_cast<int>(rule.options().mapping) << ": the engine chose ";
  if (chosen) {
    text << std::hex << chosen->ip << std::dec << ":" << chosen->port;
  } else {
    text << "nothing, twin: " << drop;
  }
  fail(__FILE__, __LINE__, text.str());
}

}  // namespace

const RuleOptions& TwinRule::options() const {
  static const RuleOptions defaults;
  return is.options == nullptr ? defaults : *is.options;
}

std::vector<Ip4> TwinRule::pool() const {
  std::vector<Ip4> pool = options().more_public_ips;
  pool.insert(pool.begin(), is.public_ip);
  return pool;
}

PortRange range_of(const EngineConfig& config, const RuleOptions& o) {
  const std::uint32_t low = o.port_low != 0 ? o.port_low : config.port_low;
  const std::uint32_t high = o.port_low != 0 ? o.port_high : config.port_high;
  const std::uint32_t size = high - low + 1;
  return {
      static_cast<std::uint16_t>(low + size * o.slice / o.slices),
      static_cast<std::uint16_t>(low + size * (o.slice + 1u) / o.slices - 1)};
}

// RFC 7422, host by host: as many to each address, as many ports to each.
std::pair<Ip4, PortRange> dealt(const EngineConfig& config,
                                const TwinRule& rule, Ip4 host) {
  const std::vector<Ip4> pool = rule.pool();
  const PortRange range = range_of(config, rule.options());
  const std::uint32_t hosts = 1u << (32 - rule.is.prefix.bits);
  std::uint32_t each = hosts / static_cast<std::uint32_t>(pool.size());
  while (each * pool.size() < hosts) each++;
  const std::uint32_t ports = (range.high - range.low + 1u) / each;
  std::size_t address = 0;
  std::uint32_t low = range.low;
  for (Ip4 at = rule.is.prefix.address; at != host; at++) {
    low += ports;
    if ((at - rule.is.prefix.address + 1) % each != 0) continue;
    address++;
    low = range.low;
  }
  return {pool[address],
          {static_cast<std::uint16_t>(low),
           static_cast<std::uint16_t>(low + ports - 1)}};
}

std::string Twin::refusal(const TwinFlow& flow, const TwinRule& rule) {
  std::uint32_t vnet = 0, vnet_opening = 0, host = 0, host_opening = 0;
  for (const TwinFlow& f : flows_) {
    if (!is_live(f) || f.vnet != flow.vnet) continue;
    const bool opening = f.phase == TwinFlow::Phase::kOpening;
    const bool own = f.inside == flow.inside;
    vnet++;
    vnet_opening += opening;
    host += own;
    host_opening += own && opening;
  }
  const bool opens = flow.proto == kTcp;
  const std::uint32_t share =
      config_.max_flows * config_.vnet_share_percent / 100;
  const Limits all = limits_[flow.vnet];
  if (vnet >= share || !below(vnet, all.flows)) return "VnetFlowLimit";
  if (opens &&
      (vnet_opening >= (share + 1) / 2 || !below(vnet_opening, all.opening))) {
    return "VnetFlowLimit";
  }
  if (!is_slow(paces_[flow.vnet], all.per_second, now_)) return "NewFlowRate";
  const Limits& own = rule.options().host;
  if (!below(host, own.flows) || (opens && !below(host_opening, own.opening))) {
    return "HostFlowLimit";
  }
  const auto known = hosts_.find({flow.vnet, flow.inside});
  const bool slow = known == hosts_.end() ||
                    is_slow(known->second.pace, own.per_second, now_);
  return slow ? "" : "NewFlowRate";
}

TwinBinding* Twin::binding_inside(const TwinFlow& flow) {
  for (TwinBinding& b : bindings_) {
    if (b.vnet == flow.vnet && b.proto == flow.proto &&
        b.inside == flow.inside && b.inside_port == flow.inside_port) {
      return &b;
    }
  }
  return nullptr;
}

const TwinBlock* Twin::block_at(Spot spot) const {
  for (const TwinBlock& block : blocks_) {
    if (block.holds(spot)) return &block;
  }
  return nullptr;
}

// Nobody has the tuple, and nobody the port for all remotes.
bool Twin::is_free(const TwinFlow& flow, Spot spot) const {
  for (const TwinFlow& f : flows_) {
    if (f.proto == flow.proto && f.shown == spot.ip &&
        f.shown_port == spot.port && f.remote == flow.remote &&
        f.remote_port == flow.remote_port) {
      return false;
    }
  }
  return std::none_of(bindings_.begin(), bindings_.end(),
                      [&](const TwinBinding& b) {
                        return b.proto == flow.proto && b.spot == spot;
                      });
}

bool Twin::may_go_on(const TwinFlow& held, const TwinRule& rule) {
  if (held.rule != rule.id || draining_.count(held.shown) > 0) return false;
  const RuleOptions& o = rule.options();
  if (o.mapping == Mapping::kIndependent) {
    const TwinBinding* b = binding_inside(held);
    return held.bound && b != nullptr && b->rule == rule.id &&
           b->spot == Spot{held.shown, held.shown_port};
  }
  return !held.bound && held.in_block == (o.block_size != 0) &&
         range_of(config_, o).holds(held.shown_port);
}

// The addresses that a new flow of the host may have.
std::vector<Ip4> Twin::addresses_for(const TwinFlow& flow,
                                     const TwinRule& rule) {
  if (rule.options().mapping == Mapping::kDeterministic) {
    const Ip4 ip = dealt(config_, rule, flow.inside).first;
    if (draining_.count(ip) > 0) return {};
    return {ip};
  }
  std::vector<Ip4> pool = rule.pool();
  std::erase_if(pool, [&](Ip4 ip) { return draining_.count(ip) > 0; });
  const auto host = hosts_.find({flow.vnet, flow.inside});
  if (host == hosts_.end() || host->second.rule != rule.id) return pool;
  const Ip4 last = host->second.ip;
  if (std::find(pool.begin(), pool.end(), last) == pool.end()) return pool;
  return {last};
}

// Every port at the address that the flow could have without a new block.
std::set<std::uint16_t> Twin::own_ports(const TwinFlow& flow,
                                        const TwinRule& rule, Ip4 ip) const {
  const RuleOptions& o = rule.options();
  const PortRange range = range_of(config_, o);
  std::set<std::uint16_t> ports;
  const auto offer = [&](std::uint32_t low, std::uint32_t high, bool blocks) {
    for (std::uint32_t p = low; p <= high; p++) {
      const Spot spot{ip, static_cast<std::uint16_t>(p)};
      if (!blocks && block_at(spot) != nullptr) continue;
      if (is_free(flow, spot)) ports.insert(spot.port);
    }
  };
  if (o.mapping == Mapping::kDeterministic) {
    const PortRange own = dealt(config_, rule, flow.inside).second;
    offer(own.low, own.high, false);
  } else if (o.block_size == 0) {
    offer(range.low, range.high, false);
  } else {
    for (const TwinBlock& b : blocks_) {
      if (b.ip != ip || b.vnet != flow.vnet || b.host != flow.inside) continue;
      if (b.low < range.low || b.low > range.high) continue;
      offer(b.low, b.low + b.size - 1, true);
    }
  }
  return ports;
}

// Whether the place is one that the rule gives at the address. A new block
// only when the host's are full.
bool Twin::judge_at(TwinFlow& flow, const TwinRule& rule, Ip4 ip, Spot chosen) {
  if (chosen.ip != ip) return false;
  const RuleOptions& o = rule.options();
  const auto ports = own_ports(flow, rule, ip);
  flow.in_block = o.block_size != 0;
  if (ports.count(chosen.port) > 0) return true;
  if (!flow.in_block || !ports.empty()) return false;
  const std::uint32_t size = o.block_size;
  const TwinBlock made = {ip, chosen.port / size * size, size, flow.vnet,
                          flow.inside};
  const PortRange range = range_of(config_, o);
  for (std::uint32_t p = made.low; p < made.low + made.size; p++) {
    if (block_at({ip, static_cast<std::uint16_t>(p)}) != nullptr) return false;
  }
  if (made.low < range.low || made.low + made.size - 1 > range.high) {
    return false;
  }
  blocks_.push_back(made);
  return is_free(flow, chosen);
}

bool Twin::is_exhausted(const TwinFlow& flow, const TwinRule& rule, Ip4 ip) {
  if (!own_ports(flow, rule, ip).empty()) return false;
  const RuleOptions& o = rule.options();
  if (o.block_size == 0) return true;
  const PortRange range = range_of(config_, o);
  for (std::uint32_t low = 0; low + o.block_size <= 65536;
       low += o.block_size) {
    if (low < range.low || low + o.block_size - 1 > range.high) continue;
    bool is_taken = false;
    for (std::uint32_t p = low; p < low + o.block_size; p++) {
      is_taken |= block_at({ip, static_cast<std::uint16_t>(p)}) != nullptr;
    }
    if (!is_taken) return false;
  }
  return true;
}

// Whether the engine's answer is right; fills the flow's place when there is
// one, else `drop` (P6: only when none is left).
bool Twin::judge(TwinFlow& flow, const TwinRule& rule, std::string& drop) {
  const std::optional<Spot> chosen = chosen_spot(flow);
  if (rule.options().mapping == Mapping::kIndependent) {
    TwinBinding* b = binding_inside(flow);
    if (b != nullptr && b->rule == rule.id) {
      flow.bound = true;
      flow.shown = b->spot.ip;
      flow.shown_port = b->spot.port;
      if (flow_outside(flow.proto, flow.shown, flow.shown_port, flow.remote,
                       flow.remote_port) != nullptr) {
        drop = "PortExhausted";
      }
      return !drop.empty() ? !chosen : chosen == b->spot;
    }
    if (b != nullptr) {
      bindings_.remove_if([&](const TwinBinding& each) { return &each == b; });
      settle();
    }
  }
  const std::vector<Ip4> addresses = addresses_for(flow, rule);
  if (!chosen) {
    drop = addresses.empty() ? "PublicDraining" : "PortExhausted";
    return std::all_of(addresses.begin(), addresses.end(),
                       [&](Ip4 ip) { return is_exhausted(flow, rule, ip); });
  }
  flow.shown = chosen->ip;
  flow.shown_port = chosen->port;
  for (const Ip4 ip : addresses) {
    if (judge_at(flow, rule, ip, *chosen)) return true;
  }
  return false;
}

TwinFlow* Twin::add(TwinFlow flow) {
  if (flow.bound && binding_inside(flow) == nullptr) {
    bindings_.push_back({flow.rule,
                         flow.vnet,
                         flow.proto,
                         flow.inside,
                         flow.inside_port,
                         {flow.shown, flow.shown_port},
                         flow.in_block,
                         true,
                         now_});
  }
  // The binding holds the block then.
  if (flow.bound) flow.in_block = false;
  TwinHost& host = hosts_[{flow.vnet, flow.inside}];
  host.rule = flow.rule;
  host.ip = flow.shown;
  quicken(host.pace, now_);
  quicken(paces_[flow.vnet], now_);
  flows_.push_back(flow);
  settle();
  return &flows_.back();
}

TwinFlow* Twin::allocate(TwinFlow flow, const TwinRule& rule,
                         std::string& drop) {
  drop = refusal(flow, rule);
  if (!drop.empty()) {
    CHECK(!chosen_spot(flow));
    return nullptr;
  }
  TwinFlow* held = flow_inside(flow);
  if (held != nullptr && may_go_on(*held, rule)) {
    held->phase = flow.phase;
    held->from_outside = false;
    held->seen = now_;
    CHECK((chosen_spot(flow) == Spot{held->shown, held->shown_port}));
    return held;
  }
  if (held != nullptr) forget(*held);
  const bool right = judge(flow, rule, drop);
  if (!right) fail_place(flow, rule, chosen_spot(flow), drop);
  if (!right || !drop.empty()) return nullptr;
  flow.bound = rule.options().mapping == Mapping::kIndependent;
  return add(flow);
}

TwinFlow* Twin::let_in(const Bytes& packet, std::string& why) {
  const Seen s(packet);
  TwinFlow flow;
  flow.proto = s.proto;
  flow.shown = s.dst;
  flow.shown_port = s.dport;
  flow.remote = s.src;
  flow.remote_port = s.sport;
  flow.seen = now_;
  if (s.proto == kTcp) {
    const std::uint8_t all = kSyn | kAck | kRst | kFin;
    if ((s.payload[13] & all) != kSyn) return nullptr;
    flow.phase = TwinFlow::Phase::kOpening;
    flow.from_outside = true;
  }
  const auto b = std::find_if(
      bindings_.begin(), bindings_.end(), [&](const TwinBinding& each) {
        return each.proto == s.proto && each.spot == Spot{s.dst, s.dport};
      });
  if (b == bindings_.end() || !b->in_use) return nullptr;
  const TwinRule* rule = by_id(b->rule);
  const RuleOptions& o = rule->options();
  if (o.mapping != Mapping::kIndependent) return nullptr;
  flow.rule = b->rule;
  flow.vnet = b->vnet;
  flow.inside = b->inside;
  flow.inside_port = b->inside_port;
  flow.bound = true;
  // They go on with the flow that they have (one inside key, one flow).
  TwinFlow* other = flow_inside(flow);
  why = "Exempt";
  for (const Prefix& prefix : o.exempt) {
    if (prefix.covers(s.src)) return nullptr;
  }
  why = "";
  if (other != nullptr && is_live(*other)) return nullptr;
  why = refusal(flow, *rule);
  if (!why.empty()) return nullptr;
  TwinFlow* held = flow_outside(flow.proto, s.dst, s.dport, s.src, s.sport);
  if (held != nullptr && may_go_on(*held, *rule)) {
    held->phase = flow.phase;
    held->from_outside = flow.from_outside;
    return held;
  }
  if (held != nullptr) forget(*held);
  if (TwinFlow* rest = flow_inside(flow)) forget(*rest);
  return add(flow);
}

}  // namespace vxlnat::test
