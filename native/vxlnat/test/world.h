// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// An engine with a small cloud around it, on a clock that the test turns:
// RFD 158's vnets 1 and 2, a third customer whose addresses overlap vnet 1's,
// and two compute nodes. Whatever the engine sends is looked at unasked: each
// header, each checksum, and that nothing private goes outside.

#ifndef VXLNAT_TEST_WORLD_H_
#define VXLNAT_TEST_WORLD_H_

#include <memory>
#include <utility>

#include "engine/engine.h"
#include "test/build.h"

namespace vxlnat::test {

inline constexpr Ip4 kZone = ip4(192, 168, 9, 6);
inline constexpr Ip4 kNode = ip4(192, 168, 9, 1);
inline constexpr Ip4 kServer = ip4(192, 0, 2, 1);
inline constexpr Ip4 kHostA = ip4(10, 4, 4, 5);
inline constexpr Ip4 kHostB = ip4(10, 4, 4, 6);
inline constexpr Ip4 kHost2 = ip4(10, 6, 6, 5);
inline constexpr Ip4 kRouter1 = ip4(10, 4, 4, 1);
inline constexpr Ip4 kPublic1 = ip4(3, 3, 3, 2);
inline constexpr Ip4 kPublic2 = ip4(3, 3, 3, 3);
inline constexpr Ip4 kPublic3 = ip4(3, 3, 3, 4);
inline constexpr Ip4 kAip = ip4(3, 3, 3, 9);
inline constexpr Mac kRouterMac1 = 0x90b8d0000001;
inline constexpr Mac kRouterMac2 = 0x90b8d0000002;
inline constexpr Mac kRouterMac3 = 0x90b8d0000003;
inline constexpr Mac kHostMac = 0x90b8d00000aa;

// One packet that came out.
struct Out {
  bool inside = false;
  Bytes ip;  // the IPv4 packet, or the ARP message
  Underlay to;
  Vni vnet = 0;
  Mac dst_mac = 0;
  Mac src_mac = 0;
  int vlan = -1;  // -1: untagged
  std::uint16_t type = 0x0800;
  Offload offload;  // as sent; `ip` has its checksum finished
};

// What came out for one packet in. Asking for one that is not there fails the
// test and gives an empty one, with room enough to look at.
class Outs : public std::vector<Out> {
 public:
  using std::vector<Out>::vector;
  const Out& operator[](std::size_t i) const {
    static const Out nothing = [] {
      Out out;
      out.ip = Bytes(64);
      return out;
    }();
    if (i < size()) return std::vector<Out>::operator[](i);
    fail(__FILE__, __LINE__, "a packet did not come out");
    return nothing;
  }
};

// Everything a receiver would check.
void check_packet(const Bytes& packet, bool outside);

class World final : public Outbox {
 public:
  explicit World(EngineConfig config = small(),
                 std::span<std::uint8_t> shared = {});

  static EngineConfig small() {
    EngineConfig c;
    c.max_flows = 4096;
    c.max_remotes = 256;
    c.max_rules = 256;
    c.max_vnets = 256;
    c.max_one_to_ones = 256;
    c.max_fragments = 64;
    c.max_held = 64;
    c.seed[0] = 7;
    // Most tests are about other things than where a sender lives.
    c.check_senders = false;
    return c;
  }

  // Sends an IPv4 packet as a fabric's instance would; gives what came out.
  Outs inside(const Bytes& ip, Vni vnet = 1, int vlan = -1);
  Outs outside(const Bytes& ip);
  // A whole datagram from the VXLAN header on.
  Outs datagram(const Bytes& bytes, const Path& path = path_in());
  static Path path_from(Ip4 node) {
    return {.local_ip = kZone, .peer_ip = node, .peer_port = 51000, .tos = 0};
  }
  static Path path_in() { return path_from(kNode); }
  static Bytes frame(const Bytes& payload, Vni vnet, Mac dst, int vlan,
                     std::uint16_t type = 0x0800);

  const char* apply(const Operation& op);
  std::uint64_t dropped(Drop reason) const {
    return engine->stats().drop[static_cast<std::size_t>(reason)].read();
  }
  // Every reason counted so far, for the message of a failed test.
  std::string drops() const;
  void add_aip(Ip4 host = kHostA, Ip4 address = kAip, Vni vnet = 1) {
    CHECK(apply(SetOneToOne{vnet, 0, host, address}) == nullptr);
  }
  void run(Tick ms) {
    now += ms;
    // Until a whole round found nothing to end.
    for (std::uint32_t idle = 0; idle < config_.max_flows;) {
      idle = engine->sweep(now, 4096) ? 0 : idle + 65536;
    }
    step_done();
  }
  std::uint64_t flows() const { return engine->stats().flows.read(); }
  std::vector<FlowInfo> list(const FlowFilter& filter = {}) const;

  void underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                Offload left) override;
  void external(std::span<const std::uint8_t> bytes, Offload left) override;

  Tick now = 0xfffffc00;  // the low 32 bits wrap within the first second
  std::unique_ptr<Engine> engine;
  bool check_output = true;
  Offload offload;  // of the packets sent with `inside` and `outside`

  Outs take() { return std::exchange(out_, {}); }

 private:
  // Looks at the tables after each step; of large ones less often.
  void step_done();

  EngineConfig config_;
  std::uint32_t steps_ = 0;

  Packet load(const Bytes& bytes);

  Bytes buffer_;  // of the packet that is under way, with headroom in front
  Outs out_;
};

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_WORLD_H_
