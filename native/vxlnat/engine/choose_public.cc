// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which public address of a rule's pool a flow gets. A host stays with the one
// it has as long as anything of it lives, and otherwise begins with the one
// that a hash of vnet, host and address prefers (facts: nat-behaviour U2, P1,
// D3): rendezvous hashing, so that a pool that grows or shrinks moves few, and
// a fixed key, so that every zone and every start chooses alike. A host that
// has nothing yet goes to the next one when the first has no port for it. A
// draining address is given to nobody (G2).

#include "engine/place.h"
#include "engine/port_range.h"

namespace vxlnat {

namespace {

constexpr HashKey kPoolKey = {0x706f6f6c6f666e61, 0x7470616972696e67};

std::uint64_t liking(const Context& c, const Wish& wish, std::uint32_t rule) {
  const std::uint32_t vni = wish.vni_proto >> 8;
  return hash16(kPoolKey, std::uint64_t{vni} << 32 | wish.private_ip,
                c.rules.at(rule).public_ip);
}

// The member not yet in `tried` that the host likes best, or kNoSlot.
std::uint32_t best_of(const Context& c, const Wish& wish,
                      std::uint64_t& tried) {
  std::uint32_t best = kNoSlot;
  std::uint64_t best_liking = 0;
  std::uint64_t best_bit = 0;
  std::uint64_t bit = 1;
  for (std::uint32_t at = wish.rule; at != kNoSlot;
       at = c.rules.next_member(at), bit <<= 1) {
    if ((tried & bit) != 0 || c.rules.is_draining(at)) continue;
    const std::uint64_t each = liking(c, wish, at);
    if (best != kNoSlot && each <= best_liking) continue;
    best = at;
    best_liking = each;
    best_bit = bit;
  }
  tried |= best_bit;
  return best;
}

// The member that the host has already, or kNoSlot.
std::uint32_t paired(Context& c, const Wish& wish) {
  const Host* host = c.accounts.host(wish.vnet_slot, wish.private_ip);
  if (host == nullptr || host->rule == 0) return kNoSlot;
  const std::uint32_t member = host->rule - 1;
  const bool serves = c.rules.is_live(member) &&
                      c.rules.head(member) == wish.rule &&
                      !c.rules.is_draining(member);
  return serves ? member : kNoSlot;
}

Drop find_fixed(Context& c, const Wish& wish, const RuleOptions& options,
                Place& place) {
  const std::size_t own = fixed_ports(c, wish).address;
  const Ip4 ip = own == 0 ? c.rules.first_address(wish.rule)
                          : options.more_public_ips[own - 1];
  const std::uint32_t member = c.rules.member_of(wish.rule, ip);
  if (c.rules.is_draining(member)) return Drop::kPublicDraining;
  return find_port(c, wish, member, place);
}

// The place of an endpoint that is bound already. A draining address keeps
// its bindings: they end when nobody uses them.
Drop find_bound(Context& c, const Wish& wish, const Binding& b, Place& place) {
  place = {b.rule, b.public_port, VXLNAT_FLOW_BOUND};
  const bool taken = c.flows.port_in_use(
      {b.public_ip, wish.remote_ip, wish.remote_port, wish.proto()},
      b.public_port, c.now);
  return taken ? Drop::kPortExhausted : Drop::kCount;
}

}  // namespace

Drop find_place(Context& c, const Wish& wish, Place& place) {
  const RuleOptions& options = c.rules.options(wish.rule);
  if (options.mapping == Mapping::kDeterministic) {
    return find_fixed(c, wish, options, place);
  }
  if (options.mapping == Mapping::kIndependent) {
    Binding* b =
        c.accounts.binding(wish.vni_proto, wish.private_ip, wish.private_port);
    if (b != nullptr && c.rules.head(b->rule) == wish.rule) {
      return find_bound(c, wish, *b, place);
    }
    // Another rule's; its flows go on without it.
    if (b != nullptr) c.accounts.unbind(*b);
  }
  const std::uint32_t own = paired(c, wish);
  if (own != kNoSlot) return find_port(c, wish, own, place);
  Drop reason = Drop::kPublicDraining;
  std::uint64_t tried = 0;
  for (std::uint32_t at; (at = best_of(c, wish, tried)) != kNoSlot;) {
    reason = find_port(c, wish, at, place);
    if (reason == Drop::kCount) break;
  }
  return reason;
}

bool may_go_on(Context& c, const Wish& wish, const vxlnat_flow& old) {
  if (!c.rules.is_live(old.rule) || c.rules.head(old.rule) != wish.rule ||
      c.rules.is_draining(old.rule)) {
    return false;
  }
  const RuleOptions& options = c.rules.options(wish.rule);
  const bool bound = (old.flags & VXLNAT_FLOW_BOUND) != 0;
  const bool block = (old.flags & VXLNAT_FLOW_BLOCK) != 0;
  if (options.mapping == Mapping::kIndependent) {
    const Binding* b =
        c.accounts.binding(old.vni_proto, old.private_ip, old.private_port);
    return bound && b != nullptr && b->rule == old.rule &&
           b->public_port == old.public_port;
  }
  return !bound && block == (options.block_size != 0) &&
         port_range(c.config, options).holds(old.public_port);
}

}  // namespace vxlnat
