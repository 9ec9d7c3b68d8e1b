// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Loading, attaching and asking through libbpf; see bpf_object.h.

#include "io/bpf_object.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "io/bpf_bytes.h"

namespace vxlnat::io {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

int Fd::release() { return std::exchange(fd_, -1); }

TablesMap::~TablesMap() { munmap(memory_.data(), memory_.size()); }

}  // namespace vxlnat::io

#if VXLNAT_LIBBPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

namespace vxlnat::io {

namespace {

constexpr std::size_t kElement = 64;

std::string reason(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

std::span<std::uint8_t> map_memory(int fd, std::size_t bytes, int protection) {
  void* at = mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return {};
  return {static_cast<std::uint8_t*>(at), bytes};
}

std::size_t whole_pages(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

// libbpf's own words are for developers; errors here say what matters.
int quiet(libbpf_print_level, const char*, va_list) { return 0; }

int map_fd(const bpf_object* object, const char* name) {
  const bpf_map* map = bpf_object__find_map_by_name(object, name);
  return map == nullptr ? -1 : bpf_map__fd(map);
}

int program_fd(const bpf_object* object, const char* name) {
  const bpf_program* program = bpf_object__find_program_by_name(object, name);
  return program == nullptr ? -1 : bpf_program__fd(program);
}

std::string prepare(bpf_object* object, const vxlnat_settings& settings,
                    const TablesMap& tables) {
  bpf_map* map = nullptr;
  bool told = false;
  bpf_object__for_each_map(map, object) {
    const std::string name = bpf_map__name(map);
    if (name == "tables" && bpf_map__reuse_fd(map, tables.fd()) != 0) {
      return reason("cannot give the tables to the XDP program");
    }
    if (name == ".rodata.settings") {
      told = bpf_map__set_initial_value(map, &settings, sizeof(settings)) == 0;
    }
  }
  return told ? "" : "the XDP program has no settings";
}

bool is_native(std::uint32_t ifindex) {
  bpf_xdp_query_opts query{};
  query.sz = sizeof(query);
  return bpf_xdp_query(static_cast<int>(ifindex), 0, &query) == 0 &&
         query.attach_mode == XDP_ATTACHED_DRV;
}

// The link pinned at `pin`, when it is one of this interface.
Fd open_link(const std::string& pin, std::uint32_t ifindex) {
  Fd fd(bpf_obj_get(pin.c_str()));
  if (!fd.open()) return {};
  bpf_link_info info{};
  std::uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 ||
      info.type != BPF_LINK_TYPE_XDP || info.xdp.ifindex != ifindex) {
    return {};
  }
  return fd;
}

Fd make_link(int program, std::uint32_t ifindex, std::uint32_t mode) {
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.flags = mode;
  return Fd(
      bpf_link_create(program, static_cast<int>(ifindex), BPF_XDP, &options));
}

}  // namespace

std::unique_ptr<TablesMap> TablesMap::create(std::size_t bytes,
                                             std::string* error) {
  if (bpf_bytes().empty()) {
    *error = "the XDP program was not compiled: the build had no clang";
    return nullptr;
  }
  // Whole pages, because a mapping of part of one is refused.
  const std::size_t size = whole_pages(bytes);
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = BPF_F_MMAPABLE;
  Fd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "vxlnat_tables", 4, kElement,
                       static_cast<std::uint32_t>(size / kElement), &options));
  if (!fd.open()) {
    *error = reason("cannot make a BPF map for the tables");
    return nullptr;
  }
  const auto memory = map_memory(fd.get(), size, PROT_READ | PROT_WRITE);
  if (memory.empty()) {
    *error = reason("cannot map the tables");
    return nullptr;
  }
  return std::unique_ptr<TablesMap>(new TablesMap(std::move(fd), memory));
}

std::unique_ptr<TablesMap> TablesMap::open(const std::string& pin,
                                           std::string* error) {
  Fd fd(bpf_obj_get(pin.c_str()));
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (!fd.open() || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 ||
      info.type != BPF_MAP_TYPE_ARRAY || info.value_size != kElement) {
    *error = reason("no tables are pinned at " + pin);
    return nullptr;
  }
  const std::size_t bytes = std::size_t{info.max_entries} * kElement;
  const auto memory = map_memory(fd.get(), bytes, PROT_READ);
  if (memory.empty()) {
    *error = reason("cannot map the tables pinned at " + pin);
    return nullptr;
  }
  return std::unique_ptr<TablesMap>(new TablesMap(std::move(fd), memory));
}

std::string TablesMap::pin(const std::string& path) const {
  if (bpf_obj_pin(fd(), path.c_str()) == 0) return "";
  return reason("cannot pin " + path);
}

std::unique_ptr<BpfObject> BpfObject::load(const vxlnat_settings& settings,
                                           const TablesMap& tables,
                                           std::string* error) {
  libbpf_set_print(quiet);
  bpf_object_open_opts options{};
  options.sz = sizeof(options);
  options.object_name = "vxlnat";
  bpf_object* object =
      bpf_object__open_mem(bpf_bytes().data(), bpf_bytes().size(), &options);
  if (object == nullptr) {
    *error = reason("the XDP program is not readable");
    return nullptr;
  }
  std::unique_ptr<BpfObject> self(new BpfObject(object));
  *error = prepare(object, settings, tables);
  if (!error->empty()) return nullptr;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    bpf_program__set_type(program, BPF_PROG_TYPE_XDP);
    // Only where it must be: kernels before 5.18 do not know it.
    if ((settings.flags & VXLNAT_JUMBO) != 0) {
      bpf_program__set_flags(program, BPF_F_XDP_HAS_FRAGS);
    }
  }
  if (bpf_object__load(object) != 0) {
    *error = reason("the kernel refused the XDP program");
    return nullptr;
  }
  self->ingress_ = program_fd(object, "ingress");
  self->next_hops_ = program_fd(object, "next_hops");
  self->xsks_ = map_fd(object, "xsks");
  self->counters_ = map_fd(object, "counters");
  self->hops_ = map_fd(object, "hops");
  return self;
}

BpfObject::BpfObject(bpf_object* object) : object_(object) {}

BpfObject::~BpfObject() { bpf_object__close(object_); }

std::string BpfObject::attach(std::uint32_t ifindex, const std::string& pin,
                              XdpLink* link) const {
  if (!pin.empty()) {
    link->fd = open_link(pin, ifindex);
    if (link->fd.open() &&
        bpf_link_update(link->fd.get(), ingress_, nullptr) == 0) {
      link->native = is_native(ifindex);
      return "";
    }
    // Of an interface that is gone, or not a link at all.
    link->fd = Fd();
    unlink(pin.c_str());
  }
  link->fd = make_link(ingress_, ifindex, XDP_FLAGS_DRV_MODE);
  if (!link->fd.open() && errno != EBUSY && errno != EEXIST) {
    link->fd = make_link(ingress_, ifindex, XDP_FLAGS_SKB_MODE);
  }
  if (!link->fd.open()) {
    return errno == EBUSY || errno == EEXIST
               ? "another XDP program is attached"
               : reason("cannot attach an XDP program");
  }
  link->native = is_native(ifindex);
  if (!pin.empty() && bpf_obj_pin(link->fd.get(), pin.c_str()) != 0) {
    return reason("cannot pin " + pin);
  }
  return "";
}

std::string BpfObject::serve(std::uint32_t index, int socket) const {
  if (bpf_map_update_elem(xsks_, &index, &socket, BPF_ANY) == 0) return "";
  return reason("cannot steer packets to an AF_XDP socket");
}

bool BpfObject::next_hops(std::span<vxlnat_next_hop> questions) const {
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = questions.data();
  options.data_size_in = static_cast<std::uint32_t>(questions.size_bytes());
  options.data_out = questions.data();
  options.data_size_out = options.data_size_in;
  options.repeat = 1;
  return bpf_prog_test_run_opts(next_hops_, &options) == 0;
}

void BpfObject::used_gateways(
    std::uint32_t since,
    const std::function<void(std::uint32_t, std::uint32_t)>& use) const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return;
  std::vector<vxlnat_hop> rows(static_cast<std::size_t>(cpus));
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; bpf_map_lookup_elem(hops_, &i, rows.data()) == 0;
       i++) {
    for (const vxlnat_hop& hop : rows) {
      const bool late = static_cast<std::int32_t>(hop.asked - since) >= 0;
      if (hop.ifindex == 0 || !late || hop.gateway == last) continue;
      use(hop.l3_ifindex, hop.gateway);
      last = hop.gateway;
    }
  }
}

std::uint64_t BpfObject::counter(std::uint32_t index) const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return 0;
  std::vector<std::uint64_t> rows(static_cast<std::size_t>(cpus));
  if (bpf_map_lookup_elem(counters_, &index, rows.data()) != 0) return 0;
  std::uint64_t sum = 0;
  for (const std::uint64_t row : rows) sum += row;
  return sum;
}

}  // namespace vxlnat::io

#else

namespace vxlnat::io {

namespace {
constexpr const char* kNone = "this build has no libbpf";
}  // namespace

std::unique_ptr<TablesMap> TablesMap::create(std::size_t, std::string* error) {
  *error = kNone;
  return nullptr;
}
std::unique_ptr<TablesMap> TablesMap::open(const std::string&,
                                           std::string* error) {
  *error = kNone;
  return nullptr;
}
std::string TablesMap::pin(const std::string&) const { return kNone; }

std::unique_ptr<BpfObject> BpfObject::load(const vxlnat_settings&,
                                           const TablesMap&,
                                           std::string* error) {
  *error = kNone;
  return nullptr;
}
BpfObject::BpfObject(bpf_object* object) : object_(object) {}
BpfObject::~BpfObject() = default;
std::string BpfObject::attach(std::uint32_t, const std::string&,
                              XdpLink*) const {
  return kNone;
}
std::string BpfObject::serve(std::uint32_t, int) const { return kNone; }
bool BpfObject::next_hops(std::span<vxlnat_next_hop>) const { return false; }
void BpfObject::used_gateways(
    std::uint32_t,
    const std::function<void(std::uint32_t, std::uint32_t)>&) const {}
std::uint64_t BpfObject::counter(std::uint32_t) const { return 0; }

}  // namespace vxlnat::io

#endif
