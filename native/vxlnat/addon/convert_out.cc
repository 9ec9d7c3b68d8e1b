// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What goes to JavaScript: results, events, counters, flows. See convert.h.

#include <cstdio>

#include "addon/convert.h"

namespace vxlnat::addon {

namespace {

// Exact up to 2^53, as ts/native.ts says.
Napi::Number number(Napi::Env env, std::uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Value text_or_null(Napi::Env env, const std::string& text) {
  if (text.empty()) return env.Null();
  return Napi::String::New(env, text);
}

const char* level_name(io::LogLevel level) {
  switch (level) {
    case io::LogLevel::kInfo:
      return "info";
    case io::LogLevel::kWarn:
      return "warn";
    case io::LogLevel::kError:
      return "error";
  }
  return "error";
}

Napi::Object event_to_js(Napi::Env env, const io::Event& event) {
  Napi::Object to = Napi::Object::New(env);
  if (event.kind == io::Event::Kind::kRemoteMiss) {
    to.Set("event", "remote_miss");
    to.Set("vnet", number(env, event.vnet));
    to.Set("ip", ip_to_js(env, event.ip));
  } else {
    to.Set("event", "log");
    to.Set("level", level_name(event.level));
    to.Set("message", event.message);
  }
  return to;
}

Napi::Object flow_to_js(Napi::Env env, const FlowInfo& flow) {
  Napi::Object to = Napi::Object::New(env);
  to.Set("vnet", number(env, flow.vnet));
  to.Set("proto", number(env, flow.proto));
  to.Set("private_ip", ip_to_js(env, flow.private_ip));
  to.Set("private_port", number(env, flow.private_port));
  to.Set("public_ip", ip_to_js(env, flow.public_ip));
  to.Set("public_port", number(env, flow.public_port));
  to.Set("remote_ip", ip_to_js(env, flow.remote_ip));
  to.Set("remote_port", number(env, flow.remote_port));
  to.Set("state", flow.state);
  to.Set("idle_ms", number(env, flow.idle_ms));
  to.Set("expires_ms", number(env, flow.expires_ms));
  to.Set("packets_out", number(env, flow.packets_out));
  to.Set("packets_in", number(env, flow.packets_in));
  return to;
}

}  // namespace

Napi::String ip_to_js(Napi::Env env, Ip4 value) {
  char text[16];
  const int length =
      std::snprintf(text, sizeof(text), "%u.%u.%u.%u", value >> 24,
                    value >> 16 & 255, value >> 8 & 255, value & 255);
  return Napi::String::New(env, text, static_cast<std::size_t>(length));
}

Napi::Value results_to_js(Napi::Env env,
                          const std::vector<const char*>& errors) {
  Napi::Array to = Napi::Array::New(env, errors.size());
  for (std::uint32_t i = 0; i < errors.size(); i++) {
    const Napi::HandleScope scope(env);
    Napi::Object result = Napi::Object::New(env);
    if (errors[i] == nullptr) {
      result.Set("error", env.Null());
    } else {
      result.Set("error", errors[i]);
    }
    to.Set(i, result);
  }
  return to;
}

Napi::Value events_to_js(Napi::Env env, const std::vector<io::Event>& events) {
  Napi::Array to = Napi::Array::New(env, events.size());
  for (std::uint32_t i = 0; i < events.size(); i++) {
    to.Set(i, event_to_js(env, events[i]));
  }
  return to;
}

Napi::Value stats_to_js(Napi::Env env, std::uint64_t progress,
                        const Stats& stats) {
  Napi::Object to = Napi::Object::New(env);
  const auto set = [&](const char* name, const Counter& counter) {
    to.Set(name, number(env, counter.read()));
  };
  to.Set("progress", number(env, progress));
  set("rx_underlay_packets", stats.rx_underlay_packets);
  set("rx_underlay_bytes", stats.rx_underlay_bytes);
  set("tx_underlay_packets", stats.tx_underlay_packets);
  set("tx_underlay_bytes", stats.tx_underlay_bytes);
  set("rx_external_packets", stats.rx_external_packets);
  set("rx_external_bytes", stats.rx_external_bytes);
  set("tx_external_packets", stats.tx_external_packets);
  set("tx_external_bytes", stats.tx_external_bytes);
  set("hairpin_packets", stats.hairpin_packets);
  set("icmp_errors_sent", stats.icmp_errors_sent);
  set("gateway_replies", stats.gateway_replies);
  set("probes_reflected", stats.probes_reflected);
  set("drops", stats.drops);
  set("flows", stats.flows);
  set("flows_created", stats.flows_created);
  set("flows_expired", stats.flows_expired);
  set("fragments", stats.fragments);
  set("rules", stats.rules);
  set("one_to_ones", stats.one_to_ones);
  set("vnets", stats.vnets);
  set("remotes", stats.remotes);
  set("remote_misses", stats.remote_misses);
  return to;
}

Napi::Value io_to_js(Napi::Env env, const io::IoStatus& status) {
  Napi::Object to = Napi::Object::New(env);
  to.Set("path", io::path_name(status.path));
  to.Set("why", text_or_null(env, status.why));
  to.Set("attached", status.xdp.attached);
  to.Set("zero_copy", status.xdp.zero_copy);
  to.Set("pinned", status.xdp.pinned);
  to.Set("unpinned_why", text_or_null(env, status.xdp.unpinned));
  to.Set("lanes", number(env, status.xdp.lanes));
  Napi::Array ports = Napi::Array::New(env);
  for (const io::XdpPortStatus& each : status.xdp.ports) {
    Napi::Object port = Napi::Object::New(env);
    port.Set("interface", each.device);
    port.Set("mode", each.native ? "native" : "generic");
    port.Set("vlan", number(env, each.vlan));
    port.Set("queues", number(env, each.queues));
    ports.Set(ports.Length(), port);
  }
  to.Set("ports", ports);
  to.Set("flows_taken_over", number(env, status.taken_over));
  to.Set("passed", number(env, status.passed));
  to.Set("raised", number(env, status.raised));
  to.Set("no_queue", number(env, status.no_queue));
  to.Set("fast_out", number(env, status.fast_out));
  to.Set("fast_in", number(env, status.fast_in));
  to.Set("rx_packets", number(env, status.rx_packets));
  to.Set("tx_packets", number(env, status.tx_packets));
  to.Set("rx_overflow", number(env, status.rx_overflow));
  to.Set("rx_invalid", number(env, status.rx_invalid));
  to.Set("tx_refused", number(env, status.tx_refused));
  to.Set("detoured", number(env, status.detoured));
  to.Set("detour_lost", number(env, status.lost));
  return to;
}

Napi::Value drops_to_js(Napi::Env env, const Stats& stats) {
  Napi::Array to = Napi::Array::New(env, kDropCount);
  for (std::uint32_t i = 0; i < kDropCount; i++) {
    Napi::Object drop = Napi::Object::New(env);
    drop.Set("name", kDropTexts[i].name);
    drop.Set("sentence", kDropTexts[i].sentence);
    drop.Set("count", number(env, stats.drop[i].read()));
    to.Set(i, drop);
  }
  return to;
}

Napi::Value flows_to_js(Napi::Env env, const std::vector<FlowInfo>& flows,
                        const FlowPage& page) {
  Napi::Array list = Napi::Array::New(env, page.count);
  for (std::uint32_t i = 0; i < page.count; i++) {
    const Napi::HandleScope scope(env);
    list.Set(i, flow_to_js(env, flows[i]));
  }
  Napi::Object to = Napi::Object::New(env);
  to.Set("flows", list);
  if (page.cursor.has_value()) {
    to.Set("cursor", number(env, *page.cursor));
  } else {
    to.Set("cursor", env.Null());
  }
  return to;
}

Napi::Error named_error(Napi::Env env, const char* name,
                        const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("name", name);
  return error;
}

}  // namespace vxlnat::addon
