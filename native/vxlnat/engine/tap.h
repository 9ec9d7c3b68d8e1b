// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Looking on while packets pass. A tap takes stories (a line of JSON with
// every stage's answer) or copies of packets that match its filter.
//
// What a packet is about is known only at its end: whose flow it was, what it
// was translated to, why it was dropped. So while any tap is open, story and
// copies of each packet are first made in scratch memory, and at its end go to
// the taps that it matches. While none is, a stage costs one test of a null
// pointer (STAGE in stages.h) and nothing else is done.
//
// Taps stand between the engine and its Outbox, which is how they see what is
// sent. They change nothing but VXLNAT_FLOW_WATCHED, the mark that makes an
// XDP program leave a flow's packets to the engine: flows that a tap matches
// carry it as long as the tap takes packets.
//
// Bounds: kMostTaps taps, `room` bytes each, and what nobody reads is lost and
// counted. Memory is taken by `open`, which is a change of configuration.

#ifndef VXLNAT_ENGINE_TAP_H_
#define VXLNAT_ENGINE_TAP_H_

#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/flow_table.h"
#include "engine/inspect.h"
#include "engine/json_line.h"
#include "engine/packet.h"
#include "engine/stats.h"

namespace vxlnat {

struct Context;

inline std::uint8_t bit(Point point) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(point));
}

// Whether a flow is one that the filter means.
bool matches(const FlowFilter& filter, const vxlnat_flow& flow);

// What is known of the packet in hand.
struct Facts {
  struct Tuple {
    Ip4 src = 0;
    Ip4 dst = 0;
    std::uint16_t sport = 0;
    std::uint16_t dport = 0;
  };
  bool outbound = false;
  bool parsed = false;      // `came` and `proto` are known
  bool translated = false;  // `went` and `public_ip` are known
  bool turned = false;      // round a hairpin
  std::optional<Vni> vnet;
  std::optional<Vni> vnet_after;  // of the receiving fabric
  std::uint8_t proto = 0;
  Tuple came;
  Tuple went;
  Ip4 public_ip = 0;
  std::optional<Drop> drop;
  unsigned sent = 0;
  bool had_flow = false;  // there was one before the packet changed anything
};

class Tap {
 public:
  Tap(const TapSpec& spec, Tick now);

  const TapSpec& spec() const { return spec_; }
  const TapState& state() const { return state_; }
  bool matches(const Facts& facts) const;
  void end_when_due(Tick now) { state_.done |= now >= until_; }
  void take_story(std::string_view line);
  void take_frame(const FrameHead& head, std::span<const std::uint8_t> bytes);
  // Gives what was taken for `into`, which is empty and has `room`.
  void read(std::vector<std::uint8_t>& into) { bytes_.swap(into); }

 private:
  bool has_room(std::size_t size);

  TapSpec spec_;
  TapState state_;
  Tick until_;
  std::vector<std::uint8_t> bytes_;
};

class Taps final : public Outbox, public DropWatcher {
 public:
  static constexpr std::size_t kMostTaps = 8;
  static constexpr std::uint32_t kMostRoom = 64u << 20;

  explicit Taps(Context& context);

  // Opens a tap, and gives its number; or says why not.
  const char* open(const TapSpec& spec, std::uint32_t* id);
  // Null when there is none of this number.
  Tap* find(std::uint32_t id);
  void close(std::uint32_t id);
  // Ends taps whose time is over and marks flows; looks at no more than about
  // `budget`. Returns true when there is more to mark.
  bool sweep(std::size_t budget);

  // The packet in hand, from its beginning to its end. `kept` is one that
  // waited and goes on.
  void begin(const Packet& p, bool underlay);
  void begin_kept(const Packet& p);
  bool busy() const { return busy_; }
  void stage(const Packet& p, const char* call, bool ended);
  void end();
  void dropped(const Packet& p, Drop reason) override;

  // The story of one packet for `explain`: nothing is sent, no tap sees it.
  void begin_question();
  std::string_view story();
  void end_question();

  void underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                Offload offload) override;
  void external(std::span<const std::uint8_t> bytes, Offload offload) override;

 private:
  struct Pending {
    FrameHead head;
    std::size_t at = 0;
  };
  static constexpr std::size_t kMostFrames = 32;
  static constexpr std::size_t kScratch = 65536;

  struct Slot {
    std::uint32_t id = 0;
    std::unique_ptr<Tap> tap;
  };

  void look_again();
  void start();
  void mark_flow();
  bool mark_flows(std::size_t& budget);
  bool mark_entries(std::size_t& budget);

  // Copies at a point, if anybody wants it.
  std::uint8_t* frame(Point point, std::size_t size, Vni vnet, bool outbound);
  void copy_ethernet(Point point, std::span<const std::uint8_t> payload,
                     Vni vnet, bool outbound);
  void copy_outer(std::span<const std::uint8_t> bytes, const Underlay& to,
                  bool outbound);
  static void put_outer(std::uint8_t* at, std::span<const std::uint8_t> bytes,
                        const Underlay& to);
  void copy_drop(const Packet& p, Drop reason);

  // trace.cc: what the story says.
  bool telling() const { return stories_ || question_; }
  void tell_begin(const Packet& p);
  void tell_stage(const Packet& p, std::string_view name, bool ended);
  void tell_result(const Packet& p, std::string_view name);
  // How many ports were looked at for a new flow, when any were.
  void tell_port_tries();
  void tell_look_up(const Packet& p);
  // The flow of a packet that is not translated yet, in whatever state.
  vxlnat_flow* flow_of(const Packet& p, bool inside) const;
  void tell_flow(const vxlnat_flow* flow);
  void tell_underlay(std::span<const std::uint8_t> bytes, const Underlay& to);
  void tell_external(std::span<const std::uint8_t> bytes);
  void tell_end();

  Context& c_;
  std::array<Slot, kMostTaps> slots_;
  std::uint32_t next_id_ = 1;
  std::uint8_t points_ = 0;  // what any open tap wants
  bool stories_ = false;
  bool question_ = false;
  Taps* looked_ = nullptr;       // c_.look before the question
  bool busy_ = false;            // a packet is in hand
  std::uint32_t mark_flow_ = 0;  // where marking goes on
  std::uint32_t mark_entry_ = 0;

  // The packet in hand.
  const Packet* packet_ = nullptr;
  const std::uint8_t* start_ = nullptr;
  std::uint32_t number_ = 0;
  Outbox* real_ = nullptr;
  Facts facts_;
  JsonLine line_;
  std::size_t frames_ = 0;
  std::size_t scratch_used_ = 0;
  std::array<Pending, kMostFrames> pending_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_TAP_H_
