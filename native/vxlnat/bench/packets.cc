// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a packet costs. Flows are picked at random and packets come in bursts
// of 32. `core.pipeline` is everything from the datagram to the Outbox, and
// copying the packet in; `core.lookup_rewrite` is from the keys to translated
// bytes. The ratio is the time of the peer in twin.h over ours.

#include <cstdio>
#include <cstring>
#include <string>

#include "bench/cloud.h"
#include "bench/twin.h"
#include "engine/context.h"
#include "engine/established.h"

namespace vxlnat::bench {

namespace {

constexpr std::size_t kTraffic = std::size_t{1} << 20;
constexpr std::uint32_t kMostTwin = 2000000;  // a twin of more takes too long

// A table full of flows, and what is sent through it.
struct Bench {
  explicit Bench(std::uint32_t count)
      : flows(count),
        tables(config_for(count)),
        engine(make_engine(config_for(count), tables, sink)),
        ports(count) {
    for (std::uint32_t n = 0; n < flows; n++) {
      const Datagram d = make(n);
      burst.load(0, d);
      engine->process_underlay(burst.packets[0], 1, sink);
      ports[n] = sink.last_port;
      if (flows > kMostTwin) continue;
      const std::uint8_t* ip = &d.bytes[kHead];
      twin.add(inside_key(1, kUdp, get32(ip + 12), get16(ip + 20),
                          get32(ip + 16), 443),
               {kPublic, sink.last_port});
    }
    if (sink.count != flows) fail("a flow was refused");
    Random random({3, 4});
    for (Datagram& d : out) {
      const std::uint32_t n = random.below(flows);
      d = make(n);
      in.push_back(make_answer(n, ports[n]));
    }
  }

  std::uint32_t flows;
  Sink sink;
  Tables tables;
  std::unique_ptr<Engine> engine;
  Twin twin;
  Burst burst;
  std::vector<std::uint16_t> ports;  // by flow
  std::vector<Datagram> out = std::vector<Datagram>(kTraffic);
  std::vector<Datagram> in;
};

// Nanoseconds a packet of `each(first packet of a burst)`.
template <typename Each>
double time_bursts(Each&& each) {
  const double start = thread_ns();
  for (std::size_t at = 0; at < kTraffic; at += kBurst) each(at);
  return (thread_ns() - start) / kTraffic;
}

void pipeline(Bench& b, const std::string& id) {
  std::vector<double> ours;
  std::vector<double> ratios;
  for (std::size_t run = 0; run < kRuns; run++) {
    ours.push_back(time_bursts([&](std::size_t at) {
      for (std::size_t i = 0; i < kBurst; i++) b.burst.load(i, b.out[at + i]);
      b.engine->process_underlay(std::span(b.burst.packets), 1000 + at / 32768,
                                 b.sink);
    }));
    if (b.flows > kMostTwin) continue;
    std::uint64_t hits = 0;
    const double peer = time_bursts([&](std::size_t at) {
      for (std::size_t i = 0; i < kBurst; i++) {
        b.burst.load(0, b.out[at + i]);
        hits += b.twin.translate(b.burst.packets[0].data, run) ? 1u : 0u;
      }
    });
    ratios.push_back(peer / ours.back());
    if (hits != kTraffic) fail("the twin lost a flow");
  }
  if (b.sink.count != b.flows + kRuns * kTraffic) fail("a packet was lost");
  print(id.c_str(), "ns/packet", ours, ratios);
}

void pipeline_in(Bench& b, const std::string& id) {
  const std::uint64_t before = b.sink.count;
  std::vector<double> ours;
  for (std::size_t run = 0; run < kRuns; run++) {
    ours.push_back(time_bursts([&](std::size_t at) {
      for (std::size_t i = 0; i < kBurst; i++) {
        b.burst.load(i, b.in[at + i], kSize - kHead);
      }
      b.engine->process_external(std::span(b.burst.packets), 1000 + at / 32768,
                                 b.sink);
    }));
  }
  if (b.sink.count != before + kRuns * kTraffic) fail("a packet was lost");
  print(id.c_str(), "ns/packet", ours);
}

// From the keys of a burst to its translated bytes: hashes, buckets, records,
// what the flows are told, addresses, ports and checksums. Reading the packets
// is what comes before, and is measured in the same run and taken off.
void lookup_rewrite(Bench& b, const std::string& id) {
  Context& c = b.engine->context();
  c.now = 2000;
  LookAhead seen;
  const auto read = [&](std::size_t at) {
    for (std::size_t i = 0; i < kBurst; i++) b.burst.load(i, b.out[at + i]);
    seen.read_outbound(c, b.burst.packets);
  };
  std::vector<double> values;
  std::uint64_t bytes = 0;
  for (std::size_t run = 0; run < kRuns; run++) {
    const double reading = time_bursts(read);
    values.push_back(time_bursts([&](std::size_t at) {
                       read(at);
                       seen.find(c, kBurst, false);
                       for (std::size_t i = 0; i < kBurst; i++) {
                         vxlnat_flow* flow =
                             outbound_flow(c, b.burst.packets[i], seen, i);
                         // The candidate was another with the same tag.
                         if (flow == nullptr) {
                           flow = c.flows.live_inside(seen.key(i), c.now);
                         }
                         bytes += translate_outbound(c, seen.header(i), *flow);
                       }
                     }) -
                     reading);
  }
  if (bytes != kRuns * kTraffic * (kSize - kHead)) fail("a packet was lost");
  print(id.c_str(), "ns/packet", values);
}

void new_flows() {
  constexpr std::uint32_t kFlows = 1 << 19;
  std::vector<double> values;
  std::vector<Datagram> traffic(kFlows);
  for (std::uint32_t n = 0; n < kFlows; n++) traffic[n] = make(n);
  for (std::size_t run = 0; run < kRuns; run++) {
    Sink sink;
    const Tables tables(config_for(kFlows));
    auto engine = make_engine(config_for(kFlows), tables, sink);
    Burst burst;
    const double start = thread_ns();
    for (std::uint32_t n = 0; n < kFlows; n += kBurst) {
      for (std::uint32_t i = 0; i < kBurst; i++) burst.load(i, traffic[n + i]);
      engine->process_underlay(std::span(burst.packets), 1, sink);
    }
    values.push_back((thread_ns() - start) / kFlows);
    if (engine->stats().flows.read() != kFlows) fail("a flow was refused");
  }
  print("core.new_flow", "ns", values);
}

}  // namespace

void measure_packets(const char* wanted) {
  const std::pair<const char*, std::uint32_t> sizes[] = {
      {"1k", 1000}, {"100k", 100000}, {"1m", 1000000}, {"10m", 10000000}};
  using Measure = void (*)(Bench&, const std::string&);
  const std::pair<const char*, Measure> figures[] = {
      {"core.pipeline.", pipeline},
      {"core.pipeline_in.", pipeline_in},
      {"core.lookup_rewrite.", lookup_rewrite}};
  for (const auto& [size, flows] : sizes) {
    std::unique_ptr<Bench> bench;
    for (const auto& [name, measure] : figures) {
      const std::string id = std::string(name) + size;
      if (!is_wanted(id.c_str(), wanted)) continue;
      if (bench == nullptr) bench = std::make_unique<Bench>(flows);
      measure(*bench, id);
    }
  }
  if (is_wanted("core.new_flow", wanted)) new_flows();
}

}  // namespace vxlnat::bench
