// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Changes of the configuration. Each either holds afterwards or has changed
// nothing and says why in a sentence; each may be repeated.
//
// Operations name things by what they are, {vnet, prefix} or an address, and
// never by a slot, so a late one cannot meet whatever has the slot now (facts:
// nat-behaviour B41 to B43). Flows name their rule by slot; a slot is used
// again only after a walk over all flows (rule_table.h).

#include <algorithm>

#include "engine/apply_rule.h"
#include "engine/context.h"
#include "engine/engine.h"
#include "engine/recover.h"
#include "engine/stages.h"

namespace vxlnat {

namespace {

const char* apply_one(Context& c, const AddUl3& op) {
  if (op.ip == 0) return "the underlay address must not be 0.0.0.0";
  vxlnat_layout& l = c.layout;
  if (l.ul3_count > 0 && c.serves(op.ip)) return nullptr;
  if (c.is_shut()) {
    l.ul3s[0] = op.ip;
    return nullptr;
  }
  if (l.ul3_count == VXLNAT_MAX_UL3S) {
    return "a zone serves at most 16 underlay addresses";
  }
  l.ul3s[l.ul3_count++] = op.ip;
  return nullptr;
}

const char* apply_one(Context& c, const RemoveUl3& op) {
  vxlnat_layout& l = c.layout;
  // No UL3 at all would mean any, also for a moment.
  if (l.ul3_count == 1) {
    if (l.ul3s[0] == op.ip) l.ul3s[0] = 0;
    return nullptr;
  }
  auto* end = std::remove(l.ul3s, l.ul3s + l.ul3_count, op.ip);
  l.ul3_count = static_cast<std::uint32_t>(end - l.ul3s);
  return nullptr;
}

const char* apply_one(Context& c, const SetRule& op) {
  const char* error = set_rule(c, op);
  c.reset_fresh();
  return error;
}

const char* apply_one(Context& c, const RemoveRule& op) {
  return remove_rule(c, op);
}

const char* apply_one(Context& c, const SetVnetLimits& op) {
  if (op.vnet > kMaxVni) return "the vnet must be at most 16777215";
  if (!c.rules.set_limits(op.vnet, op.limits)) {
    return "too many vnets have limits";
  }
  return nullptr;
}

const char* apply_one(Context& c, const SetDrain& op) {
  if (op.public_ip == 0) return "the public address must not be 0.0.0.0";
  if (!c.rules.set_drain(op.public_ip, op.draining)) {
    return "too many public addresses are being drained";
  }
  return nullptr;
}

void take_entry_out(Context& c, vxlnat_one_to_one& entry) {
  c.drop_public(entry.public_ip);
  c.one_to_ones.remove(entry);
}

const char* apply_one(Context& c, const SetOneToOne& op) {
  if (op.vlan > 4094) return "the VLAN must be at most 4094";
  if (op.public_ip == 0) return "the public address must not be 0.0.0.0";
  if (c.rules.is_public(op.public_ip)) {
    return "the public address is used by a rule";
  }
  const std::uint32_t slot = c.rules.find_vnet(op.vnet);
  const std::uint32_t rule =
      slot == kNoSlot ? kNoSlot : c.rules.match(slot, op.private_ip);
  if (rule == kNoSlot) return "no rule of the vnet covers the private address";
  vxlnat_one_to_one* taken = c.one_to_ones.find_public(op.public_ip);
  vxlnat_one_to_one* entry = c.one_to_ones.find_private(op.vnet, op.private_ip);
  if (taken != nullptr && taken != entry) {
    return "the public address belongs to another 1:1 entry";
  }
  if (entry != nullptr && taken == entry) {
    entry->vlan = op.vlan;
    return nullptr;
  }
  if (entry != nullptr) take_entry_out(c, *entry);
  if (c.one_to_ones.add(op, rule) == nullptr) {
    return "the table of 1:1 entries is full";
  }
  c.hold_public(op.public_ip);
  return nullptr;
}

const char* apply_one(Context& c, const RemoveOneToOne& op) {
  vxlnat_one_to_one* entry = c.one_to_ones.find_private(op.vnet, op.private_ip);
  if (entry != nullptr) take_entry_out(c, *entry);
  return nullptr;
}

const char* apply_one(Context& c, const SetRemote& op) {
  if (op.vnet > kMaxVni) return "the vnet must be at most 16777215";
  if (op.mac >> 48 != 0) return "the MAC must have 48 bits";
  if (op.ul3_ip == 0) return "the underlay address must not be 0.0.0.0";
  vxlnat_remote* remote = c.remotes.set(op);
  if (remote == nullptr) return "the table of remotes is full";
  for (std::uint32_t slot;
       (slot = c.remotes.take(*remote)) != PacketPool::kNone;) {
    Packet& waited = c.remotes.at(slot);
    if (c.look != nullptr) c.look->begin_kept(waited);
    resume(c, waited, encap_waited);
    if (c.taps.busy()) c.taps.end();
    c.remotes.release(slot);
  }
  return nullptr;
}

const char* apply_one(Context& c, const RemoveRemote& op) {
  c.remotes.remove(op.vnet, op.ip);
  return nullptr;
}

const char* apply_one(Context& c, const RemoveRemoteMac& op) {
  c.remotes.remove_mac(op.vnet, op.mac);
  return nullptr;
}

const char* apply_one(Context& c, const RemoteNotFound& op) {
  c.remotes.not_found(op.vnet, op.ip, c.now + op.retry_ms);
  return nullptr;
}

bool owns(const FlowOwner& owner, const vxlnat_flow& flow) {
  return owner.vnet == flow.vni_proto >> 8 &&
         owner.private_ip == flow.private_ip &&
         owner.private_port == flow.private_port;
}

const char* apply_one(Context& c, const RemoveFlow& op) {
  vxlnat_flow* flow =
      c.flows.live_outside(outside_key(op.proto, op.public_ip, op.public_port,
                                       op.remote_ip, op.remote_port),
                           c.now);
  if (flow != nullptr && (!op.owner || owns(*op.owner, *flow))) {
    c.flows.end(*flow, c.now);
  }
  return nullptr;
}

const char* apply_one(Context& c, const FinishAdoption&) {
  drop_inherited(c);
  return nullptr;
}

}  // namespace

const char* change(Context& c, const Operation& operation) {
  return std::visit([&c](const auto& op) { return apply_one(c, op); },
                    operation);
}

const char* Engine::apply(const Operation& operation, Tick now, Outbox& out) {
  context_->now = now;
  context_->out = &out;
  const char* error = change(*context_, operation);
  if (error == nullptr) confirm(*context_, operation);
  return error;
}

}  // namespace vxlnat
