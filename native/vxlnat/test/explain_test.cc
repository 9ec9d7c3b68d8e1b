// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What would become of a packet: the answers are those that the packet then
// gets, and asking changes nothing.

#include <cstring>
#include <random>

#include "test/world.h"

namespace vxlnat::test {

namespace {

std::string explain(World& w, const Question& q) {
  std::string answer;
  const char* error = w.engine->explain(q, w.now, &answer);
  return error != nullptr ? error : answer;
}

bool has(const std::string& line, const std::string& word) {
  if (line.find(word) != std::string::npos) return true;
  std::cout << "#   no " << word << " in " << line << "\n";
  return false;
}

Question syn(std::uint16_t sport, Ip4 src = kHostA) {
  return {.vnet = 1,
          .src = src,
          .dst = kServer,
          .sport = sport,
          .dport = 80,
          .proto = kTcp};
}

// An engine over memory that the test can look at.
struct Seeable {
  Seeable()
      : size(Engine::shared_bytes(World::small())),
        memory(size + 64),
        base(memory.data() +
             (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64)),
        world(World::small(), {base, size}) {}
  Bytes bytes() const { return Bytes(base, base + size); }
  std::vector<std::uint64_t> counters() const {
    const Stats& s = world.engine->stats();
    std::vector<std::uint64_t> all = {s.rx_underlay_packets.read(),
                                      s.tx_underlay_packets.read(),
                                      s.rx_external_packets.read(),
                                      s.tx_external_packets.read(),
                                      s.hairpin_packets.read(),
                                      s.icmp_errors_sent.read(),
                                      s.gateway_replies.read(),
                                      s.drops.read(),
                                      s.kept.read(),
                                      s.flows.read(),
                                      s.flows_created.read(),
                                      s.flows_expired.read(),
                                      s.remote_misses.read(),
                                      s.fragments.read()};
    for (const Counter& each : s.drop) all.push_back(each.read());
    return all;
  }
  std::size_t size;
  Bytes memory;
  std::uint8_t* base;
  World world;
};

Question random_question(std::mt19937& random) {
  const auto pick = [&](auto... values) {
    const std::array all = {values...};
    return all[random() % all.size()];
  };
  Question q;
  q.outbound = random() % 2 == 0;
  q.vnet = pick(1u, 1u, 2u, 3u, 77u);
  const Ip4 inside = pick(kHostA, kHostB, kHost2, ip4(10, 9, 9, 9), kRouter1);
  const Ip4 outside = pick(kServer, kPublic1, kPublic2, kAip, kHostB);
  q.src = q.outbound ? inside : kServer;
  q.dst = outside;
  q.proto = pick(kTcp, kUdp, kIcmp, std::uint8_t{47});
  q.sport = static_cast<std::uint16_t>(1 + random() % 8);
  q.dport = static_cast<std::uint16_t>(
      q.outbound ? pick(53, 80) : static_cast<int>(1024 + random() % 3));
  q.tcp_flags = pick(kSyn, kAck, kRst, kFin);
  q.icmp_type = pick(std::uint8_t{0}, std::uint8_t{8});
  q.ttl = pick(std::uint8_t{1}, std::uint8_t{64});
  q.size = pick(std::uint16_t{64}, std::uint16_t{1500});
  return q;
}

}  // namespace

TEST("explain answers what then happens, to the port") {
  World w;
  const std::string answer = explain(w, syn(1000));
  const Seen sent(w.inside(make_tcp(kHostA, 1000, kServer, 80, kSyn))[0].ip);
  CHECK(has(answer, "\"new_src\":\"3.3.3.2:" + std::to_string(sent.sport)));
  CHECK(has(answer, "\"flow\":\"created\",\"port_tries\":1"));
  CHECK(has(answer, "\"verdict\":\"sent\"}"));
  CHECK(has(explain(w, syn(1000)), "\"flow\":\"known\""));
  const Question back = {.outbound = false,
                         .src = kServer,
                         .dst = kPublic1,
                         .sport = 80,
                         .dport = sent.sport,
                         .proto = kTcp,
                         .tcp_flags = kSyn | kAck};
  CHECK(has(explain(w, back), "\"state\":\"established\""));
  CHECK(has(explain(w, back), "\"idle_ms\":0,"));
}

TEST("explain names the stage and reason of a drop") {
  World w;
  Question q = syn(1, ip4(10, 99, 0, 1));
  CHECK(has(explain(w, q), "\"drop\":\"SpoofedSource\""));
  q = syn(1);
  q.vnet = 99;
  CHECK(has(explain(w, q), "\"stage\":\"find_vnet\",\"drop\":\"UnknownVnet\""));
  q = syn(1);
  q.tcp_flags = kAck;
  CHECK(has(explain(w, q), "\"drop\":\"TcpNoFlow\""));
  q = {
      .outbound = false, .src = kServer, .dst = ip4(9, 9, 9, 9), .proto = kUdp};
  CHECK(has(explain(w, q), "\"drop\":\"UnknownPublic\""));
  q = syn(1);
  q.size = 19;
  CHECK(has(explain(w, q), "the size is not"));
  q = syn(1);
  q.proto = kIcmp;
  q.icmp_type = 3;
  CHECK(has(explain(w, q), "only echo"));
}

TEST("explain follows a hairpin to its receiver") {
  World w;
  w.add_aip(kHostB);
  Question q = syn(5);
  q.dst = kAip;
  const std::string answer = explain(w, q);
  CHECK(has(answer, "\"stage\":\"turn_round\""));
  CHECK(has(answer, "\"new_dst\":\"10.4.4.6:80\""));
  CHECK(has(answer, "\"to\":\"underlay\""));
}

TEST("explain sees exhausted ports as they are") {
  EngineConfig config = World::small();
  config.port_low = 2000;
  config.port_high = 2003;
  World w(config);
  for (std::uint16_t i = 1; i <= 3; i++) {
    w.inside(make_tcp(kHostA, i, kServer, 80, kSyn));
  }
  CHECK(has(explain(w, syn(9)), "\"flow\":\"created\""));
  w.inside(make_tcp(kHostA, 4, kServer, 80, kSyn));
  CHECK(has(explain(w, syn(9)), "\"drop\":\"PortExhausted\""));
  CHECK_EQ(w.dropped(Drop::kPortExhausted), 0u);
}

TEST("asking changes no byte of the tables, no counter, and asks nobody") {
  Seeable see;
  World& w = see.world;
  w.add_aip(kHostB);
  std::mt19937 random(11);
  const Seen sent(w.inside(make_tcp(kHostA, 1, kServer, 80, kSyn))[0].ip);
  w.outside(make_tcp(kServer, 80, kPublic1, sent.sport, kSyn | kAck));
  w.inside(make_udp(kHostA, 2, kServer, 53));
  CHECK(w.apply(RemoveRemote{1, kHostB}) == nullptr);
  w.now += 310'000;  // UDP has expired, TCP has not
  const Bytes before = see.bytes();
  const auto counters = see.counters();
  for (int i = 0; i < 5000; i++) (void)explain(w, random_question(random));
  Question end = syn(1);
  end.tcp_flags = kFin | kAck;
  CHECK(has(explain(w, end), "\"state\":\"fin_out\""));
  CHECK(std::memcmp(before.data(), see.base, see.size) == 0);
  CHECK(counters == see.counters());
  Miss misses[4];
  CHECK_EQ(w.engine->take_misses(misses), 0u);
  CHECK_EQ(w.take().size(), 0u);
}

TEST("an engine that is asked all the time sends what its twin sends") {
  World asked;
  World twin;
  std::mt19937 random(23);
  std::mt19937 questions(5);
  for (World* w : {&asked, &twin}) w->add_aip(kHostB);
  for (int i = 0; i < 3000; i++) {
    for (int k = 0; k < 3; k++)
      (void)explain(asked, random_question(questions));
    const Question q = random_question(random);
    Bytes packet =
        q.proto == kTcp ? make_tcp(q.src, q.sport, q.dst, q.dport, q.tcp_flags)
        : q.proto == kUdp ? make_udp(q.src, q.sport, q.dst, q.dport, text("x"),
                                     {.fragment = 0})
                          : make_echo(q.src, q.dst, q.sport, q.icmp_type == 0);
    const Outs a =
        q.outbound ? asked.inside(packet, q.vnet) : asked.outside(packet);
    const Outs b =
        q.outbound ? twin.inside(packet, q.vnet) : twin.outside(packet);
    CHECK_EQ(a.size(), b.size());
    for (std::size_t k = 0; k < std::min(a.size(), b.size()); k++) {
      CHECK_EQ(a[k].ip, b[k].ip);
    }
    const Tick step = random() % 50 == 0 ? 90'000 : random() % 20;
    asked.run(step);
    twin.run(step);
  }
  CHECK_EQ(asked.drops(), twin.drops());
  CHECK(twin.flows() > 0);
}

}  // namespace vxlnat::test
