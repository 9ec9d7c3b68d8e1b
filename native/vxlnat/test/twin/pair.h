// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The engine and its twin on one road: chance sends both the same packets,
// changes and times, and whatever they do not agree about fails the test.

#ifndef VXLNAT_TEST_PAIR_H_
#define VXLNAT_TEST_PAIR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/hash.h"
#include "test/twin/twin.h"

namespace vxlnat::test {

// What a run is about.
struct Mode {
  EngineConfig config;
  // Public addresses of a rule, and what else is said about it.
  std::function<std::vector<Ip4>(Random&, Vni, std::uint8_t bits)> pool;
  std::function<RuleOptions(Random&, std::uint8_t bits)> options;
  std::uint32_t private_ports = 3;  // of each host
  bool limits = false;              // of vnets, too
  bool drains = false;
};

// A packet that came through, for errors about it.
struct Passed {
  Vni vnet = 0;
  bool outbound = false;
  Bytes was;
  Bytes became;
};

class Pair {
 public:
  Pair(const Mode& mode, std::uint64_t seed);
  void step();
  // The flows of both, field for field.
  void compare_flows();
  std::uint64_t agreed() const { return agreed_; }
  std::uint64_t dropped(Drop reason) const { return w_.dropped(reason); }

 private:
  std::uint32_t pick(std::uint32_t n) { return random_.below(n); }
  bool one_in(std::uint32_t n) { return pick(n) == 0; }
  template <typename List>
  const auto& one_of(const List& list) {
    auto at = list.begin();
    std::advance(at, pick(static_cast<std::uint32_t>(list.size())));
    return *at;
  }
  static Ip4 host(std::uint32_t n) { return ip4(10, 4, 4, 5) + n; }
  static Ip4 node(Vni v) { return kNode + v; }

  std::optional<Spot> spot_of(const TwinFlow& f);
  template <typename Op>
  void apply(const Op& op) {
    const char* error = w_.apply(op);
    const bool possible = twin_.apply(op);
    CHECK_EQ(error == nullptr, possible);
    if (error != nullptr && possible) fail(__FILE__, __LINE__, error);
    // What a change ended is counted until somebody comes by.
    w_.run(0);
    twin_.run(w_.now);
  }
  void set_rule(Vni v, std::uint8_t bits);
  void change();
  void change_flow();
  void change_limits();

  IpOptions some_options();
  Bytes some_data();
  Bytes segment(Ip4 src, std::uint16_t sport, Ip4 dst, std::uint16_t dport);
  Bytes some_packet(Ip4 src, std::uint16_t sport, Ip4 dst, std::uint16_t dport,
                    std::uint32_t kind);
  Ip4 some_public();
  std::uint16_t some_port();
  std::uint16_t private_port() {
    return static_cast<std::uint16_t>(1 + pick(mode_.private_ports));
  }

  // Runs the engine; `outs_` and `reason_` are what came of it.
  template <typename Run>
  void observe(Run&& run) {
    const auto& drops = w_.engine->stats().drop;
    std::array<std::uint64_t, kDropCount> before{};
    for (std::size_t i = 0; i < kDropCount; i++) before[i] = drops[i].read();
    outs_ = run();
    reason_.clear();
    for (std::size_t i = 0; i < kDropCount; i++) {
      if (drops[i].read() != before[i]) reason_ += kDropTexts[i].name;
    }
  }
  void compare(const Bytes& packet, const Want& want, bool is_outbound);
  void remember(Vni v, bool is_outbound, const Bytes& was);
  void send_inside(const Bytes& packet, Vni v);
  void send();
  void answer();
  void tell_error();
  void send_pieces();

  const Mode& mode_;
  Random random_;
  World w_;
  Twin twin_;
  Outs outs_;
  std::string reason_;
  std::vector<Passed> passed_;
  std::uint64_t step_ = 0;
  std::uint64_t agreed_ = 0;
  std::uint16_t next_id_ = 0;
};

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_PAIR_H_
