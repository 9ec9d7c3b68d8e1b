// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Frames as they come to the program's interfaces: a small cloud of four vnets
// whose hosts have the same addresses, an Internet that answers, and all that
// can be odd about a packet. Everything by chance, from a seed.

#ifndef VXLNAT_TEST_FASTPATH_TRAFFIC_H_
#define VXLNAT_TEST_FASTPATH_TRAFFIC_H_

#include <vector>

#include "engine/engine.h"
#include "engine/hash.h"
#include "test/build.h"

namespace vxlnat::test {

class Traffic {
 public:
  static constexpr Ip4 kZone = ip4(192, 168, 9, 6);
  static constexpr Ip4 kPublic = ip4(3, 3, 3, 0);
  static constexpr Ip4 kRouter = ip4(10, 4, 4, 1);
  static constexpr std::uint32_t kVnets = 4;
  static constexpr std::uint32_t kHosts = 6;

  Traffic(std::uint64_t seed, std::uint16_t vlan)
      : random_({seed, 77}), vlan_(vlan) {}

  std::uint32_t pick(std::uint32_t n) { return random_.below(n); }
  bool once_in(std::uint32_t n) { return pick(n) == 0; }

  static Ip4 host(std::uint32_t n) { return ip4(10, 4, 4, 5) + n; }
  static Mac router_mac(Vni vni) { return 0x90b8d0000000 + vni; }
  static Mac host_mac(Vni vni) { return 0x90b8d00000a0 + vni; }
  static Ip4 node(Vni vni) { return ip4(192, 168, 9, 0) + vni; }
  Ip4 any_public() { return kPublic + pick(10); }

  // A frame from a fabric, from the Internet to one of `flows`.
  Bytes from_inside();
  Bytes from_outside(std::span<const FlowInfo> flows);
  // Frames that this one may become on the way.
  void damage(Bytes* frame);

 private:
  struct Ends {
    Ip4 src, dst;
    std::uint16_t sport, dport;
    std::uint8_t proto;
  };
  Ip4 remote();
  Bytes packet(const Ends& ends, bool reply);
  Bytes transport(const Ends& ends, bool reply);
  void spoil_sum(Bytes* ip);
  void spoil_tunnel_sum(Ip4 src, Ip4 dst, Bytes* udp);
  Bytes framed(const Bytes& ip, std::uint16_t vlan);

  Random random_;
  std::uint16_t vlan_;
};

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_FASTPATH_TRAFFIC_H_
