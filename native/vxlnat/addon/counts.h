// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The conversions for what the engine has counted of vnets, public addresses
// and flows. As in convert.h: the order and names of ts/native.ts.

#ifndef VXLNAT_ADDON_COUNTS_H_
#define VXLNAT_ADDON_COUNTS_H_

#include <napi.h>

#include <vector>

#include "engine/engine.h"

namespace vxlnat::addon {

Napi::Value counts_to_js(Napi::Env env, const std::vector<VnetInfo>& vnets,
                         const std::vector<PublicInfo>& publics);
Napi::Value hot_to_js(Napi::Env env, const std::vector<HotRemote>& remotes);
Napi::Value flow_events_to_js(Napi::Env env,
                              const std::vector<FlowEvent>& events, Tick now,
                              std::uint64_t lost);

}  // namespace vxlnat::addon

#endif  // VXLNAT_ADDON_COUNTS_H_
