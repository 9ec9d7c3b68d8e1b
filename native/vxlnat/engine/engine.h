// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The engine: everything that decides what becomes of a packet between a
// VXLAN fabric and the Internet, and nothing else.
//
// BIG THEORY
//
// Purpose. A packet comes from the underlay (a VXLAN datagram from a fabric)
// or from the external side (a bare IPv4 packet). The engine finds its vnet,
// translates it by a 1:1 entry, a live flow or a rule, in that order, and
// hands what results to an Outbox. What cannot be translated is dropped, with
// a counted reason: no private address ever leaves.
//
// How to read it. stages.h lists the stages in the order a packet meets them;
// outbound.cc and inbound.cc are the two sequences. Each stage is one file.
// Only `rewrite` (with `icmp_error`), `gateway`, `probe` and `encap` write
// packet bytes. A packet that is addressed to a public address of ours turns
// round once and goes through `inbound` as if it had come from outside.
//
// State. Inside keys begin with the vnet; outside keys {protocol, public IP,
// public port, remote IP, remote port} have none, because the outside is one
// realm. Both lead to one flow record. Flows, 1:1 entries and remotes are
// flat records found through 64-byte buckets (layout.h), in one piece of
// memory that is taken once, so that a BPF program can read them too.
// Public ports are endpoint-dependent: one port serves many flows whose
// remotes differ; an inside endpoint keeps its public port when it is free
// (facts: nat-behaviour D2). Expired flows leave by one list for each idle
// time; a live flow is never evicted.
//
// Invariants. (1) No two flows have one outside key. (2) A public address is
// a rule's or a 1:1 entry's, never both's. (3) Every packet in is sent,
// answered, kept for a bounded time, or counted in exactly one drop reason.
// (4) No allocation after `create`. (5) Work for a packet is bounded.
//
// Time and chance are arguments: `now` is milliseconds of a clock that never
// goes back; the seed in the configuration keys hashes and port choice.
//
// Failure. `create` says what is wrong with a configuration. `apply` returns
// a sentence and changes nothing. Packets never fail, they are dropped.
//
// Threads. One engine belongs to one thread. Only `stats()` may be read from
// others (each counter is an atomic with one writer).

#ifndef VXLNAT_ENGINE_ENGINE_H_
#define VXLNAT_ENGINE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/events.h"
#include "engine/hot.h"
#include "engine/inspect.h"
#include "engine/packet.h"
#include "engine/stats.h"
#include "engine/types.h"

namespace vxlnat {

struct Context;

// An inner address whose place nobody has told yet; ask SVP, then apply
// SetRemote or RemoteNotFound.
struct Miss {
  Vni vnet = 0;
  Ip4 ip = 0;
};

// How long tunnel packets to a node may be.
struct PathReport {
  Ip4 node = 0;
  std::uint16_t mtu = 0;
};

// One live flow as an operator sees it.
struct FlowInfo {
  Vni vnet = 0;
  std::uint8_t proto = 0;
  Ip4 private_ip = 0;
  std::uint16_t private_port = 0;
  Ip4 public_ip = 0;
  std::uint16_t public_port = 0;
  Ip4 remote_ip = 0;
  std::uint16_t remote_port = 0;
  const char* state = "";  // static text
  std::uint64_t idle_ms = 0;
  std::uint64_t expires_ms = 0;  // from now, without another packet
  std::uint64_t packets_out = 0;
  std::uint64_t packets_in = 0;
};

struct FlowPage {
  std::size_t count = 0;  // how many of `out` were filled
  // Where to go on; nothing at the end. A page may be empty and not the last,
  // because the work of one call is bounded.
  std::optional<std::uint64_t> cursor;
};

// What `adopt` took over.
struct Adopted {
  std::uint32_t rules = 0;
  std::uint32_t one_to_ones = 0;
  std::uint32_t remotes = 0;
  std::uint32_t flows = 0;
  std::uint32_t flows_left = 0;  // half-written, or no rule's any more
};

class Engine {
 public:
  // Bytes of shared table memory that `config` needs (layout.h).
  static std::size_t shared_bytes(const EngineConfig& config);

  // Makes an engine, or returns null and sets `*error` to a sentence that
  // names the field. `shared` must be zeroed, 64-byte aligned, at least
  // shared_bytes() long and outlive the engine; when empty, the engine takes
  // memory of its own.
  static std::unique_ptr<Engine> create(const EngineConfig& config,
                                        const char** error,
                                        std::span<std::uint8_t> shared = {});
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  // One change. Returns null when it holds now, else a static sentence that
  // says why not; then nothing has changed. Every operation may be repeated.
  // `out` takes the packets that waited for a SetRemote.
  const char* apply(const Operation& operation, Tick now, Outbox& out);

  // The memory of the tables (layout.h).
  std::span<const std::uint8_t> tables() const;

  // Goes on where an engine of the same layout ended, at whatever point: copies
  // what is whole in its tables, `old`, which nobody but a fast path uses any
  // more. `now` is the clock that engine had. Call before anything else. Then
  // say the configuration again, and FinishAdoption. Null, or why nothing was
  // taken over.
  const char* adopt(std::span<const std::uint8_t> old, Tick now,
                    Adopted& result);

  // One datagram from the underlay; `data` begins at the VXLAN header.
  void process_underlay(Packet& packet, Tick now, Outbox& out);
  // One IPv4 packet from the external side.
  void process_external(Packet& packet, Tick now, Outbox& out);
  // The same for many, in order; faster, because look-ups overlap.
  void process_underlay(std::span<Packet> packets, Tick now, Outbox& out);
  void process_external(std::span<Packet> packets, Tick now, Outbox& out);

  // An ICMP message, IPv4 header first, that came to an address of ours from
  // the underlay. What is new about the way to a node, when it said that a
  // packet of ours was too big.
  std::optional<PathReport> process_report(
      std::span<const std::uint8_t> message, Tick now);

  // Looks at the next records of the round for what is over, 16 * `budget`
  // flows and `budget` of what else waits; call every few milliseconds.
  // Returns true when there may be more to do at once.
  bool sweep(Tick now, std::size_t budget);

  // Takes at most out.size() misses; returns how many.
  std::size_t take_misses(std::span<Miss> out);

  const Stats& stats() const;

  // Fills `out` with flows that match, from `cursor` (0 at first) on.
  FlowPage list_flows(const FlowFilter& filter, std::span<FlowInfo> out,
                      std::uint64_t cursor, Tick now) const;

  // Opens a tap (inspect.h) and gives its number. Null when it is open, else a
  // static sentence that says why not.
  const char* open_tap(const TapSpec& spec, Tick now, std::uint32_t* id);
  // Gives what the tap has taken since the last time: stories, each with a
  // newline, or FrameHeads with their bytes. `into` is empty and has the tap's
  // room reserved, so that nothing is allocated here. Nothing when there is
  // no such tap.
  std::optional<TapState> read_tap(std::uint32_t id,
                                   std::vector<std::uint8_t>& into);
  void close_tap(std::uint32_t id);

  // Switches the log of flows on, with room for so many events; 0: off.
  void open_events(std::uint32_t room);
  // Takes at most out.size(), the oldest first; `lost` counts since the start.
  std::size_t take_events(std::span<FlowEvent> out, std::uint64_t* lost);

  // A page of what there is; begin with a cursor of 0, go on until it is
  // kListEnd. A page may be empty before that: a call looks at few slots.
  static constexpr std::uint32_t kListEnd = 0xffffffff;
  std::size_t list_vnets(std::span<VnetInfo> out, std::uint32_t* cursor) const;
  std::size_t list_publics(std::span<PublicInfo> out,
                           std::uint32_t* cursor) const;

  // Looks for the hottest remotes; true while there is more to do. Changes
  // nothing, and a call is short.
  bool scan_hot(HotScan& scan) const;

  // What would become of a packet, as the line of JSON that a tap would tell
  // of it. Changes nothing. Null, or a sentence that says why there is no such
  // packet.
  const char* explain(const Question& question, Tick now, std::string* answer);

  // For who measures or checks its parts.
  Context& context() { return *context_; }

 private:
  explicit Engine(std::unique_ptr<Context> context);
  std::unique_ptr<Context> context_;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_ENGINE_H_
