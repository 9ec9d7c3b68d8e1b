// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The fast path against the engine, by chance. The environment sets STEPS and
// SEED. Where the kernel does not let us run programs, it is said and nothing
// is tested.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "test/fastpath/traffic.h"
#include "test/fastpath/twins.h"

namespace vxlnat::test {

namespace {

EngineConfig config() {
  EngineConfig c;
  c.max_flows = 256;
  c.max_remotes = 64;
  c.max_rules = 32;
  c.max_vnets = 16;
  c.max_one_to_ones = 32;
  c.max_fragments = 16;
  c.max_held = 16;
  c.port_low = 2000;
  c.port_high = 2040;
  c.rows = 1 + static_cast<std::uint32_t>(sysconf(_SC_NPROCESSORS_CONF));
  c.seed[0] = 7;
  return c;
}

class Chance {
 public:
  Chance(Kernel& kernel, std::uint64_t seed, std::uint16_t vlan)
      : t_(seed, vlan), w_(kernel, config()) {
    w_.apply(AddUl3{Traffic::kZone});
    for (Vni v = 1; v <= Traffic::kVnets; v++) {
      set_rule(v);
      for (std::uint32_t h = 0; h < Traffic::kHosts; h++) set_remote(v, h);
    }
  }

  void step() {
    if (t_.once_in(40)) change();
    if (t_.once_in(64)) list();
    const bool out = t_.pick(100) < 60;
    Bytes frame = out ? t_.from_inside() : t_.from_outside(flows_);
    t_.damage(&frame);
    const std::uint32_t port = out ? Kernel::kUnderlay : Kernel::kExternal;
    for (std::uint32_t n = t_.once_in(3) ? 2 : 1; n > 0; n--) {
      if (!w_.frame(frame, port)) continue;
      forwarded_[out ? 1 : 0]++;
      if (out && get16(&frame[14 + 20 + 6]) != 0) summed_++;
    }
  }

  std::uint64_t forwarded(bool out) const { return forwarded_[out ? 1 : 0]; }
  // Of those out, with a checksum of the tunnel.
  std::uint64_t summed() const { return summed_; }

 private:
  void list() {
    flows_.resize(64);
    flows_.resize(w_.engine->list_flows({}, flows_, 0, Twins::now()).count);
  }

  void set_rule(Vni v) {
    const Prefix prefix = t_.once_in(4) ? Prefix{ip4(10, 4, 4, 0), 24}
                                        : Prefix{ip4(10, 4, 4, 0), 22};
    w_.apply(SetRule{v, static_cast<std::uint16_t>(v == 3 ? 0 : v), prefix,
                     Traffic::kRouter, Traffic::router_mac(v),
                     Traffic::kPublic + 1 + t_.pick(3), options()});
  }
  std::shared_ptr<const RuleOptions> options() {
    if (t_.once_in(3)) return nullptr;
    RuleOptions o;
    // Not often deterministic: it shares its address with nobody.
    o.mapping = static_cast<Mapping>(t_.once_in(8) ? 2 : t_.pick(2));
    for (Ip4 n = t_.pick(3); n > 0; n--) {
      o.more_public_ips.push_back(Traffic::kPublic + 3 + n);
    }
    if (o.mapping == Mapping::kDeterministic || t_.once_in(3)) {
      o.port_low = 3000;
      o.port_high = 5100;
    }
    if (t_.once_in(3)) o.exempt.push_back({ip4(192, 0, 2, 3), 32});
    if (t_.once_in(3)) o.mss = static_cast<std::uint16_t>(536 + t_.pick(900));
    if (t_.once_in(3)) {
      o.timers = Timers{.tcp_established = 20'000, .udp = 5000, .icmp = 2000};
    }
    if (t_.once_in(4)) o.host.flows = 4 + t_.pick(20);
    if (o.port_low != 0 && o.mapping != Mapping::kDeterministic &&
        t_.once_in(2)) {
      o.block_size = 64;
    }
    return std::make_shared<const RuleOptions>(o);
  }
  void set_remote(Vni v, std::uint32_t h) {
    w_.apply(SetRemote{v, Traffic::host(h), Traffic::host_mac(v),
                       Traffic::node(v), 4789});
  }

  void change() {
    const Vni v = 1 + t_.pick(Traffic::kVnets);
    const std::uint32_t h = t_.pick(Traffic::kHosts);
    switch (t_.pick(14)) {
      case 0:
        w_.apply(RemoveRule{v,
                            {ip4(10, 4, 4, 0),
                             static_cast<std::uint8_t>(t_.pick(2) * 2 + 22)}});
        break;
      case 1:
      case 2:
        return set_rule(v);
      case 3:
      case 4:
        w_.apply(SetOneToOne{v, static_cast<std::uint16_t>(t_.pick(3)),
                             Traffic::host(h), t_.any_public()});
        break;
      case 5:
        w_.apply(RemoveOneToOne{v, Traffic::host(h)});
        break;
      case 6:
        w_.apply(RemoveRemote{v, Traffic::host(h)});
        break;
      case 7:
        w_.pass_time(t_.pick(t_.once_in(4) ? 8000000 : 70000));
        break;
      case 8:
        w_.sweep();
        break;
      case 9:
        return watch();
      case 10:
        w_.apply(SetDrain{Traffic::kPublic + 1 + t_.pick(6), t_.once_in(3)});
        break;
      case 11:
        return w_.shorten(Traffic::node(v), 1200);
      default:
        return set_remote(v, h);
    }
  }

  void watch() {
    w_.tables().flows.flows[t_.pick(256)].flags ^= VXLNAT_FLOW_WATCHED;
    w_.tables().one_to_ones.entries[t_.pick(32)].flags ^= VXLNAT_FLOW_WATCHED;
  }

  Traffic t_;
  Twins w_;
  std::vector<FlowInfo> flows_;
  std::uint64_t forwarded_[2] = {};
  std::uint64_t summed_ = 0;
};

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void drive(std::uint16_t vlan) {
  std::string error;
  // bpf/build leaves an empty file where there is no clang.
  if (std::filesystem::file_size(VXLNAT_BPF_OBJECT) == 0) {
    std::cout << "# SKIPPED, nothing was tested: no clang that knows BPF\n";
    return;
  }
  const auto kernel =
      Kernel::open(Engine::shared_bytes(config()), vlan, &error);
  if (kernel == nullptr) {
    std::cout << "# SKIPPED, nothing was tested: " << error << "\n";
    return;
  }
  Chance chance(*kernel, setting("SEED", 1), vlan);
  error = kernel->load(VXLNAT_BPF_OBJECT);
  CHECK_EQ(error, "");
  if (!error.empty()) return;
  const std::uint64_t steps = setting("STEPS", 30000);
  for (std::uint64_t i = 0; i < steps && failures() < 5; i++) chance.step();
  std::cout << "# of " << steps << " frames it forwarded "
            << chance.forwarded(true) << " out and " << chance.forwarded(false)
            << " in; to the engine went";
#define X(id, name, sentence) \
  std::cout << " " #name " " << kernel->counter(VXLNAT_UP_##id);
#include "bpf/up.def"
#undef X
  std::cout << "\n";
  // A program that forwards nothing is always right.
  CHECK(chance.forwarded(true) > steps / 40);
  CHECK(chance.forwarded(false) > steps / 40);
  CHECK(chance.summed() > steps / 120);
}

}  // namespace

TEST("fast path: what it forwards is what the engine would have sent") {
  drive(0);
}

TEST("fast path: the same with a tag on the external side") { drive(7); }

}  // namespace vxlnat::test
