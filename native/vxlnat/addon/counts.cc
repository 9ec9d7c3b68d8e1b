// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Counters by vnet and public address, hot remotes and the log of flows,
// across the bridge; see counts.h.

#include "addon/counts.h"

#include <cstring>
#include <memory>

#include "addon/convert.h"
#include "addon/engine_object.h"

namespace vxlnat::addon {

namespace {

// Entries listed between two bursts.
constexpr std::size_t kPage = 1024;

Napi::Number number(Napi::Env env, std::uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

template <typename Info>
void set_flows(Napi::Env env, Napi::Object& to, const Info& info) {
  to.Set("flows", number(env, info.flows));
  to.Set("high_water", number(env, info.tally.high_water));
  to.Set("created", number(env, info.tally.created));
  to.Set("expired", number(env, info.tally.expired));
}

void set_traffic(Napi::Env env, Napi::Object& to, const Traffic& traffic) {
  to.Set("packets_out", number(env, traffic.packets_out));
  to.Set("bytes_out", number(env, traffic.bytes_out));
  to.Set("packets_in", number(env, traffic.packets_in));
  to.Set("bytes_in", number(env, traffic.bytes_in));
}

Napi::Object vnet_to_js(Napi::Env env, const VnetInfo& vnet) {
  Napi::Object to = Napi::Object::New(env);
  to.Set("vnet", number(env, vnet.vnet));
  to.Set("opening", number(env, vnet.opening));
  set_flows(env, to, vnet);
  set_traffic(env, to, vnet.traffic);
  Napi::Object drops = Napi::Object::New(env);
  for (std::size_t i = 0; i < kDropCount; i++) {
    if (vnet.drops[i] > 0) drops.Set(kDropTexts[i].name, vnet.drops[i]);
  }
  to.Set("drops", drops);
  return to;
}

Napi::Object public_to_js(Napi::Env env, const PublicInfo& address) {
  Napi::Object to = Napi::Object::New(env);
  to.Set("ip", ip_to_js(env, address.ip));
  if (address.one_to_one) {
    to.Set("vnet", number(env, address.vnet));
  } else {
    to.Set("vnet", env.Null());
  }
  set_flows(env, to, address);
  set_traffic(env, to, address.traffic);
  return to;
}

template <typename T, typename ToJs>
Napi::Array list_to_js(Napi::Env env, const std::vector<T>& all, ToJs&& to_js) {
  Napi::Array list = Napi::Array::New(env, all.size());
  for (std::uint32_t i = 0; i < all.size(); i++) {
    const Napi::HandleScope scope(env);
    list.Set(i, to_js(env, all[i]));
  }
  return list;
}

}  // namespace

Napi::Value counts_to_js(Napi::Env env, const std::vector<VnetInfo>& vnets,
                         const std::vector<PublicInfo>& publics) {
  Napi::Object to = Napi::Object::New(env);
  to.Set("vnets", list_to_js(env, vnets, vnet_to_js));
  to.Set("publics", list_to_js(env, publics, public_to_js));
  return to;
}

Napi::Value hot_to_js(Napi::Env env, const std::vector<HotRemote>& remotes) {
  return list_to_js(env, remotes, [](Napi::Env at, const HotRemote& remote) {
    Napi::Object to = Napi::Object::New(at);
    to.Set("public_ip", ip_to_js(at, remote.public_ip));
    to.Set("remote_ip", ip_to_js(at, remote.remote_ip));
    to.Set("remote_port", number(at, remote.remote_port));
    to.Set("proto", number(at, remote.proto));
    to.Set("flows", number(at, remote.flows));
    return to;
  });
}

Napi::Value flow_events_to_js(Napi::Env env,
                              const std::vector<FlowEvent>& events, Tick now,
                              std::uint64_t lost) {
  const std::size_t size = events.size() * sizeof(FlowEvent);
  Napi::ArrayBuffer data = Napi::ArrayBuffer::New(env, size);
  if (size > 0) std::memcpy(data.Data(), events.data(), size);
  Napi::Object to = Napi::Object::New(env);
  to.Set("data", data);
  to.Set("now_ms", number(env, now));
  to.Set("lost", number(env, lost));
  return to;
}

// -- the calls ------------------------------------------------------------

Napi::Value EngineObject::counts(Napi::Env env) {
  must_be_open();
  struct Job {
    std::vector<VnetInfo> vnets;
    std::vector<PublicInfo> publics;
    std::uint32_t vnet_cursor = 0;
    std::uint32_t public_cursor = 0;
  };
  auto job = std::make_shared<Job>();
  return post(
      env,
      [job](Engine& engine, std::uint64_t, Outbox&) {
        const auto page = [](auto& all, auto&& list) {
          const std::size_t before = all.size();
          all.resize(before + kPage);
          const std::size_t n = list(std::span(all).subspan(before));
          all.resize(before + n);
        };
        if (job->vnet_cursor != Engine::kListEnd) {
          page(job->vnets, [&](std::span<VnetInfo> out) {
            return engine.list_vnets(out, &job->vnet_cursor);
          });
          return false;
        }
        page(job->publics, [&](std::span<PublicInfo> out) {
          return engine.list_publics(out, &job->public_cursor);
        });
        return job->public_cursor == Engine::kListEnd;
      },
      [job](Napi::Env at) {
        return counts_to_js(at, job->vnets, job->publics);
      });
}

Napi::Value EngineObject::hot(Napi::Env env, std::size_t most) {
  must_be_open();
  auto scan = std::make_shared<HotScan>();
  return post(
      env,
      [scan](Engine& engine, std::uint64_t, Outbox&) {
        return !engine.scan_hot(*scan);
      },
      [scan, most](Napi::Env at) { return hot_to_js(at, scan->result(most)); });
}

Napi::Value EngineObject::events_open(Napi::Env env, std::uint32_t room) {
  must_be_open();
  return post(
      env,
      [room](Engine& engine, std::uint64_t, Outbox&) {
        engine.open_events(room);
        return true;
      },
      [](Napi::Env at) { return at.Undefined(); });
}

Napi::Value EngineObject::events_read(Napi::Env env, std::size_t most) {
  must_be_open();
  struct Job {
    std::vector<FlowEvent> events;
    std::uint64_t lost = 0;
    Tick now = 0;
  };
  auto job = std::make_shared<Job>();
  job->events.resize(most);
  return post(
      env,
      [job](Engine& engine, std::uint64_t now, Outbox&) {
        job->now = now;
        job->events.resize(engine.take_events(job->events, &job->lost));
        return true;
      },
      [job](Napi::Env at) {
        return flow_events_to_js(at, job->events, job->now, job->lost);
      });
}

}  // namespace vxlnat::addon
