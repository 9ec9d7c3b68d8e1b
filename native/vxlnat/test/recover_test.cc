// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// An engine that goes on with the tables of one that is gone, whatever that
// one was doing when it ended.

#include <cstring>
#include <functional>
#include <set>
#include <tuple>

#include "engine/hash.h"
#include "engine/layout.h"
#include "test/world.h"

namespace vxlnat::test {

namespace {

using Key = std::tuple<Vni, int, Ip4, int, Ip4, int, Ip4, int>;

Key key_of(const FlowInfo& f) {
  return {f.vnet,      f.proto,       f.private_ip, f.private_port,
          f.public_ip, f.public_port, f.remote_ip,  f.remote_port};
}

std::set<Key> flows_of(const World& w) {
  std::set<Key> keys;
  for (const FlowInfo& f : w.list()) CHECK(keys.insert(key_of(f)).second);
  return keys;
}

// Copies in 8-byte words, as a dead process leaves them.
std::vector<std::uint64_t> image_of(const World& w) {
  const auto tables = w.engine->tables();
  std::vector<std::uint64_t> image((tables.size() + 7) / 8);
  std::memcpy(image.data(), tables.data(), tables.size());
  return image;
}

std::span<const std::uint8_t> bytes_of(
    const std::vector<std::uint64_t>& image) {
  return {reinterpret_cast<const std::uint8_t*>(image.data()),
          image.size() * 8};
}

// A world whose engine is new but for what it takes over.
void adopt(World& w, const std::vector<std::uint64_t>& image, Tick now,
           Adopted& result, EngineConfig config = World::small()) {
  const char* error = nullptr;
  w.engine = Engine::create(config, &error);
  w.now = now;
  const char* why = w.engine->adopt(bytes_of(image), now, result);
  if (why != nullptr) fail(__FILE__, __LINE__, why);
}

void fill(World& w) {
  w.add_aip(kHostB);
  for (std::uint16_t i = 0; i < 40; i++) {
    const auto port = static_cast<std::uint16_t>(5000 + i);
    w.inside(make_udp(kHostA, port, kServer, 53));
    w.inside(make_tcp(kHostA, port, kServer, 80, kSyn));
    w.inside(make_udp(kHost2, port, kServer, 53), 2);
  }
  w.inside(make_echo(kHostA, kServer, 77));
  w.now += 1000;
}

void same_answers(World& a, World& b) {
  for (const FlowInfo& f : a.list()) {
    Bytes packet = make_echo(f.remote_ip, f.public_ip, f.public_port, true);
    if (f.proto == kTcp) {
      packet = make_tcp(f.remote_ip, f.remote_port, f.public_ip, f.public_port,
                        kSyn | kAck);
    } else if (f.proto == kUdp) {
      packet = make_udp(f.remote_ip, f.remote_port, f.public_ip, f.public_port);
    }
    const Outs one = a.outside(packet);
    const Outs two = b.outside(packet);
    CHECK_EQ(one.size(), 1u);
    CHECK_EQ(two.size(), 1u);
    CHECK(one[0].ip == two[0].ip);
    CHECK_EQ(one[0].dst_mac, two[0].dst_mac);
    CHECK_EQ(one[0].to.dst_ip, two[0].to.dst_ip);
    CHECK_EQ(one[0].vnet, two[0].vnet);
  }
}

struct Step {
  const char* name;
  std::function<void(World&)> run;
};

std::vector<Step> steps() {
  return {
      {"new flow",
       [](World& w) { w.inside(make_udp(kHostA, 9, kServer, 99)); }},
      {"flow ends",
       [](World& w) {
         const FlowInfo f = w.list()[3];
         w.apply(RemoveFlow{f.proto, f.public_ip, f.public_port, f.remote_ip,
                            f.remote_port});
       }},
      {"all flows expire", [](World& w) { w.run(8000000); }},
      {"entry made", [](World& w) { w.add_aip(kHostA, kAip + 1); }},
      {"entry removed",
       [](World& w) {
         w.apply(RemoveOneToOne{1, kHostB});
       }},
      {"rule removed",
       [](World& w) {
         w.apply(RemoveRule{2, {ip4(10, 6, 6, 0), 24}});
       }},
      {"rule made",
       [](World& w) {
         w.apply(SetRule{9,
                         0,
                         {ip4(10, 9, 0, 0), 16},
                         ip4(10, 9, 0, 1),
                         kRouterMac1,
                         ip4(3, 3, 3, 99)});
       }},
      {"remote moves",
       [](World& w) {
         w.apply(SetRemote{1, kHostA, kHostMac + 9, kNode + 9, 4789});
       }},
      {"remote removed",
       [](World& w) {
         w.apply(RemoveRemote{1, kHostA});
       }},
  };
}

}  // namespace

TEST("recover: an engine goes on with the flows of one that is gone") {
  World a;
  fill(a);
  const auto image = image_of(a);
  World b;
  Adopted got;
  EngineConfig other = World::small();
  other.max_flows = 777;
  other.seed[3] = 99;
  adopt(b, image, a.now, got, other);
  CHECK(flows_of(a) == flows_of(b));
  CHECK_EQ(got.flows, a.flows());
  CHECK_EQ(got.flows_left, 0u);
  CHECK_EQ(got.one_to_ones, 1u);
  CHECK_EQ(b.flows(), a.flows());
  same_answers(a, b);
  for (std::size_t i = 0; i < a.list().size(); i++) {
    CHECK_EQ(b.list()[i].packets_out, a.list()[i].packets_out);
  }
  // Both ways of the 1:1 entry.
  CHECK_EQ(b.outside(make_udp(kServer, 5, kAip, 6)).size(), 1u);
  CHECK_EQ(Seen(b.inside(make_udp(kHostB, 5, kServer, 6))[0].ip).src, kAip);
  // An idle flow still ends on time.
  b.run(8000000);
  CHECK_EQ(b.flows(), 0u);
}

TEST("recover: an ended flow's tuple stays in quarantine") {
  World a;
  a.inside(make_tcp(kHostA, 5000, kServer, 80, kSyn));
  const FlowInfo f = a.list()[0];
  a.apply(RemoveFlow{f.proto, f.public_ip, f.public_port, f.remote_ip,
                     f.remote_port});
  CHECK_EQ(a.flows(), 0u);
  World b;
  Adopted got;
  adopt(b, image_of(a), a.now, got);
  CHECK_EQ(b.flows(), 0u);
  CHECK_EQ(got.flows, 1u);
  b.inside(make_tcp(kHostA, 5000, kServer, 80, kSyn));
  CHECK_EQ(b.engine->stats().flows_revived.read(), 1u);
  CHECK_EQ(b.list()[0].public_port, f.public_port);
}

TEST("recover: what is not said again goes, with its flows only") {
  World a;
  fill(a);
  World b;
  Adopted got;
  adopt(b, image_of(a), a.now, got);
  const auto before = flows_of(b);
  // Vnet 1's rule and entry are said again, vnet 2's are not.
  b.apply(AddUl3{kZone});
  b.apply(
      SetRule{1, 0, {ip4(10, 4, 4, 0), 22}, kRouter1, kRouterMac1, kPublic1});
  b.add_aip(kHostB);
  CHECK(b.apply(FinishAdoption{}) == nullptr);
  for (const Key& key : before) {
    CHECK_EQ(flows_of(b).count(key), std::get<0>(key) == 1 ? 1u : 0u);
  }
  CHECK_EQ(b.engine->stats().rules.read(), 1u);
  CHECK_EQ(b.engine->stats().one_to_ones.read(), 1u);
  // Once more changes nothing.
  CHECK(b.apply(FinishAdoption{}) == nullptr);
  CHECK_EQ(b.engine->stats().rules.read(), 1u);
}

TEST("recover: a rule's idle times and pool come with it") {
  World a;
  auto options = std::make_shared<RuleOptions>();
  options->timers = Timers{};
  options->timers->udp = 900000;
  options->more_public_ips = {ip4(3, 3, 3, 77)};
  CHECK(a.apply(SetRule{1,
                        0,
                        {ip4(10, 4, 4, 0), 22},
                        kRouter1,
                        kRouterMac1,
                        kPublic1,
                        options}) == nullptr);
  for (std::uint32_t i = 0; i < 16; i++) {
    a.inside(make_udp(kHostA + i, 5000, kServer, 53));
  }
  World b;
  Adopted got;
  adopt(b, image_of(a), a.now, got);
  CHECK(flows_of(a) == flows_of(b));
  CHECK_EQ(b.flows(), 16u);
  b.run(800000);
  CHECK_EQ(b.flows(), 16u);
  b.run(100000);
  CHECK_EQ(b.flows(), 0u);
}

TEST("recover: an end at any point harms no flow that was not being changed") {
  Random random({5, 6});
  for (const Step& step : steps()) {
    World a;
    fill(a);
    const auto before = image_of(a);
    const auto flows_before = flows_of(a);
    step.run(a);
    a.take();
    const auto after = image_of(a);
    const auto flows_after = flows_of(a);
    std::vector<std::size_t> changed;
    for (std::size_t i = 0; i < before.size(); i++) {
      if (before[i] != after[i]) changed.push_back(i);
    }
    CHECK(!changed.empty());
    // Any of the words may have reached memory: more than can happen.
    for (int round = 0; round < 12; round++) {
      auto image = before;
      for (const std::size_t i : changed) {
        if (random.below(12) < static_cast<std::uint32_t>(round)) {
          image[i] = after[i];
        }
      }
      World b;
      Adopted got;
      adopt(b, image, a.now, got);
      const auto flows = flows_of(b);
      for (const Key& key : flows_before) {
        if (flows_after.count(key) == 0 || flows.count(key) == 1) continue;
        fail(__FILE__, __LINE__, std::string("a flow is lost: ") + step.name);
      }
      for (const Key& key : flows) {
        if (flows_before.count(key) + flows_after.count(key) > 0) continue;
        fail(__FILE__, __LINE__, std::string("a flow is new: ") + step.name);
      }
      b.inside(make_udp(kHostA, 5000, kServer, 53));
      b.take();
    }
  }
}

TEST("recover: memory that holds no tables is refused, damage is survived") {
  World a;
  fill(a);
  const auto image = image_of(a);
  const auto refused = [&](std::vector<std::uint64_t> bad) {
    const char* error = nullptr;
    auto engine = Engine::create(World::small(), &error);
    Adopted got;
    return engine->adopt(bytes_of(bad), a.now, got) != nullptr;
  };
  CHECK(refused({}));
  CHECK(refused(std::vector<std::uint64_t>(1000)));
  auto bad = image;
  bad[0] += std::uint64_t{1} << 32;  // another version
  CHECK(refused(bad));
  bad = image;
  bad.resize(bad.size() / 2);
  CHECK(refused(bad));
  World w;
  CHECK(w.engine->adopt(bytes_of(image), w.now, *std::make_unique<Adopted>()) !=
        nullptr);
  Random random({7, 8});
  const std::size_t head = sizeof(vxlnat_layout) / 8 + 1;
  for (int round = 0; round < 8; round++) {
    bad = image;
    for (std::size_t i = head; i < bad.size(); i++) {
      if (bad[i] != 0 && random.below(4) == 0) bad[i] ^= random.next();
    }
    World b;
    Adopted got;
    adopt(b, bad, a.now, got);
    flows_of(b);
    b.run(1000);
  }
}

}  // namespace vxlnat::test
