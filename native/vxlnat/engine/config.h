// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the engine is made with and every change it takes afterwards, as plain
// values: the C++ twin of ts/native.ts, in its order and with its names.

#ifndef VXLNAT_ENGINE_CONFIG_H_
#define VXLNAT_ENGINE_CONFIG_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "engine/types.h"

namespace vxlnat {

// Idle times in milliseconds (facts: nat-behaviour D6, T6, I2, F5, T13).
struct Timers {
  std::uint32_t tcp_established = 7440000;
  std::uint32_t tcp_opening = 240000;
  std::uint32_t tcp_closing = 240000;
  std::uint32_t udp = 300000;
  std::uint32_t icmp = 60000;
  std::uint32_t fragment = 2000;
  std::uint32_t quarantine = 60000;
};

// At most so many; 0: any number.
struct Limits {
  std::uint32_t flows = 0;
  std::uint32_t opening = 0;     // TCP flows that are not established
  std::uint32_t per_second = 0;  // new flows
  bool operator==(const Limits&) const = default;
};

struct EngineConfig {
  std::uint16_t vxlan_port = 4789;
  Vni probe_vnet = kMaxVni;
  std::uint16_t inner_mtu = 1450;
  std::uint32_t max_flows = 65536;
  std::uint16_t port_low = 1024;
  std::uint16_t port_high = 65535;
  Timers timers;
  std::array<std::uint8_t, 16> seed{};
  bool rst_on_unknown = false;
  // Of each host, and of each vnet, for which a rule or SetVnetLimits says
  // nothing.
  Limits host_limits;
  Limits vnet_limits;
  // Take an instance's packets only from the node where it lives (X7). Not in
  // the contract with JavaScript.
  bool check_senders = true;

  // Room in the other tables; memory is taken at start. From max_fragments on
  // not in the contract with JavaScript.
  std::uint32_t max_vnets = 16384;
  std::uint32_t max_rules = 32768;
  std::uint32_t max_one_to_ones = 65536;
  std::uint32_t max_remotes = 131072;
  std::uint32_t max_fragments = 1024;  // datagrams followed at one time
  std::uint32_t max_held = 256;        // fragments that wait for the first
  std::uint32_t max_waiting = 256;     // packets that wait for a remote
  std::uint32_t max_port_maps = 256;   // remotes with few free ports
  // Hosts with flows, mappings of endpoint-independent rules, and 64 ports of
  // blocks each. 0: a quarter, an eighth, a sixteenth of max_flows.
  std::uint32_t max_hosts = 0;
  std::uint32_t max_bindings = 0;
  std::uint32_t max_blocks = 0;
  std::uint32_t rows = 1;  // of counts: one, and one for each CPU (layout.h)
  // A vnet may hold this share of the flow table, and half of that in flows
  // that are not established (P3, T17).
  std::uint32_t vnet_share_percent = 50;
};

// Serve an underlay address of ours, or stop. The first one added that is
// still there is the source of what is not an answer.
struct AddUl3 {
  Ip4 ip = 0;
};
struct RemoveUl3 {
  Ip4 ip = 0;
};

// How a rule gives public ports (facts: nat-behaviour D2, U1, P11).
enum class Mapping : std::uint8_t {
  kDependent,      // one port for many remotes; the same one when possible
  kIndependent,    // one port for an endpoint, and any remote may use it
  kDeterministic,  // each host has ports of its own, by arithmetic
};

// The most public addresses and exempt prefixes of a rule.
inline constexpr std::size_t kMaxPool = 64;
inline constexpr std::size_t kMaxExempt = 64;

// What may be said about a rule beyond where it leads; the defaults say
// nothing. All but `timers` decide about new flows only.
struct RuleOptions {
  Mapping mapping = Mapping::kDependent;
  std::vector<Ip4> more_public_ips;  // besides SetRule::public_ip
  std::uint16_t port_low = 0;        // both 0: the engine's
  std::uint16_t port_high = 0;
  std::uint16_t slice = 0;  // which of `slices` equal parts of the range
  std::uint16_t slices = 1;
  std::vector<Prefix> exempt;    // destinations that are not translated
  std::uint16_t mss = 0;         // the most a SYN may announce; 0: anything
  std::optional<Timers> timers;  // none: the engine's
  Limits host;                   // of each host
  std::uint16_t block_size = 0;  // ports given to a host at once; 0: one

  bool exempts(Ip4 remote) const {
    return std::any_of(exempt.begin(), exempt.end(), [&](const Prefix& prefix) {
      return prefix.covers(remote);
    });
  }
};

// SNAT rule {vnet, prefix} -> public IP, with the fabric's default router.
struct SetRule {
  Vni vnet = 0;
  std::uint16_t vlan = 0;  // 0: untagged
  Prefix prefix;
  Ip4 router_ip = 0;
  Mac router_mac = 0;
  Ip4 public_ip = 0;
  std::shared_ptr<const RuleOptions> options = nullptr;  // null: the defaults
};
struct RemoveRule {
  Vni vnet = 0;
  Prefix prefix;
};

// Limits of a whole vnet. They wait for its first rule and survive its last.
struct SetVnetLimits {
  Vni vnet = 0;
  Limits limits;
};

// A public address of rules gets no new flows; those it has stay.
struct SetDrain {
  Ip4 public_ip = 0;
  bool draining = false;
};

// 1:1 entry {vnet, private IP} <-> public IP.
struct SetOneToOne {
  Vni vnet = 0;
  std::uint16_t vlan = 0;
  Ip4 private_ip = 0;
  Ip4 public_ip = 0;
};
struct RemoveOneToOne {
  Vni vnet = 0;
  Ip4 private_ip = 0;
};

// SVP's answer: where {vnet, inner IP} lives. Sends what waited for it.
struct SetRemote {
  Vni vnet = 0;
  Ip4 ip = 0;
  Mac mac = 0;
  Ip4 ul3_ip = 0;
  std::uint16_t ul3_port = 4789;
};
struct RemoveRemote {
  Vni vnet = 0;
  Ip4 ip = 0;
};
struct RemoveRemoteMac {
  Vni vnet = 0;
  Mac mac = 0;
};
struct RemoteNotFound {
  Vni vnet = 0;
  Ip4 ip = 0;
  std::uint32_t retry_ms = 0;
};

// Ends one flow by its outside key. For ICMP the identifier is public_port
// and remote_port is 0. With an owner only that endpoint's flow: the tuple may
// be another's by the time the operation comes.
struct FlowOwner {
  Vni vnet = 0;
  Ip4 private_ip = 0;
  std::uint16_t private_port = 0;
};
struct RemoveFlow {
  std::uint8_t proto = 0;
  Ip4 public_ip = 0;
  std::uint16_t public_port = 0;
  Ip4 remote_ip = 0;
  std::uint16_t remote_port = 0;
  std::optional<FlowOwner> owner = {};
};

// Everything has been said since Engine::adopt: what was taken over and not
// said again goes.
struct FinishAdoption {};

using Operation =
    std::variant<AddUl3, RemoveUl3, SetRule, RemoveRule, SetVnetLimits,
                 SetDrain, SetOneToOne, RemoveOneToOne, SetRemote, RemoveRemote,
                 RemoveRemoteMac, RemoteNotFound, RemoveFlow, FinishAdoption>;

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_CONFIG_H_
