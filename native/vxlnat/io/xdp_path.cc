// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Putting the pieces of the XDP path together; see xdp_path.h.

#include "io/xdp_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>
#include <utility>

#include "io/pins.h"
#include "io/xdp_features.h"
#include "io/xsk_lane.h"

namespace vxlnat::io {

namespace {

// What a frame of 2048 bytes holds behind the kernel's headroom.
constexpr std::uint32_t kSmallMtu = 1700;
// Longer frames do not fit into a page with what a driver puts around them; a
// program is refused there unless it says that it knows of such frames.
constexpr std::uint32_t kPageMtu = 3498;

}  // namespace

std::unique_ptr<XdpPath> XdpPath::open(const XdpConfig& config,
                                       const TablesMap& tables, Detour* detour,
                                       std::string* error) {
  std::unique_ptr<XdpPath> self(new XdpPath(config, tables));
  *error = self->read_ports();
  if (error->empty()) *error = self->load();
  if (error->empty()) self->changes_ = RouteChanges::open(error);
  if (error->empty()) *error = self->open_lanes(detour);
  if (!error->empty()) return nullptr;
  self->find_pins();
  return self;
}

std::string XdpPath::read_ports() {
  if (config_.underlay.empty()) return "no underlay interface is named";
  if (config_.external.empty()) return "no external interface is named";
  std::string error = add_port(config_.underlay, VXLNAT_UNDERLAY, 0);
  if (!error.empty()) return error;
  return add_port(config_.external, VXLNAT_EXTERNAL, config_.vlan);
}

std::string XdpPath::add_port(const std::string& name, std::uint32_t role,
                              std::uint16_t vlan) {
  Link link;
  std::string error = read_link(name, &link);
  if (!error.empty()) return error;
  if (vlan != 0) link.vlan = vlan;
  if (link.mtu > kPageMtu) settings_.flags |= VXLNAT_JUMBO;
  for (std::size_t i = 0; i < links_.size(); i++) {
    if (links_[i].ifindex != link.ifindex) continue;
    if (links_[i].l3_ifindex != link.l3_ifindex ||
        links_[i].vlan != link.vlan) {
      return "underlay and external are two VLANs of " + link.device;
    }
    settings_.ports[i].roles |= role;
    return "";
  }
  if (link.vlan != 0) error = keep_tags(link.device);
  if (!error.empty()) return error;
  settings_.ports[links_.size()] = {.ifindex = link.ifindex,
                                    .l3_ifindex = link.l3_ifindex,
                                    .vlan = link.vlan,
                                    .roles = role};
  links_.push_back(link);
  return "";
}

std::string XdpPath::load() {
  for (const Link& link : links_) {
    if (!config_.fast || takes_redirects(link.ifindex).value_or(true)) continue;
    status_.not_fast = "XDP cannot send by " + link.device +
                       ": it is a virtual link, and its other end does not "
                       "poll (ethtool -K DEVICE gro on there)";
  }
  status_.fast = config_.fast && status_.not_fast.empty();
  if (status_.fast) settings_.flags |= VXLNAT_FAST;
  // Forwarding is on there, and the device is there without us.
  settings_.from_ifindex = links_.back().l3_ifindex;
  settings_.port_count = static_cast<std::uint32_t>(links_.size());
  std::memcpy(&settings_.layout, tables_.memory().data(),
              sizeof(settings_.layout));
  std::string error;
  bpf_ = BpfObject::load(settings_, tables_, &error);
  return error;
}

std::string XdpPath::open_lanes(Detour* detour) {
  std::uint32_t least = VXLNAT_MAX_QUEUES;
  std::uint32_t mtu = 0;
  for (Link& link : links_) {
    link.queues = std::min(link.queues, VXLNAT_MAX_QUEUES);
    least = std::min(least, link.queues);
    mtu = std::max(mtu, link.mtu);
    status_.ports.push_back({.device = link.device,
                             .native = false,
                             .vlan = link.vlan,
                             .queues = link.queues});
  }
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  const unsigned count =
      std::min(least, config_.lanes != 0 ? config_.lanes : processors);
  for (unsigned lane = 0; lane < count; lane++) {
    XskLaneConfig config;
    config.settings = settings_;
    config.frame_size = mtu <= kSmallMtu ? 2048 : 4096;
    config.burst = config_.burst;
    for (std::uint32_t port = 0; port < links_.size(); port++) {
      for (std::uint32_t q = lane; q < links_[port].queues; q += count) {
        config.queues.push_back({port, q});
      }
    }
    std::string error;
    auto io = XskLane::open(config, bpf_.get(), changes_.get(), detour, &error);
    if (io == nullptr) return error;
    status_.zero_copy = io->zero_copy();
    lanes_.push_back(std::move(io));
  }
  status_.lanes = count;
  return "";
}

void XdpPath::find_pins() {
  if (config_.pins.empty()) {
    status_.unpinned = "no directory for pins is configured";
    return;
  }
  status_.unpinned = prepare_pins(config_.pins);
  if (status_.unpinned.empty()) pins_ = config_.pins;
}

std::string XdpPath::pin_of(std::size_t port) const {
  if (pins_.empty()) return "";
  std::string name = links_[port].device;
  // A BPF file system takes no dots.
  std::replace(name.begin(), name.end(), '.', '_');
  return pins_ + "/link-" + name;
}

std::string XdpPath::attach() {
  // Pinned before the program is in place and renamed after: what is called
  // `tables` is never that of a program that has yet to come.
  const std::string next = pins_ + "/tables-next";
  if (!pins_.empty()) {
    unlink(next.c_str());
    const std::string error = tables_.pin(next);
    if (!error.empty()) return error;
  }
  for (std::size_t i = 0; i < links_.size(); i++) {
    XdpLink link;
    const std::string error = bpf_->attach(links_[i].ifindex, pin_of(i), &link);
    if (!error.empty()) {
      leave(false);
      return links_[i].device + ": " + error;
    }
    status_.ports[i].native = link.native;
    attached_.push_back(std::move(link));
  }
  if (!pins_.empty()) {
    unlink((pins_ + "/tables").c_str());
    if (rename(next.c_str(), (pins_ + "/tables").c_str()) != 0) {
      const int why = errno;
      leave(false);
      return "cannot rename a pin: " + std::string(std::strerror(why));
    }
  }
  status_.attached = true;
  status_.pinned = !pins_.empty();
  return "";
}

void XdpPath::use_neighbours(std::uint64_t now) {
  const auto since = static_cast<std::uint32_t>(neighbours_at_);
  neighbours_at_ = now;
  bpf_->used_gateways(since, [this](std::uint32_t ifindex, std::uint32_t ip) {
    neighbours_.use(ifindex, ip);
  });
}

void XdpPath::leave(bool keep) {
  attached_.clear();
  status_.attached = false;
  if (pins_.empty() || keep) return;
  for (std::size_t i = 0; i < links_.size(); i++) unlink(pin_of(i).c_str());
  unlink((pins_ + "/tables-next").c_str());
  unlink((pins_ + "/tables").c_str());
  rmdir(pins_.c_str());
}

}  // namespace vxlnat::io
