// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Operations in any order between packets of both sides: each step is one
// byte that says what, and a few that say which. Addresses come from a small
// set, so that operations meet each other.

#include "fuzz/cloud.h"

using namespace vxlnat;
using namespace vxlnat::fuzz;

namespace {

Ip4 host(Input& in) { return 0x0a040400 + (in.byte() & 15); }
Ip4 address(Input& in) { return 0x03030300 + (in.byte() & 7); }
Vni vnet(Input& in) { return in.byte() & 3; }

Prefix prefix(Input& in) {
  Prefix p;
  p.bits = static_cast<std::uint8_t>(20 + (in.byte() & 12));
  p.address = host(in) & p.mask();
  return p;
}

// Most rules have none, so that inputs from before there were any still mean
// something.
std::shared_ptr<const RuleOptions> options(Input& in) {
  const std::uint8_t what = in.byte();
  if ((what & 0xc0) != 0xc0) return nullptr;
  RuleOptions o;
  o.mapping = static_cast<Mapping>((what & 3) % 3);
  for (int i = what >> 2 & 3; i > 0; i--) {
    o.more_public_ips.push_back(address(in));
  }
  if ((what & 16) != 0) o.exempt.push_back(prefix(in));
  if ((what & 32) != 0) o.block_size = 64;
  const std::uint8_t more = in.byte();
  if ((more & 1) != 0) {
    o.port_low = 1024;
    o.port_high = static_cast<std::uint16_t>(1030 + in.word() % 300);
  }
  if ((more & 2) != 0) o.mss = in.word();
  if ((more & 4) != 0) o.timers = Timers{.udp = in.word()};
  if ((more & 8) != 0) o.host = {in.byte(), in.byte(), in.byte()};
  if ((more & 16) != 0) o.slice = in.byte(), o.slices = in.byte();
  return std::make_shared<const RuleOptions>(o);
}

void configure(Cloud& cloud, std::uint8_t what, Input& in) {
  const Vni v = vnet(in);
  switch (what % 13) {
    case 0:
      (void)cloud.apply(AddUl3{0x0a0a0a01});
      break;
    case 1:
      (void)cloud.apply(RemoveUl3{0x0a0a0a01});
      break;
    case 2: {
      const Prefix p = prefix(in);
      const std::uint8_t vlan = in.byte();
      const Ip4 router = host(in);
      (void)cloud.apply(SetRule{v, vlan, p, router, 0x90b8d0000001, address(in),
                                options(in)});
      break;
    }
    case 3:
      (void)cloud.apply(RemoveRule{v, prefix(in)});
      break;
    case 4:
      (void)cloud.apply(SetOneToOne{v, in.byte(), host(in), address(in)});
      break;
    case 5:
      (void)cloud.apply(RemoveOneToOne{v, host(in)});
      break;
    case 6:
      (void)cloud.apply(SetRemote{v, host(in), in.byte(), 0x0a0a0a09, 4789});
      break;
    case 7:
      (void)cloud.apply(RemoveRemote{v, host(in)});
      break;
    case 8:
      (void)cloud.apply(RemoveRemoteMac{v, in.byte()});
      break;
    case 11:
      (void)cloud.apply(SetVnetLimits{v, {in.byte(), in.byte(), in.byte()}});
      break;
    case 12:
      (void)cloud.apply(SetDrain{address(in), (in.byte() & 1) != 0});
      break;
    case 9:
      (void)cloud.apply(RemoteNotFound{v, host(in), in.word()});
      break;
    default:
      (void)cloud.apply(
          RemoveFlow{in.byte(), address(in), in.word(), 0xc0000201, 53});
  }
}

void send(Cloud& cloud, bool from_inside, Input& in) {
  const std::size_t at = from_inside ? 22 : 0;
  std::vector<std::uint8_t> b(at + 40);
  const std::uint8_t kind = in.byte();
  b[at] = 0x45;
  put16(&b[at + 2], 40);
  put16(&b[at + 6], (kind & 4) != 0 ? static_cast<std::uint16_t>(
                                          (kind & 8) != 0 ? 0x2000 : 3)
                                    : std::uint16_t{0});
  b[at + 8] = static_cast<std::uint8_t>(1 + (kind & 0x10));
  const std::uint8_t protos[] = {kUdp, kTcp, kIcmp, 47};
  b[at + 9] = protos[kind & 3];
  const Ip4 inner = host(in);
  const Ip4 far = (kind & 0x20) != 0 ? address(in) : 0xc0000201;
  put32(&b[at + 12], from_inside ? inner : 0xc0000201);
  put32(&b[at + 16], from_inside ? far : address(in));
  put16(&b[at + 20], static_cast<std::uint16_t>(in.byte() & 3));
  put16(&b[at + 22], 53);
  put16(&b[at + 24], 20);
  b[at + 32] = 0x50;
  b[at + 33] = in.byte();
  if ((kind & 3) == 2) b[at + 20] = 8;
  Cloud::mend(b, at);
  if (from_inside) {
    b[0] = 8;
    b[6] = static_cast<std::uint8_t>(vnet(in));
    put_mac(&b[8], 0x90b8d0000001);
    put_mac(&b[14], 0x90b8d00000aa);
    put16(&b[20], 0x0800);
    cloud.inside(b);
  } else {
    cloud.outside(b);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  Cloud cloud;
  Input in(data, size);
  for (int n = 0; n < 300 && !in.empty(); n++) {
    const std::uint8_t what = in.byte();
    if (what < 96) {
      configure(cloud, what, in);
    } else if (what < 160) {
      send(cloud, true, in);
    } else if (what < 224) {
      send(cloud, false, in);
    } else if (what < 240) {
      cloud.now += std::uint64_t{what & 15u} * 997;
      (void)cloud.engine->sweep(cloud.now, what & 3);
    } else {
      cloud.now += 100000;
      cloud.settle();
    }
  }
  cloud.settle();
  return 0;
}
