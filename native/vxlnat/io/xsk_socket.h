// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// One AF_XDP socket: the four rings of one queue of one interface. It moves
// frame numbers between the kernel and a Umem, and knows nothing of what is
// in them. (Linux, Documentation/networking/af_xdp.rst.)
//
// Threads: one.

#ifndef VXLNAT_IO_XSK_SOCKET_H_
#define VXLNAT_IO_XSK_SOCKET_H_

#include <linux/if_xdp.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "io/bpf_object.h"
#include "io/umem.h"

namespace vxlnat::io {

// One ring of descriptors that the kernel and we share; T is what it holds.
template <typename T>
struct Ring {
  std::uint32_t* producer = nullptr;
  std::uint32_t* consumer = nullptr;
  std::uint32_t* flags = nullptr;
  T* slots = nullptr;
  std::uint32_t mask = 0;
  std::uint32_t ours = 0;    // our own index
  std::uint32_t theirs = 0;  // the kernel's, as last seen
  void* memory = nullptr;
  std::size_t bytes = 0;

  // For a ring that we fill: free places, of which `ours` is the next.
  std::uint32_t room() {
    const std::uint32_t size = mask + 1;
    if (theirs + size - ours == 0) {
      theirs = __atomic_load_n(consumer, __ATOMIC_ACQUIRE);
    }
    return theirs + size - ours;
  }
  void push(const T& value) { slots[ours++ & mask] = value; }
  void publish() { __atomic_store_n(producer, ours, __ATOMIC_RELEASE); }
  // For a ring that we empty: entries to take.
  std::uint32_t ready() {
    if (theirs == ours) theirs = __atomic_load_n(producer, __ATOMIC_ACQUIRE);
    return theirs - ours;
  }
  const T& pop() { return slots[ours++ & mask]; }
  void release() { __atomic_store_n(consumer, ours, __ATOMIC_RELEASE); }
  // Entries that we have put in and the kernel has not taken.
  std::uint32_t pending() const {
    return ours - __atomic_load_n(consumer, __ATOMIC_ACQUIRE);
  }
  bool needs_wakeup() const {
    return (__atomic_load_n(flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) !=
           0;
  }
};

class XskSocket {
 public:
  // Opens the queue of an interface. Zero-copy is asked for first; `first`,
  // when given, is a socket of the same Umem and decides that for all.
  static std::unique_ptr<XskSocket> open(std::uint32_t ifindex,
                                         std::uint32_t queue, Umem* umem,
                                         const XskSocket* first,
                                         std::string* error);
  XskSocket(const XskSocket&) = delete;
  XskSocket& operator=(const XskSocket&) = delete;
  ~XskSocket();

  int fd() const { return fd_.get(); }
  bool zero_copy() const { return zero_copy_; }

  // Takes received packets; returns how many of `out` were filled.
  std::size_t receive(std::span<xdp_desc> out);
  // Gives the kernel frames to receive into, up to a fixed number.
  void refill();
  // Takes back frames that were sent.
  void reap();
  // Queues a packet; false when the ring is full.
  bool send(const xdp_desc& packet);
  // Has the kernel send what is queued.
  void kick();
  // Whether packets wait that the kernel did not take at the last kick.
  bool pending() const { return tx_.pending() > 0; }
  // Packets that the kernel dropped because we were too slow.
  std::uint64_t dropped() const;

 private:
  XskSocket(Fd fd, Umem* umem) : fd_(std::move(fd)), umem_(umem) {}
  std::string make_rings(bool own_umem);
  std::string bind_queue(std::uint32_t ifindex, std::uint32_t queue,
                         const XskSocket* first);

  Fd fd_;
  Umem* umem_;
  bool zero_copy_ = false;
  bool queued_ = false;       // something was sent since the last kick
  std::uint32_t filled_ = 0;  // frames that the kernel holds to receive into
  Ring<xdp_desc> rx_;
  Ring<xdp_desc> tx_;
  Ring<std::uint64_t> fill_;
  Ring<std::uint64_t> completion_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_XSK_SOCKET_H_
