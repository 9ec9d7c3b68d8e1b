// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// From a fabric to the Internet, and the turn at our own edge. The sequence,
// and nothing else.

#include "engine/stages.h"
#include "engine/wire.h"

namespace vxlnat {

Verdict outbound(Context& c, Packet& p) {
  STAGE(decap(c, p));  // VXLAN datagram -> vnet and inner packet
  if (p.vnet == c.config.probe_vnet) return reflect_probe(c, p);
  STAGE(find_vnet(c, p));  // everything below is about one vnet
  if (p.arp) return answer_arp(c, p);
  STAGE(parse(c, p));  // addresses, ports, fragment and ICMP class
  return outbound_ip(c, p);
}

Verdict outbound_ip(Context& c, Packet& p) {
  STAGE(answer_gateway(c, p));  // echo to the router ends here
  STAGE(check_ttl_inside(c, p));
  STAGE(check_sender(c, p));     // it lives where the frame comes from
  STAGE(choose_outbound(c, p));  // flow, 1:1 entry or rule -> translation
  if (!p.fragment || !p.first) {
    STAGE(rewrite(c, p));
    return depart(c, p);
  }
  const FragmentKey key = fragment_key(p, p.vnet);
  STAGE(remember_fragment(c, p, p.vnet));
  STAGE(rewrite(c, p));
  const Verdict verdict = depart(c, p);
  release_fragments(c, key);  // what came too early follows
  return verdict;
}

void resume(Context& c, Packet& p, Verdict (*then)(Context&, Packet&)) {
  if (!p.from_inside || p.turns > 0) {
    (void)then(c, p);
  } else if (c.rules.find_vnet(p.vnet) == p.vnet_slot) {
    (void)outbound_ip(c, p);
  } else {
    (void)c.drop(p, Drop::kUnknownVnet);
  }
}

namespace {

Verdict turn_round(Context& c, Packet& p) {
  if (p.turns > 0) return c.drop(p, Drop::kHairpinLoop);
  p.turns++;
  c.stats.hairpin_packets.add();
  return Verdict::proceed();
}

}  // namespace

// A packet for a public address of ours turns round here. A 1:1 address is
// always served; a rule's address only when a flow of this zone matches, for
// another zone may be the one that serves it.
Verdict depart(Context& c, Packet& p) {
  if (c.maybe_ours(p.dst)) {
    if (c.one_to_ones.find_public(p.dst) != nullptr) {
      STAGE(turn_round(c, p));
      return inbound_ip(c, p);
    }
    if (c.rules.is_public(p.dst) && resolve_inbound(c, p) == Drop::kCount) {
      STAGE(turn_round(c, p));
      return deliver(c, p);
    }
  }
  // The last guard: whatever went wrong, no foreign source leaves (S5).
  if (!c.maybe_ours(p.src)) return c.drop(p, Drop::kNoPrivateLeaves);
  c.stats.tx_external_packets.add();
  c.stats.tx_external_bytes.add(p.length);
  c.out->external(p.bytes(), p.offload);
  return Verdict::done();
}

}  // namespace vxlnat
