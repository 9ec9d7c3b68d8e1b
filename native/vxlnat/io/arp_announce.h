// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Tells the neighbours of an Ethernet interface that this host now answers
// for an address: an ARP announcement (RFC 5227 section 2.3), which is a
// broadcast ARP request whose sender and target address are both the address
// announced. Needs CAP_NET_RAW.

#ifndef VXLNAT_IO_ARP_ANNOUNCE_H_
#define VXLNAT_IO_ARP_ANNOUNCE_H_

#include <cstdint>
#include <string>

namespace vxlnat::io {

// Sends one announcement for `ip` (host order). Returns an empty string, or
// why it could not: no such interface, not Ethernet, down, or not permitted.
std::string announce_arp(const std::string& interface, std::uint32_t ip);

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_ARP_ANNOUNCE_H_
