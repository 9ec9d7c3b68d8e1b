// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// From the transfer types of ts/native.ts to the engine's plain values and
// back, in the order and with the names of both. Only what conversion needs is
// checked here; errors name the field's path (field.h).

#ifndef VXLNAT_ADDON_CONVERT_H_
#define VXLNAT_ADDON_CONVERT_H_

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "addon/field.h"
#include "engine/engine.h"
#include "io/data_path.h"

namespace vxlnat::addon {

struct FlowQuery {
  FlowFilter filter;
  std::size_t limit = 0;
  std::uint64_t cursor = 0;
};

EngineConfig engine_config(const Field& from);
Timers timers(const Field& from);
Limits limits(const Field& from);
Operation set_rule(const Field& from);
Operation set_vnet_limits(const Field& from);
Operation set_drain(const Field& from);
io::IoConfig io_config(const Field& from);
std::vector<Operation> operations(const Field& from);
FlowQuery flow_query(const Field& from);

// One `OperationResult` for each; null is no error.
Napi::Value results_to_js(Napi::Env env,
                          const std::vector<const char*>& errors);
Napi::Value events_to_js(Napi::Env env, const std::vector<io::Event>& events);
Napi::Value stats_to_js(Napi::Env env, std::uint64_t progress,
                        const Stats& stats);
Napi::Value io_to_js(Napi::Env env, const io::IoStatus& status);
Napi::Value drops_to_js(Napi::Env env, const Stats& stats);
Napi::Value flows_to_js(Napi::Env env, const std::vector<FlowInfo>& flows,
                        const FlowPage& page);

Napi::String ip_to_js(Napi::Env env, Ip4 value);

// A JavaScript Error with this `name`.
Napi::Error named_error(Napi::Env env, const char* name,
                        const std::string& message);

}  // namespace vxlnat::addon

#endif  // VXLNAT_ADDON_CONVERT_H_
