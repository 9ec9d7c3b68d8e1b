// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What an engine before this one left: its tables, from which a fast path may
// still be translating, are copied into this engine's own. Whatever point the
// other ended at, a record counts only when every look-up would find it, so a
// half-written one is left behind and nothing of the old memory is trusted:
// each rule and entry passes the checks of `apply`.
//
// What was taken over is marked until the control side says it again; what
// still is when it has said everything is removed (finish_adoption).

#ifndef VXLNAT_ENGINE_RECOVER_H_
#define VXLNAT_ENGINE_RECOVER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "engine/config.h"

namespace vxlnat {

struct Adopted;
struct Context;

// What was taken over and not said again: rules and entries by index.
struct Inherited {
  std::vector<bool> rules;
  std::vector<bool> one_to_ones;
  std::vector<Ip4> ul3s;
  bool open = false;
};

// Copies the tables in `old` into the engine's own, which are empty. Null, or
// why nothing was taken.
const char* take_over(Context& c, std::span<const std::uint8_t> old,
                      Adopted& result);

// An operation holds now: what it said is no longer only inherited.
void confirm(Context& c, const Operation& operation);

// Removes what is only inherited.
void drop_inherited(Context& c);

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_RECOVER_H_
