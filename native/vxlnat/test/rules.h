// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// For tests of rules: one with options is set, its hosts send, the Internet
// answers.

#ifndef VXLNAT_TEST_RULES_H_
#define VXLNAT_TEST_RULES_H_

#include <memory>
#include <string>

#include "test/world.h"

namespace vxlnat::test {

inline const Prefix kPrefix{ip4(10, 4, 4, 0), 22};

inline std::string set(World& w, const RuleOptions& options,
                       Ip4 public_ip = kPublic1, Vni vnet = 1) {
  const char* error =
      w.apply(SetRule{vnet, 0, kPrefix, kRouter1, kRouterMac1, public_ip,
                      std::make_shared<const RuleOptions>(options)});
  return error == nullptr ? "" : error;
}

inline Ip4 host(std::uint32_t n) { return kHostA + n; }

// What a packet of a host becomes outside, or src 0 when it does not leave.
inline Seen send(World& w, const Bytes& packet, Vni vnet = 1) {
  const Outs out = w.inside(packet, vnet);
  return Seen(out.size() == 1 && !out[0].inside ? out[0].ip : Bytes{});
}

inline Seen udp(World& w, Ip4 from, std::uint16_t port, Ip4 to = kServer,
                std::uint16_t to_port = 53) {
  return send(w, make_udp(from, port, to, to_port));
}

inline bool answers(World& w, Ip4 public_ip, std::uint16_t port,
                    Ip4 from = kServer, std::uint16_t from_port = 53) {
  return w.outside(make_udp(from, from_port, public_ip, port)).size() == 1;
}

inline constexpr Ip4 kPool[] = {kPublic1, ip4(198, 51, 100, 9),
                                ip4(3, 3, 3, 77), ip4(203, 0, 113, 7)};

inline RuleOptions pool_options() {
  RuleOptions options;
  options.more_public_ips = {kPool[1], kPool[2], kPool[3]};
  return options;
}

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_RULES_H_
