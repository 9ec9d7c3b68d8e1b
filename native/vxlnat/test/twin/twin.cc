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
    return rule.is.public_ip == ip;
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
  rules_.remove_if([&](const TwinRule& rule) { return rule.id == id; });
}

bool Twin::apply(const SetRule& op) {
  if (entry_outside(op.public_ip) != nullptr) return false;
  for (TwinRule& rule : rules_) {
    if (rule.is.vnet != op.vnet || !(rule.is.prefix == op.prefix)) continue;
    if (rule.is.public_ip == op.public_ip) {
      rule.is = op;
      return true;
    }
    end_rule(rule.id);
    break;
  }
  rules_.push_back({next_id_++, op});
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

// How long a flow may be silent (D6, T6, I2).
Tick Twin::idle_time(const TwinFlow& f) const {
  const Timers& t = config_.timers;
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

bool Twin::apply(const RemoveFlow& op) {
  TwinFlow* f = flow_outside(op.proto, op.public_ip, op.public_port,
                             op.remote_ip, op.remote_port);
  if (f == nullptr || !is_live(*f)) return true;
  const bool closing = f->phase == Phase::kReset || f->phase == Phase::kClosed;
  const bool quiet = closing && now_ - f->seen >= config_.timers.quarantine;
  if (f->proto == kTcp && !quiet) {
    f->phase = Phase::kHeld;  // T13
    f->seen = now_;
  } else {
    flows_.remove_if([&](const TwinFlow& each) { return &each == f; });
  }
  return true;
}

void Twin::run(Tick to) {
  now_ = to;
  for (auto f = flows_.begin(); f != flows_.end();) {
    const bool over = now_ - f->seen >= idle_time(*f);
    // A tuple rests after a connection that was not seen to close.
    const bool rests = f->phase == Phase::kOpening || f->phase == Phase::kOpen;
    if (over && rests) {
      f->phase = Phase::kHeld;
      f->seen = now_;
    }
    f = over && !rests ? flows_.erase(f) : std::next(f);
  }
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
    const bool refusal = f.phase == Phase::kOpening && !out;
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
    f.seen = now_;
    return;
  }
  if (f.phase == Phase::kClosed) return;
  if (f.phase == Phase::kReset || f.phase == Phase::kOpening) {
    if (f.phase == Phase::kReset && has_syn) return;
    if (f.phase == Phase::kOpening && !(has_syn && (!out || has_ack))) {
      if (out && has_syn) f.seen = now_;
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
