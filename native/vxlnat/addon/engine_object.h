// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// One engine with its worker, behind an opaque JavaScript object. The object
// carries a type tag, so that nothing else can be passed for it. An open
// engine is kept alive, and keeps Node running, even if JavaScript forgets it:
// garbage collection must not stop anybody's packets. `close` and the end of
// the process end it.
//
// Threads: JavaScript thread only. Tasks and their results cross to the worker
// and back through io::Worker and Events.

#ifndef VXLNAT_ADDON_ENGINE_OBJECT_H_
#define VXLNAT_ADDON_ENGINE_OBJECT_H_

#include <napi.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "addon/convert.h"
#include "addon/events.h"
#include "addon/inspect.h"
#include "io/data_path.h"

namespace vxlnat::addon {

class EngineObject {
 public:
  // Opens ports, starts the worker and returns the handle. Throws NamedError
  // "IoError" when a socket or device cannot be opened.
  static Napi::Value open(Napi::Env env, const EngineConfig& config,
                          const io::IoConfig& io, Napi::Function on_events);
  // The engine behind a handle. Throws NamedError "FieldError" when this is
  // not one.
  static EngineObject* of(Napi::Value handle);

  // These throw NamedError "ClosedError" after `close`.
  Napi::Value apply(Napi::Env env, std::vector<Operation> operations);
  Napi::Value stats(Napi::Env env) const;
  Napi::Value drops(Napi::Env env) const;
  Napi::Value flows(Napi::Env env, const FlowQuery& query);
  // Looking into the engine (inspect.cc).
  Napi::Value tap_open(Napi::Env env, const TapSpec& spec);
  Napi::Value tap_read(Napi::Env env, std::uint32_t id, std::uint32_t room);
  Napi::Value tap_close(Napi::Env env, std::uint32_t id);
  Napi::Value explain(Napi::Env env, const Question& asked);
  // What it has counted (counts.cc).
  Napi::Value counts(Napi::Env env);
  Napi::Value hot(Napi::Env env, std::size_t most);
  Napi::Value events_open(Napi::Env env, std::uint32_t room);
  Napi::Value events_read(Napi::Env env, std::size_t most);
  Napi::Value io_status(Napi::Env env) const;
  // Puts the XDP program in place; gives the status.
  Napi::Value attach(Napi::Env env);
  // Takes it away again; gives the status.
  Napi::Value detach(Napi::Env env);
  // Ends the threads and rejects what waits with a ClosedError. `keep` leaves
  // the XDP program to a successor.
  Napi::Value close(Napi::Env env, bool keep);

  EngineObject(const EngineObject&) = delete;
  EngineObject& operator=(const EngineObject&) = delete;
  ~EngineObject();

 private:
  using Work = std::function<bool(Engine&, std::uint64_t, Outbox&)>;
  using Settle = std::function<Napi::Value(Napi::Env)>;

  EngineObject(Napi::Env env, std::shared_ptr<Events> events,
               std::unique_ptr<io::DataPath> path);
  void must_be_open() const;
  // Posts work whose result `settle` makes a value of, on this thread.
  Napi::Value post(Napi::Env env, Work work, Settle settle);
  void settle(Napi::Env env, std::uint64_t id, const Settle& value);
  void end(Napi::Env env, bool run_completions, bool keep);
  static void at_exit(void* self);

  Napi::Env env_;
  Napi::ObjectReference self_;  // strong until closed
  std::shared_ptr<Events> events_;
  std::unique_ptr<io::DataPath> path_;  // null when closed
  std::map<std::uint64_t, Napi::Promise::Deferred> waiting_;
  std::uint64_t next_id_ = 0;
};

}  // namespace vxlnat::addon

#endif  // VXLNAT_ADDON_ENGINE_OBJECT_H_
