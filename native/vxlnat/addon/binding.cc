// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The addon's exports, in the order of ts/native.ts. Each reads its arguments,
// calls one thing and returns; errors become JavaScript errors in one place.

#include <napi.h>

#include "addon/convert.h"
#include "addon/engine_object.h"
#include "addon/field.h"
#include "io/arp_announce.h"

namespace vxlnat::addon {

namespace {

using Info = Napi::CallbackInfo;

// Runs an export; a NamedError leaves it as a JavaScript error of that name.
template <Napi::Value (*Export)(const Info&)>
Napi::Value guarded(const Info& info) {
  try {
    return Export(info);
  } catch (const NamedError& error) {
    throw named_error(info.Env(), error.name, error.what());
  }
}

Napi::Value engine_open(const Info& info) {
  const EngineConfig config = engine_config(Field(info[0], "config"));
  const io::IoConfig io = io_config(Field(info[1], "io"));
  if (!info[2].IsFunction()) {
    Field(info[2], "onEvents").fail("expected a function");
  }
  return EngineObject::open(info.Env(), config, io,
                            info[2].As<Napi::Function>());
}

Napi::Value engine_apply(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->apply(info.Env(), operations(Field(info[1], "operations")));
}

Napi::Value engine_stats(const Info& info) {
  return EngineObject::of(info[0])->stats(info.Env());
}

Napi::Value engine_drops(const Info& info) {
  return EngineObject::of(info[0])->drops(info.Env());
}

Napi::Value engine_flows(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->flows(info.Env(), flow_query(Field(info[1], "filter")));
}

Napi::Value engine_io(const Info& info) {
  return EngineObject::of(info[0])->io_status(info.Env());
}

Napi::Value engine_attach(const Info& info) {
  return EngineObject::of(info[0])->attach(info.Env());
}

Napi::Value engine_detach(const Info& info) {
  return EngineObject::of(info[0])->detach(info.Env());
}

Napi::Value engine_tap_open(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->tap_open(info.Env(), tap_spec(Field(info[1], "spec")));
}

Napi::Value engine_tap_read(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  const auto number = [&](std::size_t i, const char* name) {
    return static_cast<std::uint32_t>(
        Field(info[i], name).number(0, 0xffffffff));
  };
  return engine->tap_read(info.Env(), number(1, "id"), number(2, "room"));
}

Napi::Value engine_tap_close(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->tap_close(
      info.Env(),
      static_cast<std::uint32_t>(Field(info[1], "id").number(0, 0xffffffff)));
}

Napi::Value engine_explain(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->explain(info.Env(), question(Field(info[1], "question")));
}

Napi::Value engine_counts(const Info& info) {
  return EngineObject::of(info[0])->counts(info.Env());
}

Napi::Value engine_hot(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->hot(info.Env(), Field(info[1], "most").number(1, 1000));
}

Napi::Value engine_events_open(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->events_open(
      info.Env(),
      static_cast<std::uint32_t>(Field(info[1], "room").number(0, 1u << 24)));
}

Napi::Value engine_events_read(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->events_read(info.Env(),
                             Field(info[1], "most").number(1, 1u << 20));
}

Napi::Value engine_close(const Info& info) {
  EngineObject* engine = EngineObject::of(info[0]);
  return engine->close(info.Env(), Field(info[1], "keep").boolean());
}

Napi::Value detach(const Info& info) {
  const std::string error = io::DataPath::detach(Field(info[0], "pins").text());
  if (!error.empty()) throw NamedError("IoError", error);
  return info.Env().Undefined();
}

Napi::Value announce_arp(const Info& info) {
  const std::string interface = Field(info[0], "interfaceName").text();
  const std::uint32_t ip = Field(info[1], "ip").ip();
  const std::string error = io::announce_arp(interface, ip);
  if (!error.empty()) throw NamedError("IoError", error);
  return info.Env().Undefined();
}

template <Napi::Value (*Export)(const Info&)>
void add(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<guarded<Export>>(exports.Env(), name));
}

Napi::Object init(Napi::Env, Napi::Object exports) {
  add<engine_open>(exports, "engineOpen");
  add<engine_apply>(exports, "engineApply");
  add<engine_stats>(exports, "engineStats");
  add<engine_drops>(exports, "engineDrops");
  add<engine_flows>(exports, "engineFlows");
  add<engine_io>(exports, "engineIo");
  add<engine_attach>(exports, "engineAttach");
  add<engine_detach>(exports, "engineDetach");
  add<engine_tap_open>(exports, "engineTapOpen");
  add<engine_tap_read>(exports, "engineTapRead");
  add<engine_tap_close>(exports, "engineTapClose");
  add<engine_explain>(exports, "engineExplain");
  add<engine_counts>(exports, "engineCounts");
  add<engine_hot>(exports, "engineHot");
  add<engine_events_open>(exports, "engineEventsOpen");
  add<engine_events_read>(exports, "engineEventsRead");
  add<engine_close>(exports, "engineClose");
  add<detach>(exports, "detach");
  add<announce_arp>(exports, "announceArp");
  return exports;
}

}  // namespace

NODE_API_MODULE(vxlnat, init)

}  // namespace vxlnat::addon
