// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The frames of one thread: memory that the kernel reads and writes packets
// in, cut into equal frames, shared by all AF_XDP sockets of the thread, so
// that a packet received on one leaves by another where it lies. Free frames
// are taken last in, first out: those are still in the cache.

#ifndef VXLNAT_IO_UMEM_H_
#define VXLNAT_IO_UMEM_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace vxlnat::io {

class Umem {
 public:
  // Where the kernel begins a packet in a frame (XDP_PACKET_HEADROOM).
  static constexpr std::size_t kStart = 256;

  // Null when there is no memory. `frame_size` is 2048 or 4096.
  static std::unique_ptr<Umem> make(std::uint32_t frames,
                                    std::uint32_t frame_size) {
    const std::size_t bytes = std::size_t{frames} * frame_size;
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED) return nullptr;
    return std::unique_ptr<Umem>(
        new Umem(static_cast<std::uint8_t*>(at), bytes, frames, frame_size));
  }
  Umem(const Umem&) = delete;
  Umem& operator=(const Umem&) = delete;
  ~Umem() { munmap(base_, bytes_); }

  std::uint8_t* base() const { return base_; }
  std::size_t bytes() const { return bytes_; }
  std::uint32_t frame_size() const { return frame_size_; }
  std::size_t free_frames() const { return free_.size(); }

  std::uint8_t* at(std::uint64_t address) const { return base_ + address; }
  std::uint64_t address(const std::uint8_t* at) const {
    return static_cast<std::uint64_t>(at - base_);
  }
  std::uint32_t frame_of(std::uint64_t address) const {
    return static_cast<std::uint32_t>(address / frame_size_);
  }
  std::uint8_t* start(std::uint32_t frame) const {
    return base_ + std::uint64_t{frame} * frame_size_ + kStart;
  }
  bool contains(const std::uint8_t* at) const {
    return at >= base_ && at < base_ + bytes_;
  }

  std::optional<std::uint32_t> take() {
    if (free_.empty()) return std::nullopt;
    const std::uint32_t frame = free_.back();
    free_.pop_back();
    return frame;
  }
  void give(std::uint32_t frame) { free_.push_back(frame); }

 private:
  Umem(std::uint8_t* base, std::size_t bytes, std::uint32_t frames,
       std::uint32_t frame_size)
      : base_(base), bytes_(bytes), frame_size_(frame_size) {
    free_.reserve(frames);
    for (std::uint32_t i = frames; i-- > 0;) free_.push_back(i);
  }

  std::uint8_t* base_;
  std::size_t bytes_;
  std::uint32_t frame_size_;
  std::vector<std::uint32_t> free_;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_UMEM_H_
