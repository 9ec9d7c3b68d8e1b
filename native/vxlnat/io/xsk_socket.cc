// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Opening, filling and emptying the rings; see xsk_socket.h.

#include "io/xsk_socket.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace vxlnat::io {

namespace {

constexpr std::uint32_t kRingSize = 1024;
// Frames that the kernel may receive into. Few enough that all frames of a
// thread stay in the cache, enough for the bursts of a virtual link (256).
constexpr std::uint32_t kFill = 512;
// In copy mode the kernel takes 32 packets in one call.
constexpr int kKicks = 8;
// Room for what is on its way to a receiver on another core.
constexpr int kSendBytes = 4 << 20;

std::string reason(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

template <typename T>
bool map_ring(int fd, off_t place, const xdp_ring_offset& at, Ring<T>* ring) {
  ring->bytes = at.desc + kRingSize * sizeof(T);
  void* memory = mmap(nullptr, ring->bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, fd, place);
  if (memory == MAP_FAILED) return false;
  auto* base = static_cast<std::uint8_t*>(memory);
  ring->memory = memory;
  ring->producer = reinterpret_cast<std::uint32_t*>(base + at.producer);
  ring->consumer = reinterpret_cast<std::uint32_t*>(base + at.consumer);
  ring->flags = reinterpret_cast<std::uint32_t*>(base + at.flags);
  ring->slots = reinterpret_cast<T*>(base + at.desc);
  ring->mask = kRingSize - 1;
  return true;
}

template <typename T>
void unmap(const Ring<T>& ring) {
  if (ring.memory != nullptr) munmap(ring.memory, ring.bytes);
}

bool set_size(int fd, int option) {
  const std::uint32_t size = kRingSize;
  return setsockopt(fd, SOL_XDP, option, &size, sizeof(size)) == 0;
}

}  // namespace

std::unique_ptr<XskSocket> XskSocket::open(std::uint32_t ifindex,
                                           std::uint32_t queue, Umem* umem,
                                           const XskSocket* first,
                                           std::string* error) {
  Fd fd(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd.open()) {
    *error = reason("this kernel has no AF_XDP");
    return nullptr;
  }
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBytes,
             sizeof(kSendBytes));
  std::unique_ptr<XskSocket> self(new XskSocket(std::move(fd), umem));
  *error = self->make_rings(first == nullptr);
  if (error->empty()) *error = self->bind_queue(ifindex, queue, first);
  if (!error->empty()) return nullptr;
  self->refill();
  return self;
}

std::string XskSocket::make_rings(bool own_umem) {
  const int fd = fd_.get();
  if (own_umem) {
    xdp_umem_reg memory{};
    memory.addr = reinterpret_cast<std::uint64_t>(umem_->base());
    memory.len = umem_->bytes();
    memory.chunk_size = umem_->frame_size();
    if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &memory, sizeof(memory)) != 0) {
      return reason("cannot register packet memory");
    }
  }
  xdp_mmap_offsets at{};
  socklen_t size = sizeof(at);
  if (!set_size(fd, XDP_UMEM_FILL_RING) ||
      !set_size(fd, XDP_UMEM_COMPLETION_RING) || !set_size(fd, XDP_RX_RING) ||
      !set_size(fd, XDP_TX_RING) ||
      getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size) != 0) {
    return reason("cannot make AF_XDP rings");
  }
  if (!map_ring(fd, XDP_PGOFF_RX_RING, at.rx, &rx_) ||
      !map_ring(fd, XDP_PGOFF_TX_RING, at.tx, &tx_) ||
      !map_ring(fd, XDP_UMEM_PGOFF_FILL_RING, at.fr, &fill_) ||
      !map_ring(fd, XDP_UMEM_PGOFF_COMPLETION_RING, at.cr, &completion_)) {
    return reason("cannot map AF_XDP rings");
  }
  return "";
}

std::string XskSocket::bind_queue(std::uint32_t ifindex, std::uint32_t queue,
                                  const XskSocket* first) {
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = ifindex;
  address.sxdp_queue_id = queue;
  if (first != nullptr) {
    // The flags are those of the socket that owns the memory.
    address.sxdp_flags = XDP_SHARED_UMEM;
    address.sxdp_shared_umem_fd = static_cast<std::uint32_t>(first->fd());
  } else {
    // Neither copy nor zero-copy: the kernel tries zero-copy first.
    address.sxdp_flags = XDP_USE_NEED_WAKEUP;
  }
  if (bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
      0) {
    return errno == EBUSY ? "its queue is used by another process"
                          : reason("cannot bind an AF_XDP socket");
  }
  xdp_options options{};
  socklen_t size = sizeof(options);
  getsockopt(fd_.get(), SOL_XDP, XDP_OPTIONS, &options, &size);
  zero_copy_ = (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
  return "";
}

XskSocket::~XskSocket() {
  unmap(rx_);
  unmap(tx_);
  unmap(fill_);
  unmap(completion_);
}

std::size_t XskSocket::receive(std::span<xdp_desc> out) {
  const std::size_t n = std::min<std::size_t>(rx_.ready(), out.size());
  for (std::size_t i = 0; i < n; i++) out[i] = rx_.pop();
  if (n > 0) {
    rx_.release();
    filled_ -= static_cast<std::uint32_t>(n);
  }
  return n;
}

void XskSocket::refill() {
  // The kernel may also drop a frame's packet and keep the frame; what it
  // holds is what we gave less what came back.
  if (filled_ + kFill / 8 > kFill) return;
  while (filled_ < kFill && fill_.room() > 0) {
    const auto frame = umem_->take();
    if (!frame) break;
    fill_.push(std::uint64_t{*frame} * umem_->frame_size());
    filled_++;
  }
  fill_.publish();
  if (fill_.needs_wakeup()) {
    recvfrom(fd_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
  }
}

void XskSocket::reap() {
  const std::uint32_t n = completion_.ready();
  for (std::uint32_t i = 0; i < n; i++) {
    umem_->give(umem_->frame_of(completion_.pop()));
  }
  if (n > 0) completion_.release();
}

bool XskSocket::send(const xdp_desc& packet) {
  if (tx_.room() == 0) return false;
  tx_.push(packet);
  queued_ = true;
  return true;
}

void XskSocket::kick() {
  if (queued_) tx_.publish();
  queued_ = false;
  for (int i = 0; i < kKicks && tx_.pending() > 0; i++) {
    if (zero_copy_ && !tx_.needs_wakeup()) return;
    if (sendto(fd_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 &&
        errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) {
      return;
    }
    if (zero_copy_) return;
  }
}

std::uint64_t XskSocket::dropped() const {
  xdp_statistics counts{};
  socklen_t size = sizeof(counts);
  if (getsockopt(fd_.get(), SOL_XDP, XDP_STATISTICS, &counts, &size) != 0) {
    return 0;
  }
  return counts.rx_dropped + counts.rx_ring_full +
         counts.rx_fill_ring_empty_descs;
}

}  // namespace vxlnat::io
