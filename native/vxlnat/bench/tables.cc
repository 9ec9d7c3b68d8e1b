// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the tables cost: memory, expiry, loading, changing, taking over.

#include <algorithm>

#include "bench/cloud.h"

namespace vxlnat::bench {

namespace {

// As the worker calls it (io/worker.cc).
constexpr std::size_t kSweepBudget = 256;

double bytes_for(std::uint32_t flows) {
  return static_cast<double>(Engine::shared_bytes(config_for(flows)) -
                             Engine::shared_bytes(config_for(1)));
}

void bytes_of_flows() {
  print("core.bytes_per_flow", "bytes", {bytes_for(1 << 20) / (1 << 20)});
}

void bytes_of_10m() {
  print("core.bytes_10m", "MB", {bytes_for(10000000) / 1e6});
}

void fill(Engine& engine, std::uint32_t flows, Sink& sink) {
  Burst burst;
  for (std::uint32_t n = 0; n < flows; n++) {
    burst.load(n % kBurst, make(n));
    if (n % kBurst != kBurst - 1) continue;
    engine.process_underlay(std::span(burst.packets), 1, sink);
  }
}

// The longest call while a million flows end at one time.
void sweep_max() {
  constexpr std::uint32_t kFlows = 1 << 20;
  std::vector<double> values;
  for (std::size_t run = 0; run < 3; run++) {
    Sink sink;
    const Tables tables(config_for(kFlows));
    auto engine = make_engine(config_for(kFlows), tables, sink);
    fill(*engine, kFlows, sink);
    double most = 0;
    while (engine->stats().flows.read() > 0) {
      const double start = thread_ns();
      (void)engine->sweep(1000000, kSweepBudget);
      most = std::max(most, thread_ns() - start);
    }
    values.push_back(most / 1000);
  }
  print("core.sweep_max_us.1m", "us", values);
}

constexpr std::uint32_t kRules = 100000;
constexpr std::uint32_t kRulesEach = 5;  // of a vnet
constexpr std::uint32_t kAips = 1000000;

SetRule rule(std::uint32_t n, std::uint32_t change = 0) {
  const Ip4 prefix = 0x0a000000 + (n % kRulesEach << 16);
  return {1 + n / kRulesEach, 0, {prefix, 16}, prefix + 1, kRouter + change,
          0x64000000 + n};
}

EngineConfig large() {
  EngineConfig config = config_for(1 << 16);
  config.max_vnets = 1 << 15;
  config.max_rules = 1 << 17;
  config.max_one_to_ones = 1 << 20;
  return config;
}

void load_tables(const char* wanted) {
  Sink sink;
  const Tables tables(large());
  auto engine = make_engine(large(), tables, sink);
  apply(*engine, RemoveRule{1, {0x0a000000, 8}}, sink);
  double start = thread_ns();
  for (std::uint32_t n = 0; n < kRules; n++) apply(*engine, rule(n), sink);
  const double rules = (thread_ns() - start) / 1e6;
  start = thread_ns();
  for (std::uint32_t n = 0; n < kAips; n++) {
    const SetRule of = rule(n % kRules);
    apply(*engine,
          SetOneToOne{of.vnet, 0, of.prefix.address + 2 + n / kRules,
                      0x70000000 + n},
          sink);
  }
  const double aips = (thread_ns() - start) / 1e6;
  if (is_wanted("core.load_rules_100k", wanted)) {
    print("core.load_rules_100k", "ms", {rules});
  }
  if (is_wanted("core.load_aips_1m", wanted)) {
    print("core.load_aips_1m", "ms", {aips});
  }
  if (!is_wanted("core.rule_change_us", wanted)) return;
  std::vector<double> values;
  const auto timed = [&](const Operation& operation) {
    const double before = thread_ns();
    apply(*engine, operation, sink);
    values.push_back((thread_ns() - before) / 1000);
  };
  for (std::uint32_t n = 0; n < 300; n++) {
    const std::uint32_t at = n * 331 % kRules;
    SetRule other = rule(at, 9);
    timed(other);  // another router
    other.public_ip = 0x65000000 + n;
    timed(other);  // another public address
    timed(SetRule{other.vnet,
                  0,
                  {other.prefix.address, 24},
                  other.prefix.address + 9,
                  kRouter,
                  0x66000000 + n});
    timed(RemoveRule{other.vnet, {other.prefix.address, 24}});
  }
  print("core.rule_change_us", "us", values);
}

void adoption() {
  constexpr std::uint32_t kFlows = 1 << 20;
  std::vector<double> values;
  Sink sink;
  const Tables tables(config_for(kFlows));
  auto old = make_engine(config_for(kFlows), tables, sink);
  fill(*old, kFlows, sink);
  for (std::size_t run = 0; run < kRuns; run++) {
    const Tables others(config_for(kFlows));
    const char* error = nullptr;
    auto engine = Engine::create(config_for(kFlows), &error, others.span());
    if (engine == nullptr) fail(error);
    Adopted adopted;
    const double start = thread_ns();
    if (const char* why = engine->adopt(old->tables(), 2, adopted)) fail(why);
    values.push_back((thread_ns() - start) / 1e6);
    if (adopted.flows != kFlows) fail("a flow was left behind");
  }
  print("core.adopt_ms.1m", "ms", values);
}

}  // namespace

void measure_tables(const char* wanted) {
  if (is_wanted("core.bytes_per_flow", wanted)) bytes_of_flows();
  if (is_wanted("core.bytes_10m", wanted)) bytes_of_10m();
  if (is_wanted("core.sweep_max_us.1m", wanted)) sweep_max();
  if (is_wanted("core.load_rules_100k", wanted) ||
      is_wanted("core.load_aips_1m", wanted) ||
      is_wanted("core.rule_change_us", wanted)) {
    load_tables(wanted);
  }
  if (is_wanted("core.adopt_ms.1m", wanted)) adoption();
}

}  // namespace vxlnat::bench
