// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The sums over flows, and what they hold; see accounts.h.

#include "engine/accounts.h"

namespace vxlnat {

Accounts::Accounts(const vxlnat_rule* rules, const EngineConfig& config,
                   const HashKey& key, const Tick& now)
    : rules_(rules),
      now_(now),
      share_percent_(config.vnet_share_percent),
      vnets_(config.max_vnets),
      publics_(config.max_rules),
      hosts_(config, key),
      bindings_(config, key),
      blocks_(config, key) {}

void Accounts::count(const vxlnat_flow& flow, Host* host, FlowState state,
                     bool in) {
  if (!is_live(state)) return;
  const std::uint32_t step = in ? 1u : ~0u;
  const std::uint32_t opening = is_opening(state) ? step : 0;
  const std::uint32_t slot = rules_[flow.rule].vnet_slot;
  vnets_[slot].flows += step;
  vnets_[slot].opening += opening;
  publics_[flow.public_slot] += step;
  if (host == nullptr) {
    vnets_[slot].uncounted += step;
    return;
  }
  host->flows += step;
  host->opening += opening;
}

void Accounts::added(vxlnat_flow& flow) {
  const std::uint32_t slot = rules_[flow.rule].vnet_slot;
  Host* const host = make_host(slot, flow.private_ip);
  if (host != nullptr) {
    flow.flags |= VXLNAT_FLOW_COUNTED;
    host->uses++;
    host->rule = flow.rule + 1;
    host->pace.add(now_);
  }
  vnets_[slot].pace.add(now_);
  if ((flow.flags & VXLNAT_FLOW_BLOCK) != 0) {
    blocks_.at(blocks_.owner(flow.public_ip, flow.public_port)).uses++;
  }
  if ((flow.flags & VXLNAT_FLOW_BOUND) != 0) {
    bindings_.find_private(flow.vni_proto, flow.private_ip, flow.private_port)
        ->flows++;
  }
  count(flow, host, static_cast<FlowState>(flow.state), true);
}

void Accounts::changed(const vxlnat_flow& flow, FlowState before,
                       FlowState after) {
  if (is_live(before) == is_live(after) &&
      is_opening(before) == is_opening(after)) {
    return;
  }
  Host* const host = host_of(flow);
  count(flow, host, before, false);
  count(flow, host, after, true);
}

void Accounts::released(const vxlnat_flow& flow) {
  Host* const host = host_of(flow);
  count(flow, host, static_cast<FlowState>(flow.state), false);
  if ((flow.flags & VXLNAT_FLOW_BOUND) != 0) {
    Binding* b = bindings_.find_private(flow.vni_proto, flow.private_ip,
                                        flow.private_port);
    // A later rule may have bound the endpoint anew.
    if (b != nullptr && b->rule == flow.rule &&
        b->public_ip == flow.public_ip && b->public_port == flow.public_port &&
        --b->flows == 0) {
      b->idle_since = now_;
    }
  }
  if ((flow.flags & VXLNAT_FLOW_BLOCK) != 0) {
    release_port(flow.public_ip, flow.public_port);
  }
  if (host == nullptr) return;
  host->uses--;
  drop_host_if_unused(*host);
}

std::uint8_t Accounts::restore(const vxlnat_flow& flow, std::uint8_t flags) {
  if ((flags & VXLNAT_FLOW_BOUND) != 0) {
    return restore_binding(flow) ? VXLNAT_FLOW_BOUND : 0;
  }
  if ((flags & VXLNAT_FLOW_BLOCK) != 0) {
    return restore_block(flow) ? VXLNAT_FLOW_BLOCK : 0;
  }
  return 0;
}

bool Accounts::restore_binding(const vxlnat_flow& flow) {
  const Binding* b =
      binding(flow.vni_proto, flow.private_ip, flow.private_port);
  if (b == nullptr) {
    b = bind({.vni_proto = flow.vni_proto,
              .private_ip = flow.private_ip,
              .public_ip = flow.public_ip,
              .private_port = flow.private_port,
              .public_port = flow.public_port,
              .rule = flow.rule});
  }
  return b != nullptr && b->public_ip == flow.public_ip &&
         b->public_port == flow.public_port;
}

// Of the block's size nothing is known but its least part.
bool Accounts::restore_block(const vxlnat_flow& flow) {
  constexpr std::uint32_t kLast = BlockTable::kGranule - 1;
  const vxlnat_rule& rule = rules_[flow.rule];
  Host* host = make_host(rule.vnet_slot, flow.private_ip);
  if (host == nullptr) return false;
  const PortRange ports{static_cast<std::uint16_t>(flow.public_port & ~kLast),
                        static_cast<std::uint16_t>(flow.public_port | kLast)};
  std::uint32_t ref = blocks_.owner(flow.public_ip, ports.low);
  if (ref == 0) ref = take_block(*host, rule.vni, flow.public_ip, ports);
  if (ref != 0 && blocks_.at(ref).host == host->ip &&
      blocks_.at(ref).vnet_slot == host->vnet_slot) {
    return true;
  }
  drop_host_if_unused(*host);
  return false;
}

Host* Accounts::make_host(std::uint32_t vnet_slot, Ip4 ip) {
  Host* host = hosts_.find(vnet_slot, ip);
  if (host != nullptr) return host;
  VnetLoad& load = vnets_[vnet_slot];
  if (load.hosts >= host_share()) return nullptr;
  host = hosts_.add(vnet_slot, ip);
  if (host != nullptr) load.hosts++;
  return host;
}

void Accounts::drop_host_if_unused(Host& host) {
  if (host.uses != 0 || host.first_block != 0) return;
  vnets_[host.vnet_slot].hosts--;
  hosts_.remove(host);
}

Binding* Accounts::current(Binding* b) {
  if (b == nullptr || !is_over(*b)) return b;
  unbind(*b);
  return nullptr;
}

Binding* Accounts::bind(const Binding& like) {
  if (dry_) return nullptr;
  Binding* b = bindings_.add(like);
  if (b == nullptr) return nullptr;
  b->idle_since = now_;
  Host* host = make_host(rules_[b->rule].vnet_slot, b->private_ip);
  b->counted = host != nullptr;
  if (host != nullptr) host->uses++;
  if (b->in_block) {
    blocks_.at(blocks_.owner(b->public_ip, b->public_port)).uses++;
  }
  return b;
}

void Accounts::unbind(Binding& b) {
  if (dry_) return;
  const Binding gone = b;
  bindings_.remove(b);
  if (gone.in_block) release_port(gone.public_ip, gone.public_port);
  if (!gone.counted) return;
  Host* host = hosts_.find(rules_[gone.rule].vnet_slot, gone.private_ip);
  host->uses--;
  drop_host_if_unused(*host);
}

void Accounts::expire_binding(std::uint32_t index) {
  if (index >= bindings_.size()) return;
  Binding& b = bindings_.at_index(index);
  if (b.used && is_over(b)) unbind(b);
}

void Accounts::forget_dead_member(std::uint32_t index) {
  if (index >= hosts_.size()) return;
  Host& host = hosts_.at_index(index);
  if (host.uses != 0 && host.rule != 0 && rules_[host.rule - 1].state != 1) {
    host.rule = 0;
  }
}

std::uint32_t Accounts::take_block(Host& host, Vni vnet, Ip4 public_ip,
                                   PortRange ports) {
  const Block block = {.public_ip = public_ip,
                       .vnet_slot = host.vnet_slot,
                       .vnet = vnet,
                       .host = host.ip,
                       .ports = ports};
  const std::uint32_t ref = blocks_.add(block);
  if (ref == 0) return 0;
  blocks_.at(ref).next = host.first_block;
  host.first_block = ref;
  if (events_ != nullptr) events_->add(FlowEventKind::kBlockAlloc, block);
  return ref;
}

void Accounts::release_port(Ip4 public_ip, std::uint16_t port) {
  const std::uint32_t ref = blocks_.owner(public_ip, port);
  blocks_.at(ref).uses--;
  drop_block_if_unused(ref);
}

void Accounts::drop_block_if_unused(std::uint32_t ref) {
  const Block& block = blocks_.at(ref);
  if (block.uses > 0) return;
  Host* host = hosts_.find(block.vnet_slot, block.host);
  std::uint32_t* at = &host->first_block;
  while (*at != ref) at = &blocks_.at(*at).next;
  *at = block.next;
  if (events_ != nullptr) events_->add(FlowEventKind::kBlockFree, block);
  blocks_.remove(ref);
}

}  // namespace vxlnat
