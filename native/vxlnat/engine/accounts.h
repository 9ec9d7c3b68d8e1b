// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Who has what of the flow table: vnets, public addresses and hosts, and the
// ports that are kept for an endpoint (bindings) or a host (blocks). FlowTable
// tells of each flow that comes, changes or goes, so the sums are right
// whatever ends a flow. Private memory: the fast path needs none of it.
//
// A flow says in its flags what it holds besides its record. What is kept by
// vnet slot or rule is gone before the slot is used again, because a walk over
// the flows takes in the bindings and the hosts (FlowTable::reap).

#ifndef VXLNAT_ENGINE_ACCOUNTS_H_
#define VXLNAT_ENGINE_ACCOUNTS_H_

#include <cstdint>
#include <vector>

#include "engine/binding_table.h"
#include "engine/block_table.h"
#include "engine/events.h"
#include "engine/flow_state.h"
#include "engine/host_table.h"
#include "engine/layout.h"

namespace vxlnat {

// What a vnet has, by vnet slot. Live flows only.
struct VnetLoad {
  std::uint32_t flows = 0;
  std::uint32_t opening = 0;
  std::uint32_t hosts = 0;
  std::uint32_t uncounted = 0;  // flows of hosts that found no room
  Pace pace;
  Mark mark;
};

class Accounts {
 public:
  // `now` is the time of what is being done.
  Accounts(const vxlnat_rule* rules, const EngineConfig& config,
           const HashKey& key, const Tick& now);

  // Where blocks are told of; null: nowhere.
  void set_events(EventLog* events) { events_ = events; }
  // While dry, bindings stay as they are (explain.cc).
  void set_dry(bool dry) { dry_ = dry; }

  // A flow was made; sets its COUNTED flag.
  void added(vxlnat_flow& flow);
  void changed(const vxlnat_flow& flow, FlowState before, FlowState after);
  // A flow leaves the table; its state is the last one.
  void released(const vxlnat_flow& flow);

  // Makes again what a flow of another table held, as its flags there say;
  // returns its flags here. The flow must follow.
  std::uint8_t restore(const vxlnat_flow& flow, std::uint8_t flags);

  // Of the whole table.
  Mark& mark() { return mark_; }
  VnetLoad& vnet(std::uint32_t slot) { return vnets_[slot]; }
  // Live flows with a public address, by public slot.
  std::uint32_t public_flows(std::uint32_t slot) const {
    return publics_[slot];
  }
  // Most hosts of one vnet.
  std::uint32_t host_share() const { return hosts_.share(share_percent_); }
  Host* host(std::uint32_t vnet_slot, Ip4 ip) {
    return hosts_.find(vnet_slot, ip);
  }
  // Whether a host has live flows; true where that is not known.
  bool may_have_flows(std::uint32_t vnet_slot, Ip4 ip) {
    const Host* found = host(vnet_slot, ip);
    return (found != nullptr && found->flows > 0) ||
           vnets_[vnet_slot].uncounted > 0;
  }
  // The host, made if it must be; null when there is no room.
  Host* make_host(std::uint32_t vnet_slot, Ip4 ip);
  void drop_host_if_unused(Host& host);

  // The binding of an endpoint, or of a public port; null when there is none
  // or its rule is gone or its time is over.
  Binding* binding(std::uint32_t vni_proto, Ip4 ip, std::uint16_t port) {
    return current(bindings_.find_private(vni_proto, ip, port));
  }
  Binding* binding_of(std::uint8_t proto, Ip4 public_ip, std::uint16_t port) {
    return current(bindings_.find_public(proto, public_ip, port));
  }
  // Makes one; it holds its host and block too. Null when full.
  Binding* bind(const Binding& like);
  void unbind(Binding& binding);
  BindingTable& bindings() { return bindings_; }
  // Ends binding `index` when it is over; part of the hand's round.
  void expire_binding(std::uint32_t index);
  // Host `index` forgets the pool member it used when that is no longer live.
  void forget_dead_member(std::uint32_t index);

  BlockTable& blocks() { return blocks_; }
  // A new block for a host, first in its list; 0 when there is no room.
  std::uint32_t take_block(Host& host, Vni vnet, Ip4 public_ip,
                           PortRange ports);
  void drop_block_if_unused(std::uint32_t ref);

 private:
  // `host`: the flow's when it is counted, or null.
  void count(const vxlnat_flow& flow, Host* host, FlowState state, bool in);
  Host* host_of(const vxlnat_flow& flow) {
    if ((flow.flags & VXLNAT_FLOW_COUNTED) == 0) return nullptr;
    return hosts_.find(rules_[flow.rule].vnet_slot, flow.private_ip);
  }
  // Whether the binding, or the block, of a flow of another table is here.
  bool restore_binding(const vxlnat_flow& flow);
  bool restore_block(const vxlnat_flow& flow);
  // What is found, unless it is over; then it ends.
  Binding* current(Binding* found);
  bool is_over(const Binding& b) const {
    return rules_[b.rule].state != 1 || BindingTable::is_over(b, now_);
  }
  void release_port(Ip4 public_ip, std::uint16_t port);

  const vxlnat_rule* rules_;
  const Tick& now_;
  std::uint32_t share_percent_;
  EventLog* events_ = nullptr;
  bool dry_ = false;
  Mark mark_;
  std::vector<VnetLoad> vnets_;
  std::vector<std::uint32_t> publics_;
  HostTable hosts_;
  BindingTable bindings_;
  BlockTable blocks_;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_ACCOUNTS_H_
