// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// From the Internet, or from a hairpin, to a fabric. The sequence, and nothing
// else.

#include "engine/stages.h"

namespace vxlnat {

Verdict inbound(Context& c, Packet& p) {
  if (c.is_shut()) return c.drop(p, Drop::kNoUl3);
  STAGE(parse(c, p));
  return inbound_ip(c, p);
}

Verdict inbound_ip(Context& c, Packet& p) {
  STAGE(choose_inbound(c, p));  // 1:1 entry or flow -> vnet and translation
  return deliver(c, p);
}

Verdict deliver(Context& c, Packet& p) {
  STAGE(check_ttl_outside(c, p));
  STAGE(check_size(c, p));
  if (!p.fragment || !p.first) {
    STAGE(rewrite(c, p));
    return encap(c, p);
  }
  const FragmentKey key = fragment_key(p, kOutside);
  STAGE(remember_fragment(c, p, kOutside));
  STAGE(rewrite(c, p));
  const Verdict verdict = encap(c, p);
  release_fragments(c, key);  // what came too early follows
  return verdict;
}

}  // namespace vxlnat
