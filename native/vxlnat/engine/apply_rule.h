// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Setting and removing SNAT rules; see apply_rule.cc.

#ifndef VXLNAT_ENGINE_APPLY_RULE_H_
#define VXLNAT_ENGINE_APPLY_RULE_H_

#include "engine/context.h"

namespace vxlnat {

// Each returns null when the change holds now, else a sentence that says why
// not; then nothing has changed.
const char* set_rule(Context& c, const SetRule& op);
const char* remove_rule(Context& c, const RemoveRule& op);

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_APPLY_RULE_H_
