// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The XDP program with tables of its own, run by the kernel on packets that
// the test gives it (BPF_PROG_TEST_RUN), in a network namespace that ends with
// the process. Two interfaces, their neighbours and routes are made there.

#ifndef VXLNAT_TEST_FASTPATH_KERNEL_H_
#define VXLNAT_TEST_FASTPATH_KERNEL_H_

#include <memory>
#include <span>
#include <string>

#include "bpf/maps.h"
#include "io/frame.h"
#include "test/harness.h"

struct bpf_object;

namespace vxlnat::test {

// What the program did with a frame.
struct Run {
  int action = -1;  // XDP_PASS, XDP_REDIRECT, ...
  Bytes frame;
};

class Kernel {
 public:
  // An interface: 0 is the underlay's, 1 the external one's.
  static constexpr std::uint32_t kUnderlay = 0;
  static constexpr std::uint32_t kExternal = 1;

  // Makes the namespace and `bytes` of tables; null and why when the kernel
  // does not let us. `vlan` is the tag on the external side.
  static std::unique_ptr<Kernel> open(std::size_t bytes, std::uint16_t vlan,
                                      std::string* error);
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  ~Kernel();

  std::span<std::uint8_t> tables() const { return memory_; }
  // Loads the program, after an engine has laid out the tables.
  // `shot` is the benchmark's read-only data, when there is any.
  std::string load(const std::string& path,
                   std::span<const std::uint8_t> shot = {});
  Run run(const Bytes& frame, std::uint32_t port);
  // Nanoseconds that one of `repeat` runs of another program took.
  std::uint32_t time(const char* program, const Bytes& frame,
                     std::uint32_t port, int repeat);
  std::uint64_t counter(std::uint32_t index) const;
  // Asks the program that lanes ask.
  bool next_hops(std::span<vxlnat_next_hop> questions) const;
  // The tag of what is sent by this port.
  std::uint16_t vlan(std::uint32_t port) const {
    return port == kExternal ? vlan_ : std::uint16_t{0};
  }

 private:
  Kernel() = default;
  Run run(int program, const Bytes& frame, std::uint32_t port, int repeat,
          std::uint32_t* nanoseconds);
  int map_ = -1;
  int program_ = -1;    // owned by object_
  int next_hops_ = -1;  // owned by object_
  int counters_ = -1;   // owned by object_
  bpf_object* object_ = nullptr;
  std::span<std::uint8_t> memory_;
  std::uint16_t vlan_ = 0;
  std::uint32_t ifindex_[2] = {};
};

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_FASTPATH_KERNEL_H_
