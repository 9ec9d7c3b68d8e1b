// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Several threads and one engine: the worker with its ports and mailbox, and
// lanes, all busy at once. Meant for ThreadSanitizer (`make test-tsan`);
// everywhere it shows that no packet is lost or goes to two.

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "io/memory_port.h"
#include "io/worker.h"
#include "test/build.h"
#include "test/harness.h"
#include "test/world.h"

namespace vxlnat::io {

namespace {

using namespace vxlnat::test;

constexpr std::size_t kPackets = 2000;
constexpr auto kPatience = std::chrono::seconds(60);

// A lane's queues without a network: gives `kPackets` and takes what comes.
class MemoryLane final : public LaneIo {
 public:
  // Begins when `*go` is set.
  MemoryLane(std::uint16_t first_port, const std::atomic<bool>* go,
             std::atomic<std::size_t>* sent)
      : first_port_(first_port),
        go_(go),
        sent_(sent),
        buffers_(8, kHeadroom, 2048) {}

  Burst receive() override {
    packets_.clear();
    if (!go_->load()) return {};
    for (std::size_t i = 0; i < 8 && next_ < kPackets; i++, next_++) {
      const auto port = static_cast<std::uint16_t>(first_port_ + next_ % 500);
      const Bytes bytes = World::frame(
          make_ip(kHostA, kServer, kUdp,
                  udp_payload(kHostA, port, kServer, 53, text("x"))),
          1, kRouterMac1, -1);
      std::copy(bytes.begin(), bytes.end(), buffers_.data(i));
      Packet packet;
      packet.data = buffers_.data(i);
      packet.length = bytes.size();
      packet.path = World::path_in();
      packets_.push_back(packet);
    }
    return {packets_, {}};
  }
  void underlay(std::span<const std::uint8_t>, const Underlay&,
                Offload) override {}
  void external(std::span<const std::uint8_t>, Offload) override {
    recorded_++;
  }
  void flush(std::uint64_t) override {
    sent_->fetch_add(recorded_);
    recorded_ = 0;
  }
  void sleep() override {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  void wake() override {}
  const PortCounters& counters() const override { return counters_; }

 private:
  const std::uint16_t first_port_;
  const std::atomic<bool>* const go_;
  std::atomic<std::size_t>* const sent_;
  Buffers buffers_;
  std::vector<Packet> packets_;
  std::size_t next_ = 0;
  std::size_t recorded_ = 0;
  PortCounters counters_;
};

class Sink final : public EventSink {
 public:
  void post(Event) override { events_.fetch_add(1); }

 private:
  std::atomic<int> events_{0};
};

// Calls the worker with an operation and waits until it is applied.
void apply(Worker& worker, const Operation& operation) {
  std::atomic<bool> done{false};
  const bool posted =
      worker.post({[&](Engine& engine, std::uint64_t now, Outbox& out) {
                     (void)engine.apply(operation, now, out);
                     return true;
                   },
                   [&] { done.store(true); }});
  CHECK(posted);
  while (!done.load()) std::this_thread::yield();
}

SetRule rule() {
  SetRule rule;
  rule.vnet = 1;
  rule.prefix = {ip4(10, 4, 4, 0), 22};
  rule.router_ip = kRouter1;
  rule.router_mac = kRouterMac1;
  rule.public_ip = kPublic1;
  return rule;
}

Bytes packet_from(std::uint16_t port) {
  return World::frame(
      make_ip(kHostA, kServer, kUdp,
              udp_payload(kHostA, port, kServer, 53, text("x"))),
      1, kRouterMac1, -1);
}

TEST("lanes, worker and mailbox share one engine") {
  const char* error = nullptr;
  auto engine = Engine::create(World::small(), &error);
  CHECK(engine != nullptr);
  auto underlay = std::make_unique<MemoryPort>(8);
  auto external = std::make_unique<MemoryPort>(8);
  MemoryPort* inside = underlay.get();
  MemoryPort* outside = external.get();
  Sink sink;
  Worker worker(std::move(engine), std::move(underlay), std::move(external), 8,
                &sink);
  std::atomic<bool> go{false};
  std::atomic<std::size_t> sent{0};
  worker.add_lane(std::make_unique<MemoryLane>(10'000, &go, &sent));
  worker.add_lane(std::make_unique<MemoryLane>(20'000, &go, &sent));
  worker.start();
  apply(worker, AddUl3{kZone});
  apply(worker, rule());
  go.store(true);
  for (std::uint16_t i = 0; i < 500; i++) {
    inside->push({packet_from(static_cast<std::uint16_t>(30'000 + i)),
                  World::path_in()});
    apply(worker, SetRemote{1, kHostB + i, kHostMac, kNode, 4789});
  }
  std::size_t by_worker = 0;
  // A packet that was lost would make this wait for ever.
  const auto enough = std::chrono::steady_clock::now() + kPatience;
  while ((sent.load() < 2 * kPackets || by_worker < 500) &&
         std::chrono::steady_clock::now() < enough) {
    by_worker += outside->take().size();
    std::this_thread::yield();
  }
  worker.stop();
  CHECK_EQ(worker.stats().drops.read(), 0u);
  CHECK_EQ(sent.load(), 2 * kPackets);
  CHECK_EQ(by_worker, 500u);
  CHECK_EQ(worker.stats().flows.read(), 1500u);
  CHECK_EQ(worker.stats().rx_underlay_packets.read(), 2 * kPackets + 500);
}

TEST("a lane's detour leaves by the worker's ports") {
  const char* error = nullptr;
  auto underlay = std::make_unique<MemoryPort>(8);
  auto external = std::make_unique<MemoryPort>(8);
  MemoryPort* inside = underlay.get();
  MemoryPort* outside = external.get();
  Sink sink;
  Worker worker(Engine::create(World::small(), &error), std::move(underlay),
                std::move(external), 8, &sink);
  worker.start();
  const Underlay to = {.src_ip = kZone,
                       .dst_ip = kNode,
                       .dst_port = 4789,
                       .entropy = 50'000,
                       .tos = 0};
  worker.detour().put(text("inside"), &to);
  worker.detour().put(text("outside"), nullptr);
  std::vector<MemoryPort::Out> in;
  std::vector<MemoryPort::Out> out;
  while (in.empty() || out.empty()) {
    for (auto& each : inside->take()) in.push_back(std::move(each));
    for (auto& each : outside->take()) out.push_back(std::move(each));
  }
  worker.stop();
  CHECK(in[0].bytes == text("inside"));
  CHECK_EQ(in[0].to.dst_ip, kNode);
  CHECK(out[0].bytes == text("outside"));
}

}  // namespace

}  // namespace vxlnat::io
