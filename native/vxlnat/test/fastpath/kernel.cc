// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// See kernel.h.

#include "test/fastpath/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace vxlnat::test {

namespace {

constexpr std::uint32_t kElement = 64;

// 192.168.9.0/24 is the underlay, 203.0.113.0/24 the way to the Internet; to
// half of that, and to one node, there are two equal paths.
// 198.51.100.0/24 has no neighbour and 198.18.0.0/15 no route.
const char* const kSetup =
    "set -e\n"
    "ip link set lo up\n"
    "ip link add u0 address 02:00:00:00:09:06 type veth peer name u1\n"
    "ip link add e0 address 02:00:00:00:0e:06 type veth peer name e1\n"
    "for i in u0 u1 e0 e1; do ip link set $i up; done\n"
    "ip link set u0 mtu 1600\n"
    "sysctl -qw net.ipv4.conf.lo.forwarding=1\n"
    "ip addr add 192.168.9.6/24 dev u0\n"
    "ip addr add 203.0.113.6/24 dev e0\n"
    "ip addr add 198.51.100.1/24 dev e0\n"
    "sysctl -qw net.ipv4.fib_multipath_hash_policy=1\n"
    "ip route add 0.0.0.0/1 via 203.0.113.1\n"
    "ip route add 128.0.0.0/1 nexthop via 203.0.113.1"
    " nexthop via 203.0.113.2\n"
    "ip route add 192.168.9.2/32 nexthop via 192.168.9.3"
    " nexthop via 192.168.9.4\n"
    "ip route add unreachable 198.18.0.0/15\n"
    "for n in 1 2; do\n"
    "  ip neigh add 203.0.113.$n lladdr 02:00:00:00:0e:0$n dev e0\n"
    "done\n"
    "for n in 1 2 3 4 5; do\n"
    "  ip neigh add 192.168.9.$n lladdr 02:00:00:00:09:0$n dev u0\n"
    "done\n";

std::string why(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

int quiet(libbpf_print_level level, const char* format, va_list args) {
  return level == LIBBPF_WARN && std::getenv("VERBOSE") != nullptr
             ? std::vfprintf(stderr, format, args)
             : 0;
}

}  // namespace

std::unique_ptr<Kernel> Kernel::open(std::size_t bytes, std::uint16_t vlan,
                                     std::string* error) {
  libbpf_set_print(quiet);
  auto kernel = std::unique_ptr<Kernel>(new Kernel());
  kernel->vlan_ = vlan;
  if (unshare(CLONE_NEWNET) != 0) {
    *error = why("no network namespace");
    return nullptr;
  }
  if (std::system(kSetup) != 0) {
    *error = "the interfaces cannot be made";
    return nullptr;
  }
  const std::size_t size = (bytes + 4095) / 4096 * 4096;
  bpf_map_create_opts options{};
  options.sz = sizeof options;
  options.map_flags = BPF_F_MMAPABLE;
  kernel->map_ =
      bpf_map_create(BPF_MAP_TYPE_ARRAY, "tables", 4, kElement,
                     static_cast<std::uint32_t>(size / kElement), &options);
  if (kernel->map_ < 0) {
    *error = why("no BPF map");
    return nullptr;
  }
  void* at =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, kernel->map_, 0);
  if (at == MAP_FAILED) {
    *error = why("the map cannot be mapped");
    return nullptr;
  }
  kernel->memory_ = {static_cast<std::uint8_t*>(at), size};
  return kernel;
}

Kernel::~Kernel() {
  bpf_object__close(object_);
  if (!memory_.empty()) munmap(memory_.data(), memory_.size());
  if (map_ >= 0) close(map_);
}

std::string Kernel::load(const std::string& path,
                         std::span<const std::uint8_t> shot) {
  object_ = bpf_object__open_file(path.c_str(), nullptr);
  if (object_ == nullptr) return why("cannot open " + path);
  vxlnat_settings settings{};
  std::memcpy(&settings.layout, memory_.data(), sizeof settings.layout);
  settings.flags = VXLNAT_FAST;
  settings.from_ifindex = if_nametoindex("lo");
  settings.port_count = 2;
  ifindex_[0] = if_nametoindex("u0");
  ifindex_[1] = if_nametoindex("e0");
  settings.ports[0] = {ifindex_[0], ifindex_[0], 0, VXLNAT_UNDERLAY};
  settings.ports[1] = {ifindex_[1], ifindex_[1], vlan_, VXLNAT_EXTERNAL};
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_) {
    const std::string name = bpf_map__name(map);
    int bad = 0;
    if (name == "tables") bad = bpf_map__reuse_fd(map, map_);
    if (name == ".rodata.settings") {
      bad = bpf_map__set_initial_value(map, &settings, sizeof settings);
    }
    if (name == ".rodata.shot") {
      bad = bpf_map__set_initial_value(map, shot.data(), shot.size());
    }
    if (bad != 0) return "the program does not take " + name;
  }
  if (bpf_object__load(object_) != 0) return why("the program is refused");
  program_ =
      bpf_program__fd(bpf_object__find_program_by_name(object_, "ingress"));
  next_hops_ =
      bpf_program__fd(bpf_object__find_program_by_name(object_, "next_hops"));
  counters_ = bpf_object__find_map_fd_by_name(object_, "counters");
  // Running a program as if on an interface needs its queues set up for it.
  for (const std::uint32_t ifindex : ifindex_) {
    if (bpf_xdp_attach(static_cast<int>(ifindex), program_, XDP_FLAGS_DRV_MODE,
                       nullptr) != 0) {
      return why("the program cannot be attached");
    }
  }
  return "";
}

Run Kernel::run(const Bytes& frame, std::uint32_t port) {
  return run(program_, frame, port, 1, nullptr);
}

std::uint32_t Kernel::time(const char* program, const Bytes& frame,
                           std::uint32_t port, int repeat) {
  std::uint32_t nanoseconds = 0;
  run(bpf_program__fd(bpf_object__find_program_by_name(object_, program)),
      frame, port, repeat, &nanoseconds);
  return nanoseconds;
}

Run Kernel::run(int program, const Bytes& frame, std::uint32_t port, int repeat,
                std::uint32_t* nanoseconds) {
  Run result;
  result.frame.resize(frame.size() + 256);
  xdp_md context{};
  context.data_end = static_cast<std::uint32_t>(frame.size());
  context.ingress_ifindex = ifindex_[port];
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = result.frame.data();
  options.data_size_out = static_cast<std::uint32_t>(result.frame.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  options.repeat = repeat;
  if (bpf_prog_test_run_opts(program, &options) != 0) {
    fail(__FILE__, __LINE__, why("the kernel did not run the program"));
    return {};
  }
  if (nanoseconds != nullptr) *nanoseconds = options.duration;
  result.action = static_cast<int>(options.retval);
  result.frame.resize(options.data_size_out);
  return result;
}

std::uint64_t Kernel::counter(std::uint32_t index) const {
  std::uint64_t rows[256] = {};
  if (bpf_map_lookup_elem(counters_, &index, rows) != 0) return 0;
  std::uint64_t sum = 0;
  for (const std::uint64_t row : rows) sum += row;
  return sum;
}

bool Kernel::next_hops(std::span<vxlnat_next_hop> questions) const {
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = questions.data();
  options.data_size_in = static_cast<std::uint32_t>(questions.size_bytes());
  options.data_out = questions.data();
  options.data_size_out = options.data_size_in;
  return bpf_prog_test_run_opts(next_hops_, &options) == 0;
}

}  // namespace vxlnat::test
