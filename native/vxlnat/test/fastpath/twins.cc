// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// See twins.h.

#include "test/fastpath/twins.h"

#include <linux/bpf.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "engine/checksum.h"
#include "engine/wire.h"
#include "io/frame.h"
#include "test/build.h"

namespace vxlnat::test {

namespace {

// The numbers that the program knows are the engine's.
constexpr auto number(auto value) { return static_cast<unsigned>(value); }
static_assert(VXLNAT_RULE_LIVE == number(RuleState::kLive));
static_assert(VXLNAT_NO_RULE == kNoSlot);
static_assert(VXLNAT_REMOTE_KNOWN == number(RemoteState::kKnown));
static_assert(VXLNAT_STATE_UDP == number(FlowState::kUdpFlow));
static_assert(VXLNAT_STATE_ICMP == number(FlowState::kIcmpFlow));
static_assert(VXLNAT_STATE_ESTABLISHED == number(FlowState::kTcpEstablished));
static_assert(VXLNAT_STATE_FIN_OUT == number(FlowState::kTcpFinOut));
static_assert(VXLNAT_STATE_FIN_IN == number(FlowState::kTcpFinIn));
static_assert(VXLNAT_TIMER_ESTABLISHED == number(TimerClass::kEstablished));
static_assert(VXLNAT_TIMER_UDP == number(TimerClass::kUdpFlow));
static_assert(VXLNAT_TIMER_ICMP == number(TimerClass::kIcmpFlow));

std::uint8_t* lay_out(Kernel& kernel, const EngineConfig& config,
                      std::unique_ptr<Engine>* engine) {
  const char* error = nullptr;
  *engine = Engine::create(config, &error, kernel.tables());
  if (*engine == nullptr) fail(__FILE__, __LINE__, error);
  return kernel.tables().data();
}

}  // namespace

Twins::Twins(Kernel& kernel, const EngineConfig& config)
    : kernel_(kernel),
      config_(config),
      tables_(lay_out(kernel, config, &engine)),
      bytes_(tables_.layout->bytes),
      before_(bytes_),
      hops_([&kernel](auto questions) { return kernel.next_hops(questions); },
            [](std::uint32_t, std::uint32_t) {}) {}

Tick Twins::now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return static_cast<Tick>(t.tv_sec) * 1000 +
         static_cast<Tick>(t.tv_nsec) / 1000000;
}

void Twins::pass_time(std::uint32_t ms) {
  for (std::uint32_t i = 0; i < config_.max_flows; i++) {
    vxlnat_flow& flow = tables_.flows.flows[i];
    if (flow.state != 0) flow.last_seen -= ms;
  }
}

void Twins::shorten(Ip4 node, std::uint16_t mtu) {
  Bytes quote = make_ip(tables_.layout->ul3s[0], node, kUdp, Bytes(8));
  put16(&quote[2], 0xffff);
  put16(&quote[20], config_.vxlan_port);
  const Bytes message = make_icmp(node, node, 3, 4, mtu, quote);
  (void)engine->process_report(message, now());
}

bool Twins::frame(const Bytes& bytes, std::uint32_t port) {
  std::uint8_t* const memory = kernel_.tables().data();
  Run run;
  Tick at = 0;
  // Both must read one time; a tick lasts thousands of runs.
  do {
    std::memcpy(before_.data(), memory, bytes_);
    at = now();
    run = kernel_.run(bytes, port);
    if (at == now()) break;
    std::memcpy(memory, before_.data(), bytes_);
  } while (true);
  sent_.clear();
  if (run.action == XDP_PASS) {
    CHECK(std::memcmp(memory, before_.data(), bytes_) == 0);
    CHECK(run.frame == bytes);
    give_engine(bytes, port, at);
    return false;
  }
  CHECK_EQ(run.action, static_cast<int>(XDP_REDIRECT));
  const Bytes after(memory, memory + bytes_);
  std::memcpy(memory, before_.data(), bytes_);
  give_engine(trusted(bytes, port), port, at);
  compare(run, bytes);
  compare_tables(after);
  return true;
}

void Twins::compare(const Run& run, const Bytes& frame) {
  CHECK_EQ(sent_.size(), 1u);
  if (sent_.size() == 1 && sent_[0].frame != run.frame) {
    fail(__FILE__, __LINE__,
         "from " + hex(frame) + "\n#     the program made " + hex(run.frame) +
             "\n#     the engine made  " + hex(sent_[0].frame));
  }
}

// The hints where hosts are, which either may mend when it looks.
void Twins::forgive(const Bytes& programs) {
  const vxlnat_layout& l = *tables_.layout;
  const auto copy = [&](std::uint64_t at) {
    std::memcpy(kernel_.tables().data() + at, programs.data() + at,
                sizeof vxlnat_flow::host);
  };
  for (std::uint64_t i = 0; i < l.flows.count; i++) {
    copy(l.flows.offset + i * 64 + offsetof(vxlnat_flow, host));
  }
  for (std::uint64_t i = 0; i < l.one_to_ones.count; i++) {
    copy(l.one_to_ones.offset + i * 64 + offsetof(vxlnat_one_to_one, host));
  }
}

// The program counts in a row of its own.
void Twins::compare_tables(const Bytes& after) {
  forgive(after);
  Bytes engines(kernel_.tables().begin(),
                kernel_.tables().begin() + static_cast<std::ptrdiff_t>(bytes_));
  Bytes programs = after;
  for (const vxlnat_region* region :
       {&tables_.layout->vnet_counts, &tables_.layout->public_counts}) {
    const std::size_t row = region->count / config_.rows;
    for (Bytes* each : {&engines, &programs}) {
      auto* counts =
          reinterpret_cast<std::uint64_t*>(each->data() + region->offset);
      for (std::size_t r = 1; r < config_.rows; r++) {
        for (std::size_t i = 0; i < row * 4; i++) {
          counts[i] += counts[r * row * 4 + i];
          counts[r * row * 4 + i] = 0;
        }
      }
    }
  }
  if (engines == programs) return;
  const auto at = static_cast<std::size_t>(
      std::mismatch(engines.begin(), engines.end(), programs.begin()).first -
      engines.begin());
  const vxlnat_layout& l = *tables_.layout;
  const char* name = at >= l.public_counts.offset        ? "public counts"
                     : at >= l.vnet_counts.offset        ? "vnet counts"
                     : at >= l.ip_ids.offset             ? "IP identifiers"
                     : at >= l.remote_buckets.offset     ? "remotes"
                     : at >= l.one_to_one_buckets.offset ? "1:1 entries"
                     : at >= l.rules.offset              ? "rules"
                     : at >= l.flows.offset              ? "flows"
                                                         : "buckets";
  fail(__FILE__, __LINE__,
       std::string("the tables differ in ") + name + " at byte " +
           std::to_string(at % 64) + " of 64");
}

// The program believes the inner checksum where it checks the outer one, so a
// payload that is broken in a way that both would tell is the receiver's to
// find. The engine, which looks at the bytes, is then told not to.
Bytes Twins::trusted(const Bytes& bytes, std::uint32_t port) {
  Bytes copy = bytes;
  Packet packet;
  if (read(copy, port, &packet) != io::FrameKind::kBadChecksum) return bytes;
  constexpr std::size_t kIp = wire::kEthernetSize;
  constexpr std::size_t kUdp = kIp + wire::ip::kSize;
  copy = bytes;
  put16(&copy[kUdp + wire::udp::kChecksum], 0);
  CHECK(read(copy, port, &packet) == io::FrameKind::kUnderlay);
  const std::size_t tag = get16(packet.data + 8 + 12) == wire::kTypeTag ? 4 : 0;
  const std::uint8_t* ip = packet.data + 8 + wire::kEthernetSize + tag;
  const std::size_t length = get16(ip + wire::ip::kLength) - wire::ip::kSize;
  const std::uint8_t proto = ip[wire::ip::kProto];
  const std::uint64_t pseudo =
      proto == kIcmp ? 0
                     : pseudo_sum(get32(ip + wire::ip::kSrc),
                                  get32(ip + wire::ip::kDst), proto, length);
  CHECK(checksum(ip + wire::ip::kSize, length, pseudo) != 0);
  return copy;
}

io::FrameKind Twins::read(std::span<std::uint8_t> frame, std::uint32_t port,
                          Packet* packet) {
  const io::FrameRules rules = {.underlay = port == Kernel::kUnderlay,
                                .external = port == Kernel::kExternal,
                                .vlan = kernel_.vlan(port),
                                .vxlan_port = config_.vxlan_port};
  return io::read_frame(frame.data(), frame.size(), rules, packet);
}

void Twins::give_engine(const Bytes& bytes, std::uint32_t port, Tick at) {
  // The engine may grow a packet to the front.
  Bytes buffer(kHeadroom);
  buffer.insert(buffer.end(), bytes.begin(), bytes.end());
  Packet packet;
  switch (read(std::span(buffer).subspan(kHeadroom), port, &packet)) {
    case io::FrameKind::kUnderlay:
      engine->process_underlay(packet, at, *this);
      break;
    case io::FrameKind::kExternal:
      engine->process_external(packet, at, *this);
      break;
    default:
      break;
  }
}

void Twins::underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                     Offload) {
  send(Kernel::kUnderlay, io::kMostOuter, bytes, &to);
}

void Twins::external(std::span<const std::uint8_t> bytes, Offload) {
  send(Kernel::kExternal, io::kMostOuter, bytes, nullptr);
}

void Twins::send(std::uint32_t port, std::size_t headers,
                 std::span<const std::uint8_t> bytes, const Underlay* to) {
  Bytes buffer(headers + bytes.size());
  std::copy(bytes.begin(), bytes.end(),
            buffer.begin() + static_cast<std::ptrdiff_t>(headers));
  // As a lane does (xsk_lane.cc).
  const io::Destination destination = io::destination_of(bytes, to);
  io::NextHop hop;
  hops_.find({&destination, 1}, {&hop, 1}, now(), 0);
  hop.link.vlan = kernel_.vlan(port);
  std::uint8_t* at = buffer.data() + headers;
  if (to != nullptr) at = io::put_tunnel(at, bytes.size(), *to);
  at = io::put_ethernet(at, hop.link);
  sent_.push_back({port, Bytes(at, buffer.data() + buffer.size())});
}

}  // namespace vxlnat::test
