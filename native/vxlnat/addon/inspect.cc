// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Taps and questions across the bridge; see inspect.h.

#include "addon/inspect.h"

#include <cstring>
#include <string_view>

#include "addon/engine_object.h"

namespace vxlnat::addon {

namespace {

constexpr std::string_view kPoints[] = {"outer", "inner", "translated", "drop"};

std::optional<Ip4> ip_or_null(const Field& field) {
  if (field.is_null()) return std::nullopt;
  return field.ip();
}

template <typename T>
std::optional<T> number_or_null(const Field& field, std::uint64_t high) {
  if (field.is_null()) return std::nullopt;
  return static_cast<T>(field.number(0, high));
}

std::uint8_t points(const Field& from) {
  std::uint8_t bits = 0;
  for (std::uint32_t i = 0; i < from.array_length(); i++) {
    const Field each = from.at(i);
    const std::string name = each.text();
    std::size_t at = 0;
    while (at < std::size(kPoints) && kPoints[at] != name) at++;
    if (at == std::size(kPoints)) each.fail("no such point: \"" + name + "\"");
    bits = static_cast<std::uint8_t>(bits | 1u << at);
  }
  return bits;
}

std::optional<Drop> drop_or_null(const Field& field) {
  if (field.is_null()) return std::nullopt;
  const std::string name = field.text();
  for (std::size_t i = 0; i < kDropCount; i++) {
    if (name == kDropTexts[i].name) return static_cast<Drop>(i);
  }
  field.fail("no such drop reason: \"" + name + "\"");
}

std::optional<bool> outbound_or_null(const Field& field) {
  if (field.is_null()) return std::nullopt;
  const std::string name = field.text();
  if (name != "out" && name != "in") field.fail("expected \"out\" or \"in\"");
  return name == "out";
}

void set_error(Napi::Env env, Napi::Object& to, const char* error) {
  if (error == nullptr) {
    to.Set("error", env.Null());
  } else {
    to.Set("error", error);
  }
}

}  // namespace

FlowFilter flow_filter(const Field& from) {
  return {
      .vnet = number_or_null<Vni>(from.get("vnet"), kMaxVni),
      .private_ip = ip_or_null(from.get("private_ip")),
      .public_ip = ip_or_null(from.get("public_ip")),
      .remote_ip = ip_or_null(from.get("remote_ip")),
      .proto = number_or_null<std::uint8_t>(from.get("proto"), 255),
      .port = number_or_null<std::uint16_t>(from.get("port"), 65535),
  };
}

TapSpec tap_spec(const Field& from) {
  const auto number = [&](const char* name) {
    return static_cast<std::uint32_t>(from.get(name).number(0, 0xffffffff));
  };
  return {
      .filter = flow_filter(from.get("filter")),
      .outbound = outbound_or_null(from.get("direction")),
      .drop = drop_or_null(from.get("drop")),
      .points = points(from.get("points")),
      .snap = number("snap"),
      .packets = number("packets"),
      .lifetime_ms = number("lifetime_ms"),
      .room = number("room"),
  };
}

Question question(const Field& from) {
  const auto port = [&](const char* name) {
    return static_cast<std::uint16_t>(from.get(name).number(0, 65535));
  };
  const auto octet = [&](const char* name) {
    return static_cast<std::uint8_t>(from.get(name).number(0, 255));
  };
  return {
      .outbound = outbound_or_null(from.get("direction")).value_or(true),
      .vnet = static_cast<Vni>(from.get("vnet").number(0, kMaxVni)),
      .src = from.get("src").ip(),
      .dst = from.get("dst").ip(),
      .sport = port("sport"),
      .dport = port("dport"),
      .proto = octet("proto"),
      .tcp_flags = octet("tcp_flags"),
      .icmp_type = octet("icmp_type"),
      .ttl = octet("ttl"),
      .size = port("size"),
  };
}

Napi::Value opened_to_js(Napi::Env env, const char* error, std::uint32_t id) {
  Napi::Object to = Napi::Object::New(env);
  set_error(env, to, error);
  to.Set("id", id);
  return to;
}

Napi::Value answer_to_js(Napi::Env env, const char* error,
                         const std::string& answer) {
  Napi::Object to = Napi::Object::New(env);
  set_error(env, to, error);
  to.Set("answer", answer);
  return to;
}

Napi::Value tap_to_js(Napi::Env env, const std::optional<TapState>& state,
                      const std::vector<std::uint8_t>& bytes, Tick now) {
  if (!state.has_value()) return env.Null();
  Napi::Object to = Napi::Object::New(env);
  Napi::ArrayBuffer data = Napi::ArrayBuffer::New(env, bytes.size());
  if (!bytes.empty()) std::memcpy(data.Data(), bytes.data(), bytes.size());
  to.Set("data", data);
  to.Set("now_ms", static_cast<double>(now));
  to.Set("done", state->done);
  to.Set("seen", static_cast<double>(state->seen));
  to.Set("lost", static_cast<double>(state->lost));
  return to;
}

// -- the calls ------------------------------------------------------------

Napi::Value EngineObject::tap_open(Napi::Env env, const TapSpec& spec) {
  must_be_open();
  struct Job {
    TapSpec spec;
    const char* error = nullptr;
    std::uint32_t id = 0;
  };
  auto job = std::make_shared<Job>();
  job->spec = spec;
  return post(
      env,
      [job](Engine& engine, std::uint64_t now, Outbox&) {
        job->error = engine.open_tap(job->spec, now, &job->id);
        return true;
      },
      [job](Napi::Env at) { return opened_to_js(at, job->error, job->id); });
}

Napi::Value EngineObject::tap_read(Napi::Env env, std::uint32_t id,
                                   std::uint32_t room) {
  must_be_open();
  struct Job {
    std::optional<TapState> state;
    std::vector<std::uint8_t> bytes;
    Tick now = 0;
  };
  auto job = std::make_shared<Job>();
  job->bytes.reserve(room);
  return post(
      env,
      [job, id](Engine& engine, std::uint64_t now, Outbox&) {
        job->now = now;
        job->state = engine.read_tap(id, job->bytes);
        return true;
      },
      [job](Napi::Env at) {
        return tap_to_js(at, job->state, job->bytes, job->now);
      });
}

Napi::Value EngineObject::tap_close(Napi::Env env, std::uint32_t id) {
  must_be_open();
  return post(
      env,
      [id](Engine& engine, std::uint64_t, Outbox&) {
        engine.close_tap(id);
        return true;
      },
      [](Napi::Env at) { return at.Undefined(); });
}

Napi::Value EngineObject::explain(Napi::Env env, const Question& asked) {
  must_be_open();
  struct Job {
    Question asked;
    const char* error = nullptr;
    std::string answer;
  };
  auto job = std::make_shared<Job>();
  job->asked = asked;
  return post(
      env,
      [job](Engine& engine, std::uint64_t now, Outbox&) {
        job->error = engine.explain(job->asked, now, &job->answer);
        return true;
      },
      [job](Napi::Env at) {
        return answer_to_js(at, job->error, job->answer);
      });
}

}  // namespace vxlnat::addon
