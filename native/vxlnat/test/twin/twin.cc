// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the twin knows and how it changes with time; see twin.h.

#include "test/twin/twin.h"

#include <algorithm>

namespace vxlnat::test {

using Phase = TwinFlow::Phase;

const TwinRule* Twin::by_id(int id) const {
  for (const TwinRule& rule : rules_) {
    if (rule.id == id) return &rule;
  }
  return nullptr;
}

const TwinRule* Twin::match(Vni vnet, Ip4 ip) const {
  const TwinRule* best = nullptr;
  for (const TwinRule& rule : rules_) {
    if (rule.is.vnet != vnet || !rule.is.prefix.covers(ip)) continue;
    if (best == nullptr || rule.is.prefix.bits > best->is.prefix.bits) {
      best = &rule;
    }
  }
  return best;
}

bool Twin::is_rule_public(Ip4 ip) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const TwinRule& rule) {
    const std::vector<Ip4> pool = rule.pool();
    return std::find(pool.begin(), pool.end(), ip) != pool.end();
  });
}

const SetOneToOne* Twin::entry_inside(Vni vnet, Ip4 ip) const {
  for (const SetOneToOne& entry : entries_) {
    if (entry.vnet == vnet && entry.private_ip == ip) return &entry;
  }
  return nullptr;
}

const SetOneToOne* Twin::entry_outside(Ip4 ip) const {
  for (const SetOneToOne& entry : entries_) {
    if (entry.public_ip == ip) return &entry;
  }
  return nullptr;
}

TwinFlow* Twin::flow_inside(const TwinFlow& key) {
  for (TwinFlow& f : flows_) {
    if (f.vnet == key.vnet && f.proto == key.proto && f.inside == key.inside &&
        f.inside_port == key.inside_port && f.remote == key.remote &&
        f.remote_port == key.remote_port) {
      return &f;
    }
  }
  return nullptr;
}

TwinFlow* Twin::flow_outside(std::uint8_t proto, Ip4 shown, std::uint16_t port,
                             Ip4 remote, std::uint16_t remote_port) {
  for (TwinFlow& f : flows_) {
    if (f.proto == proto && f.shown == shown && f.shown_port == port &&
        f.remote == remote && f.remote_port == remote_port) {
      return &f;
    }
  }
  return nullptr;
}

void Twin::end_rule(int id) {
  flows_.remove_if([&](const TwinFlow& f) { return f.rule == id; });
  bindings_.remove_if([&](const TwinBinding& b) { return b.rule == id; });
  rules_.remove_if([&](const TwinRule& rule) { return rule.id == id; });
  settle();
}

void Twin::forget(const TwinFlow& f) {
  flows_.remove_if([&](const TwinFlow& each) { return &each == &f; });
  settle();
}

bool Twin::uses_block(const TwinBlock& block) const {
  return std::any_of(
             flows_.begin(), flows_.end(),
             [&](const TwinFlow& f) {
               return f.in_block && block.holds({f.shown, f.shown_port});
             }) ||
         std::any_of(bindings_.begin(), bindings_.end(),
                     [&](const TwinBinding& b) {
                       return b.in_block && block.holds(b.spot);
                     });
}

void Twin::settle() {
  for (TwinBinding& b : bindings_) {
    const bool in_use =
        std::any_of(flows_.begin(), flows_.end(), [&](const TwinFlow& f) {
          return f.bound && f.rule == b.rule && f.vnet == b.vnet &&
                 f.proto == b.proto && f.inside == b.inside &&
                 f.inside_port == b.inside_port &&
                 Spot{f.shown, f.shown_port} == b.spot;
        });
    if (b.in_use && !in_use) b.idle_since = now_;
    b.in_use = in_use;
  }
  bindings_.remove_if([&](const TwinBinding& b) {
    return !b.in_use && now_ - b.idle_since >= 120'000;  // P8
  });
  blocks_.remove_if([&](const TwinBlock& b) { return !uses_block(b); });
  std::erase_if(hosts_, [&](const auto& host) {
    const auto is_its = [&](const auto& each) {
      return each.vnet == host.first.first && each.inside == host.first.second;
    };
    return std::none_of(flows_.begin(), flows_.end(), is_its) &&
           std::none_of(bindings_.begin(), bindings_.end(), is_its);
  });
}

bool Twin::is_possible(const SetRule& op, const TwinRule* now) const {
  const TwinRule rule = {0, op};
  const std::vector<Ip4> pool = rule.pool();
  const bool alone = rule.options().mapping == Mapping::kDeterministic;
  for (const Ip4 ip : pool) {
    if (entry_outside(ip) != nullptr) return false;
    if (std::count(pool.begin(), pool.end(), ip) > 1) return false;
    for (const TwinRule& other : rules_) {
      if (&other == now) continue;
      const std::vector<Ip4> its = other.pool();
      const bool shared = std::find(its.begin(), its.end(), ip) != its.end();
      if (!shared) continue;
      if (alone || other.options().mapping == Mapping::kDeterministic) {
        return false;
      }
    }
  }
  return true;
}

bool Twin::apply(const SetRule& op) {
  const auto at =
      std::find_if(rules_.begin(), rules_.end(), [&](const TwinRule& rule) {
        return rule.is.vnet == op.vnet && rule.is.prefix == op.prefix;
      });
  TwinRule* now = at == rules_.end() ? nullptr : &*at;
  if (!is_possible(op, now)) return false;
  const TwinRule then = {next_id_++, op};
  if (now == nullptr) {
    rules_.push_back(then);
    return true;
  }
  const std::vector<Ip4> pool = then.pool();
  const auto is_fixed = [](const TwinRule& rule) {
    return rule.options().mapping == Mapping::kDeterministic;
  };
  const bool same =
      is_fixed(*now) == is_fixed(then) && now->pool() == pool &&
      range_of(config_, now->options()) == range_of(config_, then.options());
  if ((is_fixed(*now) || is_fixed(then)) && !same) {
    end_rule(now->id);
    rules_.push_back(then);
    return true;
  }
  now->is = op;
  const auto left = [&](int rule, Ip4 ip) {
    return rule == now->id &&
           std::find(pool.begin(), pool.end(), ip) == pool.end();
  };
  flows_.remove_if([&](const TwinFlow& f) { return left(f.rule, f.shown); });
  bindings_.remove_if(
      [&](const TwinBinding& b) { return left(b.rule, b.spot.ip); });
  for (auto& [key, host] : hosts_) {
    if (left(host.rule, host.ip)) host.rule = 0;
  }
  settle();
  return true;
}

bool Twin::apply(const RemoveRule& op) {
  for (const TwinRule& rule : rules_) {
    if (rule.is.vnet != op.vnet || !(rule.is.prefix == op.prefix)) continue;
    for (const SetOneToOne& entry : entries_) {
      const bool others =
          std::any_of(rules_.begin(), rules_.end(), [&](const TwinRule& other) {
            return other.id != rule.id && other.is.vnet == op.vnet &&
                   other.is.prefix.covers(entry.private_ip);
          });
      if (entry.vnet == op.vnet && !others) return false;
    }
    end_rule(rule.id);
    break;
  }
  const bool served = std::any_of(
      rules_.begin(), rules_.end(),
      [&](const TwinRule& rule) { return rule.is.vnet == op.vnet; });
  if (!served) {
    std::erase_if(remotes_,
                  [&](const auto& r) { return r.first.first == op.vnet; });
    paces_.erase(op.vnet);
  }
  return true;
}

bool Twin::apply(const SetOneToOne& op) {
  if (is_rule_public(op.public_ip)) return false;
  if (match(op.vnet, op.private_ip) == nullptr) return false;
  const SetOneToOne* taken = entry_outside(op.public_ip);
  if (taken != nullptr &&
      (taken->vnet != op.vnet || taken->private_ip != op.private_ip)) {
    return false;
  }
  apply(RemoveOneToOne{op.vnet, op.private_ip});
  entries_.push_back(op);
  return true;
}

bool Twin::apply(const RemoveOneToOne& op) {
  entries_.remove_if([&](const SetOneToOne& entry) {
    return entry.vnet == op.vnet && entry.private_ip == op.private_ip;
  });
  return true;
}

bool Twin::apply(const SetRemote& op) {
  remotes_[{op.vnet, op.ip}] = op;
  return true;
}

bool Twin::apply(const SetVnetLimits& op) {
  limits_[op.vnet] = op.limits;
  return true;
}

bool Twin::apply(const SetDrain& op) {
  draining_.erase(op.public_ip);
  if (op.draining) draining_.insert(op.public_ip);
  return true;
}

const Timers& Twin::timers(const TwinFlow& f) const {
  const RuleOptions& o = by_id(f.rule)->options();
  return o.timers ? *o.timers : config_.timers;
}

// How long a flow may be silent (D6, T6, I2).
Tick Twin::idle_time(const TwinFlow& f) const {
  const Timers& t = timers(f);
  switch (f.phase) {
    case Phase::kOpening:
      return t.tcp_opening;
    case Phase::kOpen:
      return t.tcp_established;
    case Phase::kReset:
    case Phase::kClosed:
      return t.tcp_closing;
    case Phase::kHeld:
      return t.quarantine;
    default:
      return f.proto == kUdp ? t.udp : t.icmp;
  }
}

// Whether its tuple is nobody's for a while when it ends now: not when the
// connection was silent for as long after it was seen to close (T13).
bool Twin::rests(const TwinFlow& f) const {
  if (f.proto != kTcp || !is_live(f)) return false;
  const bool closing = f.phase == Phase::kReset || f.phase == Phase::kClosed;
  const Tick hold = timers(f).quarantine;
  return hold > 0 && !(closing && now_ - f.seen >= hold);
}

bool Twin::apply(const RemoveFlow& op) {
  TwinFlow* f = flow_outside(op.proto, op.public_ip, op.public_port,
                             op.remote_ip, op.remote_port);
  if (f == nullptr || !is_live(*f)) return true;
  if (rests(*f)) {
    f->phase = Phase::kHeld;
    f->seen = now_;
  } else {
    forget(*f);
  }
  return true;
}

void Twin::run(Tick to) {
  now_ = to;
  for (auto f = flows_.begin(); f != flows_.end();) {
    const bool over = now_ - f->seen >= idle_time(*f);
    const bool stays = !over || rests(*f);
    if (over && stays) {
      f->phase = Phase::kHeld;
      f->seen = now_;
    }
    f = stays ? std::next(f) : flows_.erase(f);
  }
  settle();
}

void Twin::track(TwinFlow& f, const Bytes& packet, bool out) {
  (out ? f.packets_out : f.packets_in)++;
  if (f.proto == kTcp) {
    step(f, packet, out);
  } else {
    f.seen = now_;
  }
}

// T8, T10, T12.
void Twin::step(TwinFlow& f, const Bytes& packet, bool out) {
  const std::size_t at = wire::ip::header_size(packet.data());
  const std::uint8_t flags = packet[at + 13];
  const std::uint32_t seq = get32(&packet[at + 4]);
  const std::uint32_t ack = get32(&packet[at + 8]);
  const bool has_syn = (flags & kSyn) != 0;
  const bool has_ack = (flags & kAck) != 0;
  const auto due = [](std::uint32_t n, std::uint32_t from) {
    return n - from <= 65535;
  };
  if ((flags & kRst) != 0) {
    const bool refusal = f.phase == Phase::kOpening && !f.from_outside && !out;
    const bool good = refusal ? has_ack && due(ack, f.due_out)
                              : due(seq, out ? f.due_out : f.due_in);
    if (!good || f.phase == Phase::kClosed || f.phase == Phase::kReset) return;
    f.phase = f.phase == Phase::kOpening ? Phase::kClosed : Phase::kReset;
    f.seen = now_;
    return;
  }
  if (has_ack) (out ? f.due_in : f.due_out) = ack;
  if (has_syn) (out ? f.due_out : f.due_in) = seq + 1;
  const bool over = f.phase == Phase::kClosed || f.phase == Phase::kReset;
  if (over && has_syn && !has_ack) {
    f.phase = Phase::kOpening;
    f.from_outside = false;
    f.seen = now_;
    return;
  }
  if (f.phase == Phase::kClosed) return;
  if (f.phase == Phase::kReset || f.phase == Phase::kOpening) {
    if (f.phase == Phase::kReset && has_syn) return;
    const bool answers = out == f.from_outside;
    const bool opens = has_syn && (answers || (has_ack && !f.from_outside));
    if (f.phase == Phase::kOpening && !opens) {
      if (!answers && has_syn) f.seen = now_;
      return;
    }
    f.phase = Phase::kOpen;
    f.fin_out = f.fin_in = false;
  } else if ((flags & kFin) != 0) {
    (out ? f.fin_out : f.fin_in) = true;
    if (f.fin_out && f.fin_in) f.phase = Phase::kClosed;
  }
  f.seen = now_;
}

}  // namespace vxlnat::test
