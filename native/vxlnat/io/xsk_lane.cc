// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Receiving, recording and sending by AF_XDP; see xsk_lane.h.

#include "io/xsk_lane.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/wire.h"

namespace vxlnat::io {

namespace {

// Frames of one socket: what the kernel may hold to receive into, and as many
// on their way out.
constexpr std::uint32_t kFramesOfSocket = 1024;
constexpr int kIdleMs = 1000;
constexpr std::uint64_t kLossesMs = 1000;

}  // namespace

std::unique_ptr<XskLane> XskLane::open(const XskLaneConfig& config,
                                       const BpfObject* bpf,
                                       const RouteChanges* changes,
                                       Detour* detour, std::string* error) {
  std::unique_ptr<XskLane> self(new XskLane(config, bpf, changes, detour));
  if (self->umem_ == nullptr || !self->wake_.open()) {
    *error = "there is no memory for packets";
    return nullptr;
  }
  *error = self->open_sockets(config, *bpf);
  if (!error->empty()) return nullptr;
  return self;
}

XskLane::XskLane(const XskLaneConfig& config, const BpfObject* bpf,
                 const RouteChanges* changes, Detour* detour)
    : settings_(config.settings),
      share_(std::max<std::size_t>(config.burst / config.queues.size(), 1)),
      changes_(changes),
      detour_(detour),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      hops_([bpf](auto questions) { return bpf->next_hops(questions); },
            [this](std::uint32_t ifindex, std::uint32_t ip) {
              neighbours_.use(ifindex, ip);
            }) {
  const auto frames =
      static_cast<std::uint32_t>(config.queues.size()) * kFramesOfSocket;
  umem_ = Umem::make(frames, config.frame_size);
  sent_.resize(frames);
  received_.resize(share_);
  const std::size_t most = share_ * config.queues.size();
  underlay_.reserve(most);
  external_.reserve(most);
  held_.reserve(most);
}

std::string XskLane::open_sockets(const XskLaneConfig& config,
                                  const BpfObject& bpf) {
  for (const XskQueue& each : config.queues) {
    const vxlnat_port& port = settings_.ports[each.port];
    const XskSocket* first =
        sockets_.empty() ? nullptr : sockets_.front().socket.get();
    std::string error;
    auto socket =
        XskSocket::open(port.ifindex, each.queue, umem_.get(), first, &error);
    if (socket == nullptr) return error;
    error = bpf.serve(each.port * VXLNAT_MAX_QUEUES + each.queue, socket->fd());
    if (!error.empty()) return error;
    const FrameRules rules = {.underlay = (port.roles & VXLNAT_UNDERLAY) != 0,
                              .external = (port.roles & VXLNAT_EXTERNAL) != 0,
                              .vlan = static_cast<std::uint16_t>(port.vlan),
                              .vxlan_port = settings_.layout.vxlan_port};
    sockets_.push_back({std::move(socket), each.port, rules});
  }
  return "";
}

LaneIo::Burst XskLane::receive() {
  underlay_.clear();
  external_.clear();
  for (Socket& each : sockets_) {
    each.socket->reap();
    each.socket->refill();
    take_from(each);
  }
  if (!held_.empty() && underlay_.empty() && external_.empty()) give_back();
  count(counters_.rx_packets, underlay_.size() + external_.size());
  return {underlay_, external_};
}

void XskLane::take_from(Socket& from) {
  const std::size_t n = from.socket->receive(received_);
  for (std::size_t i = 0; i < n; i++) {
    __builtin_prefetch(umem_->at(received_[i].addr));
  }
  for (std::size_t i = 0; i < n; i++) {
    const xdp_desc& each = received_[i];
    held_.push_back(umem_->frame_of(each.addr));
    Packet packet;
    switch (read_frame(umem_->at(each.addr), each.len, from.rules, &packet)) {
      case FrameKind::kUnderlay:
        underlay_.push_back(packet);
        break;
      case FrameKind::kExternal:
        external_.push_back(packet);
        break;
      default:
        count(counters_.rx_invalid);
    }
  }
}

void XskLane::underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                       Offload offload) {
  record(bytes, &to, offload);
}

void XskLane::external(std::span<const std::uint8_t> bytes, Offload offload) {
  record(bytes, nullptr, offload);
}

void XskLane::record(std::span<const std::uint8_t> bytes, const Underlay* to,
                     Offload offload) {
  if (offload.partial) {
    // Not from a ring; what a card was to do, the kernel still can.
    detour_->put(bytes, to, offload);
    return;
  }
  std::uint8_t* data = nullptr;
  if (umem_->contains(bytes.data())) {
    data = umem_->at(umem_->address(bytes.data()));
    const std::uint32_t frame = umem_->frame_of(umem_->address(data));
    if (sent_[frame]) data = nullptr;
    sent_[frame] = true;
  }
  if (data == nullptr) {
    const auto frame = umem_->take();
    if (!frame || bytes.size() > umem_->frame_size() - Umem::kStart) {
      // Longer than a frame, or no frame is free: the kernel has memory.
      if (frame) umem_->give(*frame);
      detour_->put(bytes, to, offload);
      return;
    }
    data = umem_->start(*frame);
    std::memcpy(data, bytes.data(), bytes.size());
  }
  out_.push_back(
      {data, bytes.size(), to != nullptr, to != nullptr ? *to : Underlay{}});
}

void XskLane::flush(std::uint64_t now) {
  to_.clear();
  for (const Out& out : out_) {
    to_.push_back(destination_of({out.data, out.length},
                                 out.underlay ? &out.to : nullptr));
  }
  found_.resize(to_.size());
  hops_.find(to_, found_, now, changes_->generation());
  for (std::size_t i = 0; i < out_.size(); i++) send(out_[i], found_[i]);
  out_.clear();
  give_back();
  for (Socket& each : sockets_) each.socket->kick();
  if (now >= losses_at_ + kLossesMs) {
    losses_at_ = now;
    count_losses();
  }
}

void XskLane::give_back() {
  for (const std::uint32_t frame : held_) {
    if (!sent_[frame]) umem_->give(frame);
    sent_[frame] = false;
  }
  held_.clear();
}

XskLane::Socket* XskLane::socket_towards(std::uint32_t ifindex) {
  for (Socket& each : sockets_) {
    if (settings_.ports[each.port].l3_ifindex == ifindex) return &each;
  }
  return nullptr;
}

void XskLane::send(const Out& out, const NextHop& hop) {
  std::uint8_t* data = out.data;
  const std::uint32_t frame = umem_->frame_of(umem_->address(data));
  const std::size_t outer =
      out.underlay ? wire::ip::kSize + wire::udp::kSize : 0;
  Socket* socket = hop.ifindex == 0 ? nullptr : socket_towards(hop.ifindex);
  bool gone = false;
  if (socket == nullptr || out.length + outer > hop.mtu ||
      (out.underlay && out.to.src_ip == 0)) {
    detour_->put({data, out.length}, out.underlay ? &out.to : nullptr);
  } else {
    if (out.underlay) data = put_tunnel(data, out.length, out.to);
    LinkAddresses link = hop.link;
    link.vlan = socket->rules.vlan;
    std::uint8_t* begin = put_ethernet(data, link);
    const auto length = static_cast<std::size_t>(out.data - begin) + out.length;
    gone = socket->socket->send({.addr = umem_->address(begin),
                                 .len = static_cast<std::uint32_t>(length),
                                 .options = 0});
    count(gone ? counters_.tx_packets : counters_.tx_refused);
  }
  if (gone) return;
  // A received frame goes back with its burst; one of our making at once.
  if (!sent_[frame]) umem_->give(frame);
  sent_[frame] = false;
}

void XskLane::count_losses() {
  std::uint64_t dropped = 0;
  for (const Socket& each : sockets_) dropped += each.socket->dropped();
  counters_.rx_overflow.store(dropped, std::memory_order_relaxed);
}

void XskLane::sleep() {
  pollfd waits[1 + 2 * VXLNAT_MAX_QUEUES];
  nfds_t n = 0;
  waits[n++] = {wake_.get(), POLLIN, 0};
  bool pending = false;
  for (const Socket& each : sockets_) {
    pending |= each.socket->pending();
    if (n < std::size(waits)) waits[n++] = {each.socket->fd(), POLLIN, 0};
  }
  if (pending) {
    for (Socket& each : sockets_) each.socket->kick();
  }
  poll(waits, n, pending ? 1 : kIdleMs);
}

void XskLane::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof(one));
}

}  // namespace vxlnat::io
