// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The slow twin: a second NAT, written from the requirements (facts:
// nat-behaviour section 1) and not from the engine. It keeps lists that it
// walks, computes every checksum anew, and says what must become of a packet:
// the bytes that come out, or the reason for which none do. Where the
// requirements leave a choice, public addresses, ports and IP identifiers, the
// engine chooses and the twin judges whether it may.

#ifndef VXLNAT_TEST_TWIN_H_
#define VXLNAT_TEST_TWIN_H_

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>

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

  const RuleOptions& options() const;
  std::vector<Ip4> pool() const;
};

// A public address and port.
struct Spot {
  Ip4 ip = 0;
  std::uint16_t port = 0;
  bool operator==(const Spot&) const = default;
};

struct TwinFlow {
  enum class Phase { kOpening, kOpen, kReset, kClosed, kPlain, kHeld };
  int rule = 0;
  Vni vnet = 0;
  std::uint8_t proto = 0;
  Ip4 inside = 0, shown = 0, remote = 0;
  std::uint16_t inside_port = 0, shown_port = 0, remote_port = 0;
  Phase phase = Phase::kPlain;
  bool from_outside = false;  // opening, and the SYN came from there
  bool bound = false;         // by its endpoint's mapping
  bool in_block = false;      // its port is of a block of its host
  bool fin_out = false, fin_in = false;
  std::uint32_t due_out = 0;  // the next byte that the outside expects
  std::uint32_t due_in = 0;   // the next that the inside expects
  Tick seen = 0;
  std::uint64_t packets_out = 0, packets_in = 0;
};

// An endpoint's port for all remotes (U1, P8).
struct TwinBinding {
  int rule = 0;
  Vni vnet = 0;
  std::uint8_t proto = 0;
  Ip4 inside = 0;
  std::uint16_t inside_port = 0;
  Spot spot;
  bool in_block = false;
  bool in_use = false;
  Tick idle_since = 0;
};

// Ports that are one host's alone (P10).
struct TwinBlock {
  Ip4 ip = 0;
  std::uint32_t low = 0, size = 0;
  Vni vnet = 0;
  Ip4 host = 0;
  bool holds(Spot spot) const {
    return spot.ip == ip && spot.port >= low && spot.port < low + size;
  }
};

// New flows in the second that is now.
struct TwinPace {
  Tick second = 0;
  std::uint32_t count = 0;
};

// A host that has anything: its last place, for all its flows use one (U2).
struct TwinHost {
  int rule = 0;
  Ip4 ip = 0;
  TwinPace pace;
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
  bool apply(const SetVnetLimits& op);
  bool apply(const SetDrain& op);
  // Time goes on, and what is over ends.
  void run(Tick to);

  // What the engine chose: the public address and port of a flow that it has
  // just made, or nothing when it made none.
  std::function<std::optional<Spot>(const TwinFlow&)> chosen_spot;
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
  const Timers& timers(const TwinFlow& f) const;
  Tick idle_time(const TwinFlow& f) const;
  bool rests(const TwinFlow& f) const;
  void end_rule(int id);
  void forget(const TwinFlow& f);
  // Ends what nothing refers to any more: bindings, blocks, hosts.
  void settle();
  bool uses_block(const TwinBlock& block) const;
  bool is_possible(const SetRule& op, const TwinRule* now) const;
  void track(TwinFlow& f, const Bytes& packet, bool out);
  void step(TwinFlow& f, const Bytes& packet, bool out);

  std::optional<Want> refused(const Bytes& packet, Vni vnet, Ip4 node);
  Want by_rule(const Bytes& packet, const TwinFlow& key);

  // Why a flow may not be, or "" (P3, T17).
  std::string refusal(const TwinFlow& flow, const TwinRule& rule);
  TwinFlow* allocate(TwinFlow flow, const TwinRule& rule, std::string& drop);
  // What an ended flow of the same endpoint keeps for it (T12).
  bool may_go_on(const TwinFlow& held, const TwinRule& rule);
  bool judge(TwinFlow& flow, const TwinRule& rule, std::string& drop);
  bool judge_at(TwinFlow& flow, const TwinRule& rule, Ip4 ip, Spot chosen);
  bool is_exhausted(const TwinFlow& flow, const TwinRule& rule, Ip4 ip);
  bool is_free(const TwinFlow& flow, Spot spot) const;
  const TwinBlock* block_at(Spot spot) const;
  std::vector<Ip4> addresses_for(const TwinFlow& flow, const TwinRule& rule);
  std::set<std::uint16_t> own_ports(const TwinFlow& flow, const TwinRule& rule,
                                    Ip4 ip) const;
  TwinBinding* binding_inside(const TwinFlow& flow);
  TwinFlow* add(TwinFlow flow);
  // A flow that a mapping lets in from outside, or why not (U9).
  TwinFlow* let_in(const Bytes& packet, std::string& why);

  Want by_flow(const Bytes& packet, TwinFlow& f);
  Want leave(Bytes packet);
  // Nothing when the packet is for no instance; then `why` may say more.
  std::optional<Want> enter(const Bytes& packet, bool turned, std::string& why);
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
  std::list<TwinBinding> bindings_;
  std::list<TwinBlock> blocks_;
  std::map<std::pair<Vni, Ip4>, TwinHost> hosts_;
  std::map<Vni, TwinPace> paces_;
  std::map<Vni, Limits> limits_;
  std::set<Ip4> draining_;
};

// The ports of a rule: its range or the configured one, and of that its slice.
PortRange range_of(const EngineConfig& config, const RuleOptions& options);
// What a deterministic rule gives a host: address of the pool and ports.
std::pair<Ip4, PortRange> dealt(const EngineConfig& config,
                                const TwinRule& rule, Ip4 host);

// Sets what is given and computes every checksum anew.
struct Change {
  std::optional<Ip4> src = {}, dst = {};
  std::optional<std::uint16_t> sport = {}, dport = {};  // ICMP: the identifier
  std::optional<std::uint8_t> ttl = {};
  std::optional<std::uint16_t> id = {};
  std::uint16_t mss = 0;  // the most a SYN may announce; 0: anything
};
Bytes changed(Bytes packet, const Change& change);

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_TWIN_H_
