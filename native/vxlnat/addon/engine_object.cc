// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The life of an engine behind a JavaScript object; see engine_object.h.

#include "addon/engine_object.h"

#include <algorithm>
#include <utility>

#include "addon/field.h"

namespace vxlnat::addon {

namespace {

constexpr napi_type_tag kTag = {0x76786c6e61742065, 0x6e67696e65206f62};
// Operations applied between two bursts: well below a millisecond.
constexpr std::size_t kOperationsInPass = 256;

}  // namespace

Napi::Value EngineObject::open(Napi::Env env, const EngineConfig& config,
                               const io::IoConfig& io,
                               Napi::Function on_events) {
  auto events = std::make_shared<Events>(env, on_events);
  std::string error;
  bool bad_setting = false;
  auto path =
      io::DataPath::open(config, io, events.get(), &error, &bad_setting);
  if (path == nullptr) {
    events->close(env, false);
    if (bad_setting) throw NamedError("FieldError", "config: " + error);
    throw NamedError("IoError", error);
  }
  path->start();
  std::unique_ptr<EngineObject> self(
      new EngineObject(env, std::move(events), std::move(path)));

  const Napi::Object handle = Napi::Object::New(env);
  handle.TypeTag(&kTag);
  const napi_status status = napi_wrap(
      env, handle, self.get(),
      [](napi_env, void* data, void*) {
        delete static_cast<EngineObject*>(data);
      },
      nullptr, nullptr);
  NAPI_THROW_IF_FAILED(env, status, env.Undefined());
  self->self_ = Napi::Persistent(handle);
  self.release();
  return handle;
}

EngineObject* EngineObject::of(Napi::Value handle) {
  void* data = nullptr;
  if (!handle.IsObject() || !handle.As<Napi::Object>().CheckTypeTag(&kTag) ||
      napi_unwrap(handle.Env(), handle, &data) != napi_ok) {
    Field(handle, "engine").fail("expected an engine");
  }
  return static_cast<EngineObject*>(data);
}

EngineObject::EngineObject(Napi::Env env, std::shared_ptr<Events> events,
                           std::unique_ptr<io::DataPath> path)
    : env_(env), events_(std::move(events)), path_(std::move(path)) {
  napi_add_env_cleanup_hook(env, at_exit, this);
}

EngineObject::~EngineObject() {
  // Not the place to settle promises: this is garbage collection.
  end(env_, false, true);
}

void EngineObject::at_exit(void* self) {
  auto* engine = static_cast<EngineObject*>(self);
  try {
    engine->end(engine->env_, false, true);
  } catch (const Napi::Error&) {
    // Node is going away: there is nobody to tell.
  }
}

void EngineObject::end(Napi::Env env, bool run_completions, bool keep) {
  if (path_ == nullptr) return;
  napi_remove_env_cleanup_hook(env, at_exit, this);
  path_->close(keep);
  events_->close(env, run_completions);
  path_.reset();
  self_.Reset();
}

void EngineObject::must_be_open() const {
  if (path_ == nullptr) {
    throw NamedError("ClosedError", "the engine is closed");
  }
}

Napi::Value EngineObject::post(Napi::Env env, Work work, Settle settle) {
  const std::uint64_t id = next_id_++;
  auto done = [this, id, settle = std::move(settle)] {
    events_->post(
        [this, id, settle](Napi::Env at) { this->settle(at, id, settle); });
  };
  const auto deferred = Napi::Promise::Deferred::New(env);
  if (!path_->worker().post({std::move(work), std::move(done)})) {
    throw NamedError("BusyError", "the engine has too many calls waiting");
  }
  waiting_.emplace(id, deferred);
  return deferred.Promise();
}

void EngineObject::settle(Napi::Env env, std::uint64_t id,
                          const Settle& value) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  const Napi::Promise::Deferred deferred = found->second;
  waiting_.erase(found);
  const Napi::HandleScope scope(env);
  deferred.Resolve(value(env));
}

Napi::Value EngineObject::apply(Napi::Env env,
                                std::vector<Operation> operations) {
  must_be_open();
  struct Job {
    std::vector<Operation> operations;
    std::vector<const char*> errors;
  };
  auto job = std::make_shared<Job>();
  job->errors.reserve(operations.size());
  job->operations = std::move(operations);
  return post(
      env,
      [job](Engine& engine, std::uint64_t now, Outbox& out) {
        const std::size_t end = std::min(
            job->operations.size(), job->errors.size() + kOperationsInPass);
        for (std::size_t i = job->errors.size(); i < end; i++) {
          job->errors.push_back(engine.apply(job->operations[i], now, out));
        }
        return end == job->operations.size();
      },
      [job](Napi::Env at) { return results_to_js(at, job->errors); });
}

Napi::Value EngineObject::stats(Napi::Env env) const {
  must_be_open();
  return stats_to_js(env, path_->worker().progress(), path_->worker().stats());
}

Napi::Value EngineObject::drops(Napi::Env env) const {
  must_be_open();
  return drops_to_js(env, path_->worker().stats());
}

Napi::Value EngineObject::flows(Napi::Env env, const FlowQuery& query) {
  must_be_open();
  struct Job {
    FlowQuery query;
    std::vector<FlowInfo> flows;
    FlowPage page;
  };
  auto job = std::make_shared<Job>();
  job->query = query;
  job->flows.resize(query.limit);
  return post(
      env,
      [job](Engine& engine, std::uint64_t now, Outbox&) {
        const FlowPage part = engine.list_flows(
            job->query.filter, std::span(job->flows).subspan(job->page.count),
            job->query.cursor, now);
        job->page.count += part.count;
        job->page.cursor = part.cursor;
        if (!part.cursor.has_value()) return true;
        job->query.cursor = *part.cursor;
        return job->page.count == job->flows.size();
      },
      [job](Napi::Env at) { return flows_to_js(at, job->flows, job->page); });
}

Napi::Value EngineObject::io_status(Napi::Env env) const {
  must_be_open();
  return io_to_js(env, path_->status());
}

Napi::Value EngineObject::attach(Napi::Env env) {
  must_be_open();
  path_->attach();
  return io_to_js(env, path_->status());
}

Napi::Value EngineObject::detach(Napi::Env env) {
  must_be_open();
  path_->detach();
  return io_to_js(env, path_->status());
}

Napi::Value EngineObject::close(Napi::Env env, bool keep) {
  end(env, true, keep);
  for (auto& [id, deferred] : std::exchange(waiting_, {})) {
    deferred.Reject(
        named_error(env, "ClosedError", "the engine was closed").Value());
  }
  const auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Resolve(env.Undefined());
  return deferred.Promise();
}

}  // namespace vxlnat::addon
