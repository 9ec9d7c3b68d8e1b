// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The kernel's half, as the process sees it: the tables as a map that both
// read, the loaded programs, and their attachments. The only file that calls
// libbpf; without that library every call says so.
//
// Every call that can fail returns an empty string, or a sentence that says
// what could not be done and why.

#ifndef VXLNAT_IO_BPF_OBJECT_H_
#define VXLNAT_IO_BPF_OBJECT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "bpf/maps.h"

struct bpf_object;

namespace vxlnat::io {

// A file descriptor with an owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  int release();

 private:
  int fd_ = -1;
};

// Memory that is a BPF array too (`tables` of bpf/README.md).
class TablesMap {
 public:
  // Zeroed memory of at least `bytes`.
  static std::unique_ptr<TablesMap> create(std::size_t bytes,
                                           std::string* error);
  // The tables that another process has pinned, to be read only.
  static std::unique_ptr<TablesMap> open(const std::string& pin,
                                         std::string* error);
  TablesMap(const TablesMap&) = delete;
  TablesMap& operator=(const TablesMap&) = delete;
  ~TablesMap();

  std::span<std::uint8_t> memory() const { return memory_; }
  int fd() const { return fd_.get(); }
  std::string pin(const std::string& path) const;

 private:
  TablesMap(Fd fd, std::span<std::uint8_t> memory)
      : fd_(std::move(fd)), memory_(memory) {}
  Fd fd_;
  std::span<std::uint8_t> memory_;
};

// An attachment of `ingress` to an interface. It ends with this object,
// unless it is pinned.
struct XdpLink {
  Fd fd;
  bool native = false;  // else generic: the kernel's fallback for any device
};

// The programs and maps of one load.
class BpfObject {
 public:
  // Loads programs that read `tables` and have `settings` as constants.
  static std::unique_ptr<BpfObject> load(const vxlnat_settings& settings,
                                         const TablesMap& tables,
                                         std::string* error);
  BpfObject(const BpfObject&) = delete;
  BpfObject& operator=(const BpfObject&) = delete;
  ~BpfObject();

  // Attaches `ingress`, native if the driver can, by taking over the link
  // pinned at `pin` or by a new one that is pinned there. An empty `pin` pins
  // nothing.
  std::string attach(std::uint32_t ifindex, const std::string& pin,
                     XdpLink* link) const;
  // Sends what `xsks` has at `index` to this AF_XDP socket.
  std::string serve(std::uint32_t index, int socket) const;
  // Has the kernel answer all questions in place; false when it refused.
  bool next_hops(std::span<vxlnat_next_hop> questions) const;
  // Calls `use` for each gateway, by interface and address in network order,
  // that the fast path has asked the kernel for since `since` (milliseconds).
  void used_gateways(
      std::uint32_t since,
      const std::function<void(std::uint32_t, std::uint32_t)>& use) const;
  // Sum over all CPUs.
  std::uint64_t counter(std::uint32_t index) const;

 private:
  explicit BpfObject(bpf_object* object);
  bpf_object* object_;
  int ingress_ = -1;    // owned by object_
  int next_hops_ = -1;  // owned by object_
  int xsks_ = -1;       // owned by object_
  int counters_ = -1;   // owned by object_
  int hops_ = -1;       // owned by object_
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_BPF_OBJECT_H_
