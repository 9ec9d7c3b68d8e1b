// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Fragments (facts: nat-behaviour F1 to F5). The first fragment is translated
// like any packet and leaves its translation in the table; a later one finds
// it there, or waits for it. Fragments of 1:1 traffic need no memory as long as
// the address alone says where they go.
//
// Before `recall`: parsed, a later fragment. Before `remember`: a first
// fragment whose translation is chosen and not yet done.
// Drops: FragmentLimit, UnknownVnet.

#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

FragmentKey fragment_key(const Packet& p, std::uint32_t realm) {
  return {realm, p.src, p.dst, get16(p.data + wire::ip::kId), p.proto};
}

namespace {

// Whether a datagram of a host with a 1:1 entry goes where its first fragment
// says: it may be a flow's from before the entry, or turn round at a shared
// address.
bool follows_first(Context& c, const Packet& p) {
  if (p.proto != kTcp && p.proto != kUdp && p.proto != kIcmp) return false;
  return c.accounts.may_have_flows(p.vnet_slot, p.src) ||
         (c.maybe_ours(p.dst) && c.rules.is_public(p.dst));
}

}  // namespace

bool waits_for_first(Context& c, const Packet& p) {
  const Fragment* entry = c.fragments.find(fragment_key(p, p.vnet), c.now);
  const bool was_the_entrys =
      entry != nullptr && entry->known && !entry->translation.ports;
  return !was_the_entrys && follows_first(c, p);
}

bool recall_fragment(Context& c, Packet& p, std::uint32_t realm) {
  const Fragment* entry = c.fragments.find(fragment_key(p, realm), c.now);
  if (entry == nullptr || !entry->known || !entry->translation.ports ||
      !c.rules.is_live(entry->rule)) {
    return false;
  }
  p.translation = entry->translation;
  p.rule = entry->rule.slot;
  p.vlan = entry->vlan;
  p.vnet = entry->vnet;
  p.vnet_slot = c.rules.at(p.rule).vnet_slot;
  return true;
}

Verdict hold_fragment(Context& c, Packet& p, std::uint32_t realm) {
  return c.fragments.hold(fragment_key(p, realm), p, c.now);
}

Verdict remember_fragment(Context& c, Packet& p, std::uint32_t realm) {
  const FragmentKey key = fragment_key(p, realm);
  Fragment* entry = c.fragments.find(key, c.now);
  if (entry == nullptr) {
    const bool needed =
        p.translation.ports || (realm != kOutside && follows_first(c, p));
    if (!needed) return Verdict::proceed();
    entry = c.fragments.add(key, c.now);
  }
  if (entry == nullptr) return c.drop(p, Drop::kFragmentLimit);
  entry->known = true;
  entry->translation = p.translation;
  entry->rule = c.rules.id(p.rule);
  entry->vlan = p.vlan;
  entry->vnet = p.vnet;
  return Verdict::proceed();
}

void release_fragments(Context& c, const FragmentKey& key) {
  Fragment* entry = c.fragments.find(key, c.now);
  if (entry == nullptr || !entry->known) return;
  for (std::uint32_t slot;
       (slot = c.fragments.take(*entry)) != PacketPool::kNone;) {
    Packet& held = c.fragments.at(slot);
    resume(c, held, inbound_ip);
    c.fragments.release(slot);
  }
}

}  // namespace vxlnat
