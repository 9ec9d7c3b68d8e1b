// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Facts of an interface by ioctl; see link.h.

#include "io/link.h"

#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/bpf_object.h"

namespace vxlnat::io {

namespace {

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

bool ethtool(int fd, const std::string& device, void* command) {
  ifreq request = request_for(device);
  request.ifr_data = static_cast<char*>(command);
  return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

// Whether `name` is a VLAN interface; then `link` has its parent and tag.
bool read_vlan(int fd, const std::string& name, Link* link) {
  vlan_ioctl_args question{};
  question.cmd = GET_VLAN_REALDEV_NAME_CMD;
  name.copy(question.device1, sizeof(question.device1) - 1);
  if (ioctl(fd, SIOCGIFVLAN, &question) != 0) return false;
  link->device = question.u.device2;
  question = {};
  question.cmd = GET_VLAN_VID_CMD;
  name.copy(question.device1, sizeof(question.device1) - 1);
  if (ioctl(fd, SIOCGIFVLAN, &question) != 0) return false;
  link->vlan = static_cast<std::uint16_t>(question.u.VID);
  return true;
}

}  // namespace

std::string read_link(const std::string& name, Link* link) {
  const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  link->l3_ifindex = if_nametoindex(name.c_str());
  if (link->l3_ifindex == 0) return "interface " + name + " does not exist";
  link->device = name;
  read_vlan(fd.get(), name, link);
  link->ifindex = if_nametoindex(link->device.c_str());
  ifreq request = request_for(link->device);
  if (ioctl(fd.get(), SIOCGIFMTU, &request) != 0) {
    return "cannot read the MTU of " + link->device + ": " +
           std::strerror(errno);
  }
  link->mtu = static_cast<std::uint32_t>(request.ifr_mtu);
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (ethtool(fd.get(), link->device, &channels)) {
    link->queues = std::max(1u, channels.rx_count + channels.combined_count);
  }
  return "";
}

std::string keep_tags(const std::string& device) {
  const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_value flags{};
  flags.cmd = ETHTOOL_GFLAGS;
  if (!ethtool(fd.get(), device, &flags)) return "";
  if ((flags.data & ETH_FLAG_RXVLAN) == 0) return "";
  flags.cmd = ETHTOOL_SFLAGS;
  flags.data &= ~static_cast<std::uint32_t>(ETH_FLAG_RXVLAN);
  if (ethtool(fd.get(), device, &flags)) return "";
  return "cannot turn rx-vlan-offload of " + device +
         " off: " + std::strerror(errno);
}

}  // namespace vxlnat::io
