// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The conversions for looking into a running engine: taps and questions. As in
// convert.h: the order and names of ts/native.ts.

#ifndef VXLNAT_ADDON_INSPECT_H_
#define VXLNAT_ADDON_INSPECT_H_

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon/field.h"
#include "engine/inspect.h"

namespace vxlnat::addon {

FlowFilter flow_filter(const Field& from);
TapSpec tap_spec(const Field& from);
Question question(const Field& from);

// `{error, ...}`, with null for no error.
Napi::Value opened_to_js(Napi::Env env, const char* error, std::uint32_t id);
Napi::Value answer_to_js(Napi::Env env, const char* error,
                         const std::string& answer);
// Null when there is no such tap.
Napi::Value tap_to_js(Napi::Env env, const std::optional<TapState>& state,
                      const std::vector<std::uint8_t>& bytes, Tick now);

}  // namespace vxlnat::addon

#endif  // VXLNAT_ADDON_INSPECT_H_
