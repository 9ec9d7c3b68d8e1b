// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the fuzz targets share: an engine with a small cloud, an outbox that
// aborts when something private leaves or an emitted header is unsound, and a
// reader that takes decisions from the input.

#ifndef VXLNAT_FUZZ_CLOUD_H_
#define VXLNAT_FUZZ_CLOUD_H_

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/checksum.h"
#include "engine/engine.h"
#include "engine/wire.h"

namespace vxlnat::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

// Bytes of the input, one after the other; zeros at the end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : at_(data), end_(data + size) {}
  bool empty() const { return at_ == end_; }
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : *at_++; }
  std::uint16_t word() {
    const std::uint16_t high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  // At most `most` bytes, fewer at the end.
  std::vector<std::uint8_t> bytes(std::size_t most) {
    const auto left = static_cast<std::size_t>(end_ - at_);
    const std::uint8_t* from = at_;
    at_ += most < left ? most : left;
    return {from, at_};
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

// Lays `patch` over what there is from `at` on.
inline void overwrite(std::vector<std::uint8_t>& b, std::size_t at,
                      const std::vector<std::uint8_t>& patch) {
  for (std::size_t i = 0; i < patch.size() && at + i < b.size(); i++) {
    b[at + i] = patch[i];
  }
}

class Cloud : public Outbox {
 public:
  Cloud() {
    EngineConfig config;
    config.max_flows = 64;
    config.max_vnets = 8;
    config.max_rules = 8;
    config.max_one_to_ones = 4;
    config.max_remotes = 8;
    config.max_fragments = 8;
    config.max_held = 8;
    config.max_waiting = 8;
    config.max_port_maps = 1;
    config.inner_mtu = 600;
    config.port_high = 1040;
    config.rst_on_unknown = true;
    config.check_senders = false;
    const char* error = nullptr;
    engine = Engine::create(config, &error);
    require(engine != nullptr);
  }

  // Vnets 1 and 2, one AIP, one known remote.
  void furnish() {
    require(apply(AddUl3{0x0a0a0a01}) == nullptr);
    for (const Vni vnet : {1u, 2u}) {
      require(apply(SetRule{vnet,
                            static_cast<std::uint16_t>(vnet - 1),
                            {0x0a040400, 22},
                            0x0a040401,
                            0x90b8d0000001,
                            0x03030302}) == nullptr);
    }
    require(apply(SetOneToOne{1, 0, 0x0a040405, 0x03030309}) == nullptr);
    require(apply(SetRemote{1, 0x0a040405, 0x90b8d00000aa, 0x0a0a0a09, 4789}) ==
            nullptr);
  }

  const char* apply(const Operation& op) {
    return engine->apply(op, now, *this);
  }

  void inside(const std::vector<std::uint8_t>& bytes) {
    Packet p = load(bytes);
    p.path = {0x0a0a0a01, 0x0a0a0a09, 51000, tos};
    engine->process_underlay(p, now, *this);
  }
  void outside(const std::vector<std::uint8_t>& bytes) {
    Packet p = load(bytes);
    engine->process_external(p, now, *this);
  }

  // An IPv4 packet of vnet 1 in VXLAN and Ethernet, sent to the router.
  static std::vector<std::uint8_t> framed(
      const std::vector<std::uint8_t>& packet) {
    std::vector<std::uint8_t> b(22);
    b[0] = 8;
    b[6] = 1;
    put_mac(&b[8], 0x90b8d0000001);
    put_mac(&b[14], 0x90b8d00000aa);
    put16(&b[20], 0x0800);
    b.insert(b.end(), packet.begin(), packet.end());
    return b;
  }

  // Puts the IPv4 header checksum right, and that of an ICMP message, so that
  // the fuzzer need not guess it.
  static void mend(std::vector<std::uint8_t>& b, std::size_t at) {
    if (b.size() < at + 20) return;
    const std::size_t head = wire::ip::header_size(&b[at]);
    if (head < 20 || b.size() < at + head) return;
    put16(&b[at + 10], 0);
    put16(&b[at + 10], checksum(&b[at], head));
    const std::size_t total = get16(&b[at + 2]);
    if (b[at + 9] != kIcmp || total < head + 8 || b.size() < at + total) return;
    if (total >= head + 28) mend_header(b, at + head + 8, at + total);
    put16(&b[at + head + 2], 0);
    put16(&b[at + head + 2], checksum(&b[at + head], total - head));
  }

  void underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                Offload) override {
    require(bytes.size() >= 22 && to.dst_port != 0);
    const std::size_t at = get16(&bytes[20]) == 0x8100 ? 26 : 22;
    const std::uint16_t type = get16(&bytes[at - 2]);
    require(type == 0x0800 || type == 0x0806);
    if (type == 0x0800) check(bytes.subspan(at));
  }
  void external(std::span<const std::uint8_t> bytes, Offload) override {
    check(bytes);
    const Ip4 src = get32(&bytes[12]);
    require(src == 0x03030302 || src == 0x03030309 || src >> 8 == 0x030303);
  }

  // What must hold whatever came in.
  void settle() {
    for (int i = 0; i < 64 && engine->sweep(now, 16); i++) {
    }
    Miss misses[16];
    while (engine->take_misses(misses) > 0) {
    }
    const Stats& s = engine->stats();
    require(s.flows.read() ==
            s.flows_created.read() + revived(s) - s.flows_expired.read());
    FlowInfo flows[64];
    const FlowPage page = engine->list_flows({}, flows, 0, now);
    for (std::size_t i = 0; i < page.count; i++) {
      for (std::size_t j = 0; j < i; j++) require(!same(flows[i], flows[j]));
    }
  }

  Tick now = 1000;
  std::uint8_t tos = 0;
  std::unique_ptr<Engine> engine;

 private:
  static std::uint64_t revived(const Stats& s) {
    return s.flows_revived.read();
  }

  static bool same(const FlowInfo& a, const FlowInfo& b) {
    return a.proto == b.proto && a.public_ip == b.public_ip &&
           a.public_port == b.public_port && a.remote_ip == b.remote_ip &&
           a.remote_port == b.remote_port;
  }

  static void mend_header(std::vector<std::uint8_t>& b, std::size_t at,
                          std::size_t end) {
    const std::size_t head = wire::ip::header_size(&b[at]);
    if (head < 20 || at + head > end) return;
    put16(&b[at + 10], 0);
    put16(&b[at + 10], checksum(&b[at], head));
  }

  static void check(std::span<const std::uint8_t> ip) {
    require(ip.size() >= 20 && ip[0] >> 4 == 4);
    const std::size_t head = wire::ip::header_size(ip.data());
    require(head >= 20 && head <= ip.size() && get16(&ip[2]) == ip.size());
    require(checksum(ip.data(), head) == 0);
  }

  // Memory that ends where the packet ends.
  Packet load(const std::vector<std::uint8_t>& bytes) {
    buffer_ = std::make_unique<std::uint8_t[]>(kHeadroom + bytes.size());
    if (!bytes.empty()) {
      std::memcpy(buffer_.get() + kHeadroom, bytes.data(), bytes.size());
    }
    Packet p;
    p.data = buffer_.get() + kHeadroom;
    p.length = bytes.size();
    return p;
  }

  std::unique_ptr<std::uint8_t[]> buffer_;
};

}  // namespace vxlnat::fuzz

#endif  // VXLNAT_FUZZ_CLOUD_H_
