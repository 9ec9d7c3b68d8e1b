// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Making an engine, handing packets to the two sequences, the regular sweep
// and the copying of flows; see engine.h.

#include "engine/engine.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "engine/context.h"
#include "engine/established.h"
#include "engine/stages.h"

namespace vxlnat {

namespace {

constexpr std::uint32_t kMostFlows = 1u << 27;
constexpr std::uint32_t kMostEntries = 1u << 24;
// Flow records looked at in one call of list_flows.
constexpr std::uint64_t kListScan = 65536;

const char* check_rooms(const EngineConfig& config) {
  const auto bad = [](std::uint32_t n) { return n < 1 || n > kMostEntries; };
  if (bad(config.max_vnets)) return "max_vnets must be 1 to 16777216";
  if (bad(config.max_rules)) return "max_rules must be 1 to 16777216";
  if (bad(config.max_one_to_ones)) {
    return "max_one_to_ones must be 1 to 16777216";
  }
  if (bad(config.max_remotes)) return "max_remotes must be 1 to 16777216";
  if (bad(config.max_fragments)) return "max_fragments must be 1 to 16777216";
  if (config.max_held > 65536) return "max_held must be at most 65536";
  if (config.max_waiting > 65536) return "max_waiting must be at most 65536";
  if (config.max_port_maps < 1 || config.max_port_maps > 65536) {
    return "max_port_maps must be 1 to 65536";
  }
  if (config.rows < 1 || config.rows > 1024) return "rows must be 1 to 1024";
  if (config.vnet_share_percent < 1 || config.vnet_share_percent > 100) {
    return "vnet_share_percent must be 1 to 100";
  }
  return nullptr;
}

const char* check(const EngineConfig& config) {
  if (config.vxlan_port == 0) return "vxlan_port must not be 0";
  if (config.probe_vnet > kMaxVni) return "probe_vnet must be at most 16777215";
  // RFC 791: 68 is the least; more than scratch holds is no use.
  if (config.inner_mtu < 576 || config.inner_mtu > 9000) {
    return "inner_mtu must be 576 to 9000";
  }
  if (config.max_flows < 1 || config.max_flows > kMostFlows) {
    return "max_flows must be 1 to 134217728";
  }
  if (config.port_low < 1 || config.port_low > config.port_high) {
    return "port_low must be at least 1 and at most port_high";
  }
  const Timers& t = config.timers;
  for (const std::uint32_t each : {t.tcp_established, t.tcp_opening,
                                   t.tcp_closing, t.udp, t.icmp, t.fragment}) {
    if (each == 0 || each > 0x7fffffff) {
      return "timers must be 1 to 2147483647 ms";
    }
  }
  if (t.quarantine > 0x7fffffff) {
    return "timers.quarantine must be at most 2147483647 ms";
  }
  return check_rooms(config);
}

}  // namespace

std::size_t Engine::shared_bytes(const EngineConfig& config) {
  return plan_tables(config).bytes;
}

std::unique_ptr<Engine> Engine::create(const EngineConfig& config,
                                       const char** error,
                                       std::span<std::uint8_t> shared) {
  *error = check(config);
  if (*error != nullptr) return nullptr;
  vxlnat_layout layout = plan_tables(config);
  OwnedMemory own;
  std::uint8_t* base = shared.data();
  if (shared.empty()) {
    own.reset(static_cast<std::uint8_t*>(
        ::operator new[](layout.bytes, std::align_val_t{64}, std::nothrow)));
    base = own.get();
    if (base != nullptr) std::memset(base, 0, layout.bytes);
  } else if (shared.size() < layout.bytes) {
    *error = "the shared memory is too small";
    return nullptr;
  }
  if (base == nullptr) {
    *error = "there is not enough memory for max_flows";
    return nullptr;
  }
  const HashKey key = hash_key(config.seed);
  layout.key[0] = key.k0;
  layout.key[1] = key.k1;
  layout.timers[0] = pack(config.timers);
  std::memcpy(base, &layout, sizeof layout);
  return std::unique_ptr<Engine>(new Engine(
      std::make_unique<Context>(config, std::move(own), SharedTables(base))));
}

Engine::Engine(std::unique_ptr<Context> context)
    : context_(std::move(context)) {}

Engine::~Engine() = default;

namespace {

// A packet that the short way did not take.
void take(Context& c, Packet& p, const LookAhead& seen, std::size_t i,
          Verdict (*sequence)(Context&, Packet&)) {
  begin(p);
  if (seen.header(i) != nullptr) {
    p.flow_hash = seen.hash(i);
    p.host_hash = seen.host_hash(i);
  }
  if (seen.flow(i) != nullptr) p.host = &seen.flow(i)->host;
  if (c.look == nullptr) [[likely]] {
    (void)sequence(c, p);
    return;
  }
  c.look->begin(p, sequence == outbound);
  (void)sequence(c, p);
  c.taps.end();
}

std::uint64_t bytes_of(std::span<const Packet> packets) {
  std::uint64_t sum = 0;
  for (const Packet& p : packets) sum += p.length;
  return sum;
}

void take_underlay(Context& c, std::span<Packet> packets) {
  LookAhead seen;
  seen.outbound(c, packets);
  c.stats.rx_underlay_packets.add(packets.size());
  c.stats.rx_underlay_bytes.add(bytes_of(packets));
  for (std::size_t i = 0; i < packets.size(); i++) {
    Packet& p = packets[i];
    // Who looks on is told of stages.
    if (c.look == nullptr && pass_outbound(c, p, seen, i)) continue;
    take(c, p, seen, i, outbound);
  }
}

void take_external(Context& c, std::span<Packet> packets) {
  LookAhead seen;
  seen.inbound(c, packets);
  c.stats.rx_external_packets.add(packets.size());
  c.stats.rx_external_bytes.add(bytes_of(packets));
  const bool quiet = c.look == nullptr && !c.is_shut();
  for (std::size_t i = 0; i < packets.size(); i++) {
    Packet& p = packets[i];
    if (quiet && pass_inbound(c, p, seen, i)) continue;
    take(c, p, seen, i, inbound);
  }
}

template <typename Take>
void each_burst(std::span<Packet> packets, Take&& take_burst) {
  while (!packets.empty()) {
    const std::size_t n = std::min(packets.size(), LookAhead::kMost);
    take_burst(packets.first(n));
    packets = packets.subspan(n);
  }
}

}  // namespace

void Engine::process_underlay(Packet& packet, Tick now, Outbox& out) {
  process_underlay({&packet, 1}, now, out);
}

void Engine::process_external(Packet& packet, Tick now, Outbox& out) {
  process_external({&packet, 1}, now, out);
}

void Engine::process_underlay(std::span<Packet> packets, Tick now,
                              Outbox& out) {
  Context& c = *context_;
  c.now = now;
  c.out = &out;
  each_burst(packets, [&](std::span<Packet> some) { take_underlay(c, some); });
}

void Engine::process_external(std::span<Packet> packets, Tick now,
                              Outbox& out) {
  Context& c = *context_;
  c.now = now;
  c.out = &out;
  each_burst(packets, [&](std::span<Packet> some) { take_external(c, some); });
}

bool Engine::sweep(Tick now, std::size_t budget) {
  Context& c = *context_;
  c.now = now;
  bool more = c.flows.sweep(now, budget * 16);
  more |= c.remotes.sweep(now, budget);
  more |= c.fragments.sweep(now, budget);
  more |= c.taps.sweep(budget * 16);
  if (c.paths.sweep(now)) tell_least_mtu(c);
  if (!c.flows.reaping() && c.rules.reap_wanted()) {
    c.rules.begin_reap();
    c.flows.begin_reap();
  }
  if (c.flows.reaping()) {
    if (!c.flows.reap(budget * 16)) {
      c.rules.end_reap();
    } else {
      more = true;
    }
  }
  return more;
}

std::span<const std::uint8_t> Engine::tables() const {
  const vxlnat_layout& layout = context_->layout;
  return {reinterpret_cast<const std::uint8_t*>(&layout), layout.bytes};
}

const char* Engine::adopt(std::span<const std::uint8_t> old, Tick now,
                          Adopted& result) {
  context_->now = now;
  return take_over(*context_, old, result);
}

std::size_t Engine::take_misses(std::span<Miss> out) {
  return context_->remotes.take_misses(out);
}

const Stats& Engine::stats() const { return context_->stats; }

const char* Engine::open_tap(const TapSpec& spec, Tick now, std::uint32_t* id) {
  context_->now = now;
  return context_->taps.open(spec, id);
}

std::optional<TapState> Engine::read_tap(std::uint32_t id,
                                         std::vector<std::uint8_t>& into) {
  Tap* tap = context_->taps.find(id);
  if (tap == nullptr) return std::nullopt;
  tap->read(into);
  return tap->state();
}

void Engine::open_events(std::uint32_t room) {
  Context& c = *context_;
  c.events.open(room);
  c.stats.events = c.events.on() ? &c.events : nullptr;
  c.accounts.set_events(c.stats.events);
}

std::size_t Engine::take_events(std::span<FlowEvent> out, std::uint64_t* lost) {
  *lost = context_->events.lost();
  return context_->events.take(out);
}

void Engine::close_tap(std::uint32_t id) { context_->taps.close(id); }

namespace {

FlowInfo describe(const FlowTable& flows, const vxlnat_flow& flow, Tick now) {
  const Tick idle = flows.idle(flow, now);
  const Tick timeout = flows.timeout(flow);
  return {.vnet = flow.vni_proto >> 8,
          .proto = static_cast<std::uint8_t>(flow.vni_proto),
          .private_ip = flow.private_ip,
          .private_port = flow.private_port,
          .public_ip = flow.public_ip,
          .public_port = flow.public_port,
          .remote_ip = flow.remote_ip,
          .remote_port = flow.remote_port,
          .state = state_name(static_cast<FlowState>(flow.state)),
          .idle_ms = idle,
          .expires_ms = timeout - std::min(idle, timeout),
          .packets_out = flow.packets_out,
          .packets_in = flow.packets_in};
}

}  // namespace

FlowPage Engine::list_flows(const FlowFilter& filter, std::span<FlowInfo> out,
                            std::uint64_t cursor, Tick now) const {
  const FlowTable& flows = context_->flows;
  FlowPage page;
  const std::uint64_t size = flows.size();
  const std::uint64_t stop = std::min(size, cursor + kListScan);
  for (; cursor < stop && page.count < out.size(); cursor++) {
    const vxlnat_flow& flow = flows.at(static_cast<std::uint32_t>(cursor));
    if (!is_live(static_cast<FlowState>(flow.state)) || flows.is_dead(flow) ||
        flows.idle(flow, now) >= flows.timeout(flow) ||
        !matches(filter, flow)) {
      continue;
    }
    out[page.count++] = describe(flows, flow, now);
  }
  if (cursor < size) page.cursor = cursor;
  return page;
}

}  // namespace vxlnat
