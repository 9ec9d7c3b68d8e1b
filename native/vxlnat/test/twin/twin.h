// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The slow twin: a second NAT, written from the requirements (facts:
// nat-behaviour section 1) and not from the engine. It keeps lists that it
// walks, computes every checksum anew, and says what must become of a packet:
// the bytes that come out, or the reason for which none do. Where the
// requirements leave a choice, public ports and IP identifiers, the engine
// chooses and the twin judges whether it may.

#ifndef VXLNAT_TEST_TWIN_H_
#define VXLNAT_TEST_TWIN_H_

#include <functional>
#include <list>
#include <map>
#include <optional>

#include "test/world.h"

namespace vxlnat::test {

// What must come of one packet.
struct Want {
  std::vector<Out> outs;
  std::optional<Out> report;  // may come too; reports are limited
  std::string drop;           // the reason, when nothing goes on
};

struct TwinRule {
  int id = 0;
  SetRule is;
};

struct TwinFlow {
  enum class Phase { kOpening, kOpen, kReset, kClosed, kPlain, kHeld };
  int rule = 0;
  Vni vnet = 0;
  std::uint8_t proto = 0;
  Ip4 inside = 0, shown = 0, remote = 0;
  std::uint16_t inside_port = 0, shown_port = 0, remote_port = 0;
  Phase phase = Phase::kPlain;
  bool fin_out = false, fin_in = false;
  std::uint32_t due_out = 0;  // the next byte that the outside expects
  std::uint32_t due_in = 0;   // the next that the inside expects
  Tick seen = 0;
  std::uint64_t packets_out = 0, packets_in = 0;
};

class Twin {
 public:
  explicit Twin(const EngineConfig& config) : config_(config) {}

  // The same changes as Engine::apply takes; false when it must refuse.
  bool apply(const SetRule& op);
  bool apply(const RemoveRule& op);
  bool apply(const SetOneToOne& op);
  bool apply(const RemoveOneToOne& op);
  bool apply(const SetRemote& op);
  bool apply(const RemoveFlow& op);
  // Time goes on, and what is over ends.
  void run(Tick to);

  // What the engine chose: the public port of a flow that it has just made,
  // or nothing when it made none.
  std::function<std::optional<std::uint16_t>(const TwinFlow&)> chosen_port;
  // The IP identifier that it gave to what left.
  std::function<std::uint16_t()> chosen_id;

  Want outbound(const Bytes& packet, Vni vnet, Ip4 node);
  Want inbound(const Bytes& packet);
  // An ICMP error about `was`, which left or came in as `became`; nothing
  // when the quote would not be restored to `was`.
  std::optional<Want> error_inbound(const Bytes& error, const Bytes& was,
                                    const Bytes& became, Vni vnet);
  std::optional<Want> error_outbound(const Bytes& error, const Bytes& was,
                                     const Bytes& became, Vni vnet);

  const std::list<TwinFlow>& flows() const { return flows_; }
  const TwinRule* match(Vni vnet, Ip4 ip) const;
  const SetOneToOne* entry_inside(Vni vnet, Ip4 ip) const;
  static bool is_live(const TwinFlow& f) {
    return f.phase != TwinFlow::Phase::kHeld;
  }

 private:
  struct Route {  // of a packet into a fabric
    Vni vnet = 0;
    Ip4 host = 0;
    const TwinRule* rule = nullptr;
    std::uint16_t vlan = 0;
  };

  const TwinRule* by_id(int id) const;
  bool is_rule_public(Ip4 ip) const;
  const SetOneToOne* entry_outside(Ip4 ip) const;
  TwinFlow* flow_inside(const TwinFlow& key);
  TwinFlow* flow_outside(std::uint8_t proto, Ip4 shown, std::uint16_t port,
                         Ip4 remote, std::uint16_t remote_port);
  Tick idle_time(const TwinFlow& f) const;
  void end_rule(int id);
  void track(TwinFlow& f, const Bytes& packet, bool out);
  void step(TwinFlow& f, const Bytes& packet, bool out);

  std::optional<Want> refused(const Bytes& packet, Vni vnet, Ip4 node);
  Want by_rule(const Bytes& packet, const TwinFlow& key);
  TwinFlow* allocate(TwinFlow flow, std::string& drop);
  Want by_flow(const Bytes& packet, TwinFlow& f);
  Want leave(Bytes packet);
  std::optional<Want> enter(const Bytes& packet, bool turned);
  Out into(const Bytes& packet, const Route& to) const;
  Want told_inside(const Bytes& packet, const TwinRule& rule, std::string why,
                   unsigned type, unsigned code);

  EngineConfig config_;
  Tick now_ = 0;
  int next_id_ = 1;
  Vni vnet_ = 0;  // of the packet in hand, and its node
  Ip4 node_ = 0;
  std::list<TwinRule> rules_;
  std::list<SetOneToOne> entries_;
  std::map<std::pair<Vni, Ip4>, SetRemote> remotes_;
  std::list<TwinFlow> flows_;
};

// Sets what is given and computes every checksum anew.
struct Change {
  std::optional<Ip4> src = {}, dst = {};
  std::optional<std::uint16_t> sport = {}, dport = {};  // ICMP: the identifier
  std::optional<std::uint8_t> ttl = {};
  std::optional<std::uint16_t> id = {};
};
Bytes changed(Bytes packet, const Change& change);

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_TWIN_H_
