// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What chance does to the engine and its twin; see pair.h. What it sends is in
// pair_packets.cc.

#include "test/twin/pair.h"

namespace vxlnat::test {

namespace {

bool same(const Out& a, const Out& b) {
  if (a.inside != b.inside || a.ip != b.ip) return false;
  if (!a.inside) return true;
  return a.vnet == b.vnet && a.vlan == b.vlan && a.dst_mac == b.dst_mac &&
         a.src_mac == b.src_mac && a.to.dst_ip == b.to.dst_ip &&
         a.to.dst_port == b.to.dst_port;
}

}  // namespace

Pair::Pair(const Mode& mode, std::uint64_t seed)
    : mode_(mode), random_({seed, 5}), w_(mode.config), twin_(mode.config) {
  twin_.chosen_spot = [this](const TwinFlow& f) { return spot_of(f); };
  twin_.chosen_id = [this] {
    return outs_.empty() ? std::uint16_t{0} : Seen(outs_[0].ip).id;
  };
  for (const Prefix& prefix :
       {Prefix{ip4(10, 4, 4, 0), 22}, Prefix{ip4(10, 5, 5, 0), 24},
        Prefix{ip4(10, 6, 6, 0), 24}}) {
    for (Vni v = 1; v <= 3; v++) w_.apply(RemoveRule{v, prefix});
  }
  w_.run(0);
  twin_.run(w_.now);
  for (Vni v = 1; v <= 4; v++) set_rule(v, 22);
}

void Pair::step() {
  step_++;
  const std::uint32_t choice = pick(1000);
  if (choice < 480) {
    send();
  } else if (choice < 800) {
    answer();
  } else if (choice < 880) {
    tell_error();
  } else if (choice < 910) {
    send_pieces();
  } else if (choice < 960) {
    change();
  } else {
    w_.run(one_in(20) ? pick(300000) : pick(3000));
    twin_.run(w_.now);
  }
}

void Pair::compare_flows() {
  std::uint64_t live = 0;
  for (const TwinFlow& f : twin_.flows()) live += Twin::is_live(f);
  CHECK_EQ(w_.list().size(), live);
  for (const FlowInfo& info : w_.list()) {
    const TwinFlow* found = nullptr;
    for (const TwinFlow& f : twin_.flows()) {
      if (f.vnet == info.vnet && f.proto == info.proto &&
          f.inside == info.private_ip && f.remote == info.remote_ip &&
          f.inside_port == info.private_port &&
          f.remote_port == info.remote_port) {
        found = &f;
      }
    }
    CHECK(found != nullptr);
    if (found == nullptr) continue;
    CHECK_EQ(info.public_ip, found->shown);
    CHECK_EQ(info.public_port, found->shown_port);
    CHECK_EQ(info.idle_ms, w_.now - found->seen);
    CHECK_EQ(info.packets_out, found->packets_out);
    CHECK_EQ(info.packets_in, found->packets_in);
  }
}

std::optional<Spot> Pair::spot_of(const TwinFlow& f) {
  FlowFilter filter;
  filter.vnet = f.vnet;
  filter.private_ip = f.inside;
  filter.remote_ip = f.remote;
  for (const FlowInfo& info : w_.list(filter)) {
    if (info.proto == f.proto && info.private_port == f.inside_port &&
        info.remote_port == f.remote_port) {
      return Spot{info.public_ip, info.public_port};
    }
  }
  return std::nullopt;
}

void Pair::set_rule(Vni v, std::uint8_t bits) {
  std::vector<Ip4> pool = mode_.pool(random_, v, bits);
  RuleOptions options = mode_.options(random_, bits);
  options.more_public_ips.assign(pool.begin() + 1, pool.end());
  apply(SetRule{v,
                static_cast<std::uint16_t>(v - 1),
                {bits == 22 ? ip4(10, 4, 4, 0) : ip4(10, 4, 4, 4), bits},
                bits == 22 ? kRouter1 : ip4(10, 4, 4, 4),
                kRouterMac1 + v,
                pool[0],
                std::make_shared<const RuleOptions>(options)});
  for (std::uint32_t h = 0; h < 6; h++) {
    apply(SetRemote{v, host(h), kHostMac + v * 16 + h, node(v), 4789});
  }
}

void Pair::change_flow() {
  const auto flows = w_.list();
  if (flows.empty()) return;
  const FlowInfo& f = one_of(flows);
  apply(RemoveFlow{f.proto, f.public_ip, f.public_port, f.remote_ip,
                   f.remote_port});
}

void Pair::change_limits() {
  if (mode_.limits) {
    Limits limits;
    if (one_in(2)) limits.flows = 5 + pick(60);
    if (one_in(2)) limits.opening = 1 + pick(20);
    if (one_in(2)) limits.per_second = 1 + pick(20);
    apply(SetVnetLimits{1 + pick(4), limits});
  }
  if (!mode_.drains) return;
  const auto pool = mode_.pool(random_, 1 + pick(4), one_in(2) ? 22 : 30);
  apply(SetDrain{one_of(pool), one_in(3)});
}

void Pair::change() {
  const Vni v = 1 + pick(4);
  const Ip4 h = host(pick(6));
  const std::uint8_t bits = one_in(2) ? 22 : 30;
  const Prefix prefix = {bits == 22 ? ip4(10, 4, 4, 0) : ip4(10, 4, 4, 4),
                         bits};
  switch (pick(9)) {
    case 0:
      apply(RemoveRule{v, prefix});
      break;
    case 1:
      set_rule(v, bits);
      break;
    case 2:
      apply(SetOneToOne{v, static_cast<std::uint16_t>(v - 1), h,
                        ip4(3, 3, 3, 3) + pick(5)});
      break;
    case 3:
    case 4:
      apply(RemoveOneToOne{v, h});
      break;
    case 5:
      if (twin_.match(v, h) == nullptr) break;
      apply(SetRemote{v, h, kHostMac + pick(99), node(v), 4789});
      break;
    case 6:
      change_limits();
      break;
    default:
      change_flow();
  }
  w_.take();
}

void Pair::compare(const Bytes& packet, const Want& want, bool is_outbound) {
  bool right = reason_ == want.drop;
  if (want.report && outs_.size() == 1) {
    right = right && same(outs_[0], *want.report);
  } else {
    right = right && outs_.size() == want.outs.size();
    for (std::size_t i = 0; right && i < outs_.size(); i++) {
      right = same(outs_[i], want.outs[i]);
    }
  }
  agreed_ += right;
  if (right) return;
  fail(__FILE__, __LINE__,
       "step " + std::to_string(step_) + (is_outbound ? " out " : " in ") +
           hex(packet) + ": " + reason_ + ", twin: " + want.drop);
  for (const Out& out : outs_) fail("engine", 0, hex(out.ip));
  for (const Out& out : want.outs) fail("twin", 0, hex(out.ip));
}

void Pair::remember(Vni v, bool is_outbound, const Bytes& was) {
  if (outs_.size() != 1 || outs_[0].inside == is_outbound) return;
  Passed passed = {v, is_outbound, was, outs_[0].ip};
  if (passed_.size() < 64) {
    passed_.push_back(passed);
  } else {
    passed_[pick(64)] = passed;
  }
}

}  // namespace vxlnat::test
