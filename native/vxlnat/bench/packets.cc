// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a packet costs. Flows are picked at random and packets come in bursts
// of 32. `core.pipeline` is everything from the datagram to the Outbox, and
// copying the packet in; `core.lookup_rewrite` is the look-ahead and the two
// stages in the middle over packets that are parsed, and what filling the
// packets in costs is measured in the same run and taken off. The ratio is
// the time of the peer in twin.h over ours.

#include <cstdio>
#include <cstring>
#include <string>

#include "bench/cloud.h"
#include "bench/twin.h"
#include "engine/context.h"
#include "engine/stages.h"

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

// Puts flow `n` into a packet that is as it is between `parse` and
// `choose_outbound`, but for `data`, which the look-ahead wants at the VXLAN
// header. Nobody looks at the checksums, which are another flow's.
void load_parsed(Burst& burst, std::size_t i, const Datagram& any,
                 std::uint32_t n) {
  burst.load(i, any);
  Packet& p = burst.packets[i];
  p.src = host_of(n);
  p.dst = remote_of(n);
  p.sport = port_of(n);
  p.dport = 443;
  std::uint8_t* ip = p.data + kHead;
  put32(ip + 12, p.src);
  put32(ip + 16, p.dst);
  put16(ip + 20, p.sport);
}

void lookup_rewrite(Bench& b, const std::string& id) {
  Context& c = b.engine->context();
  c.now = 2000;
  for (Packet& p : b.burst.packets) {
    p = Packet{};
    p.vnet = 1;
    p.vnet_slot = c.rules.find_vnet(1);
    p.proto = kUdp;
    p.l4 = 20;
    p.from_inside = true;
  }
  const Datagram any = make(0);
  std::uint64_t chance = 1;
  const auto fill = [&](std::size_t) {
    for (std::size_t i = 0; i < kBurst; i++) {
      chance = chance * 6364136223846793005 + 1442695040888963407;
      load_parsed(b.burst, i, any,
                  static_cast<std::uint32_t>((chance >> 32) * b.flows >> 32));
    }
  };
  std::vector<double> values;
  std::uint64_t ended = 0;
  for (std::size_t run = 0; run < kRuns; run++) {
    const double filling = time_bursts(fill);
    values.push_back(time_bursts([&](std::size_t at) {
                       fill(at);
                       prefetch_outbound(c, b.burst.packets);
                       for (Packet& p : b.burst.packets) {
                         p.data += kHead;
                         p.length -= kHead;
                         ended += choose_outbound(c, p).ended() ? 1u : 0u;
                         ended += rewrite(c, p).ended() ? 1u : 0u;
                       }
                     }) -
                     filling);
  }
  if (ended != 0) fail("a packet was lost");
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
