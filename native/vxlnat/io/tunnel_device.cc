// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Makes the TAP device and its program, and writes to it; see
// tunnel_device.h.

#include "io/tunnel_device.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/checksum.h"
#include "engine/wire.h"
#include "io/offload.h"

namespace vxlnat::io {

namespace {

// Linux 6.17; older headers do not have these.
constexpr unsigned long kTunnelGso = 0x80;  // TUN_F_UDP_TUNNEL_GSO
constexpr std::uint8_t kTunnelIpv4 = 0x20;  // of virtio_net_hdr.gso_type
constexpr auto kTcxIngress =
    static_cast<bpf_attach_type>(46);  // BPF_TCX_INGRESS

// virtio_net_hdr_v1_hash_tunnel (virtio 1.4 section 5.1.6).
struct TunnelHeader {
  VnetHeader plain;
  std::uint16_t buffers;
  std::uint32_t hash_value;
  std::uint16_t hash_report;
  std::uint16_t hash_padding;
  std::uint16_t outer_l4;
  std::uint16_t inner_ip;
};
static_assert(sizeof(TunnelHeader) == 24);

constexpr std::uint8_t kTtl = 64;
constexpr std::size_t kIp = wire::kEthernetSize;
constexpr std::size_t kUdpAt = kIp + wire::ip::kSize;

std::string reason(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

int bpf(bpf_cmd command, bpf_attr* attr) {
  return static_cast<int>(syscall(SYS_bpf, command, attr, sizeof(*attr)));
}

// return bpf_redirect_neigh(interface, NULL, 0, 0)
int load_program(unsigned interface) {
  const auto set = [](unsigned to, std::int32_t value) {
    bpf_insn insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, value};
    insn.dst_reg = to & 0xf;
    return insn;
  };
  const bpf_insn program[] = {
      set(BPF_REG_1, static_cast<std::int32_t>(interface)),
      set(BPF_REG_2, 0),
      set(BPF_REG_3, 0),
      set(BPF_REG_4, 0),
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_neigh},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  bpf_attr attr{};
  attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attr.insns = reinterpret_cast<std::uint64_t>(program);
  attr.insn_cnt = std::size(program);
  attr.license = reinterpret_cast<std::uint64_t>("MPL-2.0");
  attr.expected_attach_type = kTcxIngress;
  return bpf(BPF_PROG_LOAD, &attr);
}

int attach(int program, unsigned interface) {
  bpf_attr attr{};
  attr.link_create.prog_fd = static_cast<std::uint32_t>(program);
  attr.link_create.target_ifindex = interface;
  attr.link_create.attach_type = kTcxIngress;
  return bpf(BPF_LINK_CREATE, &attr);
}

// Brings the device up; without ARP, nothing is to be resolved there.
bool bring_up(ifreq request) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  request.ifr_flags = IFF_UP | IFF_NOARP;
  const bool ok = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  close(fd);
  return ok;
}

}  // namespace

std::unique_ptr<TunnelDevice> TunnelDevice::open(const std::string& interface,
                                                 std::uint16_t port,
                                                 std::string* error) {
  if (interface.empty()) {
    *error = "no underlay interface is configured";
    return nullptr;
  }
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    *error = reason("cannot open /dev/net/tun");
    return nullptr;
  }
  std::unique_ptr<TunnelDevice> self(new TunnelDevice(fd, port));
  ifreq request{};
  std::strcpy(request.ifr_name, "vxlgso%d");
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  int header = sizeof(TunnelHeader);
  if (ioctl(fd, TUNSETIFF, &request) != 0 ||
      ioctl(fd, TUNSETVNETHDRSZ, &header) != 0) {
    *error = reason("cannot create a TAP device");
    return nullptr;
  }
  if (ioctl(fd, TUNSETOFFLOAD,
            TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN | kTunnelGso) != 0) {
    *error = reason("the kernel has no GSO over UDP tunnels (Linux 6.17)");
    return nullptr;
  }
  *error = self->steer(request.ifr_name, interface);
  if (!error->empty()) return nullptr;
  if (!bring_up(request)) {
    *error = reason("cannot bring up a TAP device");
    return nullptr;
  }
  // Its address, which is where its packets go.
  if (ioctl(fd, SIOCGIFHWADDR, &request) != 0) {
    *error = reason("cannot read the address of a TAP device");
    return nullptr;
  }
  std::memcpy(self->outer_.data(), request.ifr_hwaddr.sa_data, 6);
  return self;
}

TunnelDevice::TunnelDevice(int fd, std::uint16_t port) : fd_(fd), port_(port) {
  std::uint8_t* ip = outer_.data() + kIp;
  put16(ip - 2, wire::kTypeIpv4);
  ip[0] = 0x45;
  put16(ip + wire::ip::kFragment, wire::ip::kDontFragment);
  ip[wire::ip::kTtl] = kTtl;
  ip[wire::ip::kProto] = kUdp;
  put16(outer_.data() + kUdpAt, port);
}

TunnelDevice::~TunnelDevice() {
  for (const int each : {link_, program_, fd_}) {
    if (each >= 0) close(each);
  }
}

std::string TunnelDevice::steer(const std::string& name,
                                const std::string& interface) {
  const unsigned to = if_nametoindex(interface.c_str());
  if (to == 0) return reason("no interface " + interface);
  program_ = load_program(to);
  if (program_ < 0) return reason("cannot load a BPF program");
  link_ = attach(program_, if_nametoindex(name.c_str()));
  return link_ < 0 ? reason("cannot attach a BPF program to " + name)
                   : std::string();
}

bool TunnelDevice::send(std::span<const std::uint8_t> bytes, std::size_t ip,
                        const Underlay& to, Offload offload) {
  const std::size_t length = kOuter - kIp + bytes.size();
  TunnelHeader header{};
  header.plain = describe(bytes, ip, offload);
  if (header.plain.kind == 0 || to.src_ip == 0 || length > 65535) {
    return false;
  }
  header.plain.kind |= kTunnelIpv4;
  header.plain.header_length =
      static_cast<std::uint16_t>(header.plain.header_length + kOuter);
  header.plain.checksum_start =
      static_cast<std::uint16_t>(header.plain.checksum_start + kOuter);
  header.outer_l4 = kUdpAt;
  header.inner_ip = static_cast<std::uint16_t>(kOuter + ip);

  std::uint8_t* outer = outer_.data() + kIp;
  outer[wire::ip::kTos] = to.tos;
  put16(outer + wire::ip::kLength, static_cast<std::uint16_t>(length));
  put32(outer + wire::ip::kSrc, to.src_ip);
  put32(outer + wire::ip::kDst, to.dst_ip);
  put16(outer + wire::ip::kChecksum, 0);
  put16(outer + wire::ip::kChecksum, checksum(outer, wire::ip::kSize));
  std::uint8_t* udp = outer_.data() + kUdpAt;
  put16(udp + 2, to.dst_port);
  put16(udp + wire::udp::kLength,
        static_cast<std::uint16_t>(length - wire::ip::kSize));

  const iovec pieces[] = {
      {&header, sizeof(header)},
      {outer_.data(), outer_.size()},
      {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}};
  return writev(fd_, pieces, std::size(pieces)) ==
         static_cast<ssize_t>(sizeof(header) + kOuter + bytes.size());
}

}  // namespace vxlnat::io
