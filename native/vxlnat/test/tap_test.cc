// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Taps: stories and copies of packets, filters, bounds, marks on flows.

#include "engine/tap.h"

#include <cstring>

#include "engine/layout.h"
#include "test/world.h"

namespace vxlnat::test {

namespace {

struct Frame {
  FrameHead head;
  Bytes bytes;
};

// A tap of a world, read and closed with it.
class Look {
 public:
  Look(World& world, const TapSpec& spec) : world_(world), room_(spec.room) {
    CHECK(world.engine->open_tap(spec, world.now, &id_) == nullptr);
  }
  std::string read() {
    const Bytes bytes = take();
    return std::string(bytes.begin(), bytes.end());
  }
  std::vector<Frame> frames() {
    const Bytes bytes = take();
    std::vector<Frame> all;
    for (std::size_t at = 0; at < bytes.size();) {
      Frame frame;
      std::memcpy(&frame.head, &bytes[at], sizeof frame.head);
      at += sizeof frame.head;
      frame.bytes.assign(&bytes[at], &bytes[at] + frame.head.length);
      at += (frame.head.length + 7) / 8 * 8;
      all.push_back(frame);
    }
    return all;
  }
  void close() { world_.engine->close_tap(id_); }
  TapState state;

 private:
  Bytes take() {
    Bytes bytes;
    bytes.reserve(room_);
    const auto now = world_.engine->read_tap(id_, bytes);
    CHECK(now.has_value());
    state = now.value_or(TapState{});
    return bytes;
  }
  World& world_;
  std::uint32_t room_;
  std::uint32_t id_ = 0;
};

// Whether the words come in this order.
bool in_order(const std::string& line, const std::vector<std::string>& words) {
  std::size_t at = 0;
  for (const std::string& word : words) {
    at = line.find(word, at);
    if (at == std::string::npos) {
      std::cout << "#   no " << word << " in " << line << "\n";
      return false;
    }
  }
  return true;
}

Bytes hello() { return make_tcp(kHostA, 1000, kServer, 80, kSyn); }

}  // namespace

TEST("a story tells each stage's answer for a new flow") {
  World w;
  Look look(w, {});
  const Outs out = w.inside(hello());
  const std::string port = std::to_string(Seen(out[0].ip).sport);
  const std::string line = look.read();
  CHECK_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  CHECK(in_order(line, {"\"direction\":\"out\"",
                        "\"steps\":[",
                        "\"stage\":\"decap\"",
                        "\"vnet\":1",
                        "\"dst_mac\":\"90:b8:d0:00:00:01\"",
                        "\"stage\":\"find_vnet\"",
                        "\"stage\":\"parse\"",
                        "\"proto\":6",
                        "\"src\":\"10.4.4.5:1000\"",
                        "\"dst\":\"192.0.2.1:80\"",
                        "\"flags\":\"S\"",
                        "\"stage\":\"look_up\"",
                        "\"flow\":\"none\"",
                        "\"one_to_one\":null",
                        "\"rule\":\"10.4.4.0/22\"",
                        "\"stage\":\"choose_outbound\"",
                        "\"new_src\":\"3.3.3.2:" + port + "\"",
                        "\"flow\":\"created\"",
                        "\"state\":\"opening\"",
                        "\"stage\":\"rewrite\"",
                        "\"src\":\"3.3.3.2:" + port + "\"",
                        "\"ttl\":63",
                        "\"stage\":\"send\"",
                        "\"to\":\"external\"",
                        "\"verdict\":\"sent\"}"}));
}

TEST("a story tells the state before and after, and the way in") {
  World w;
  const Seen sent(w.inside(hello())[0].ip);
  Look look(w, {});
  w.run(1500);
  w.outside(make_tcp(kServer, 80, kPublic1, sent.sport, kSyn | kAck));
  CHECK(in_order(
      look.read(),
      {"\"direction\":\"in\"", "\"stage\":\"look_up\"", "\"flow\":\"live\"",
       "\"state\":\"opening\"", "\"idle_ms\":1500",
       "\"stage\":\"choose_inbound\"", "\"new_dst\":\"10.4.4.5:1000\"",
       "\"flow\":\"known\"", "\"state\":\"established\"", "\"to\":\"underlay\"",
       "\"ul3\":\"192.168.9.1:4789\"", "\"verdict\":\"sent\"}"}));
}

TEST("a story says why a packet was dropped or kept") {
  World w;
  Look look(w, {});
  w.outside(make_udp(kServer, 80, kPublic1, 5555));
  CHECK(in_order(look.read(),
                 {"\"flow\":\"none\"", "\"public_of_rule\":true",
                  "\"drop\":\"NoFlow\"", "\"verdict\":\"dropped\"",
                  "\"drop\":\"NoFlow\"", "\"why\":\"A packet from outside"}));
  w.datagram(first(hello(), 5));
  CHECK(in_order(look.read(), {"\"stage\":\"decap\"", "\"drop\":\"TooShort\"",
                               "\"verdict\":\"dropped\""}));
}

TEST("a story of an expired flow says that it has expired") {
  World w;
  const Seen sent(w.inside(make_udp(kHostA, 7, kServer, 53))[0].ip);
  w.now += 400'000;
  Look look(w, {});
  w.outside(make_udp(kServer, 53, kPublic1, sent.sport));
  CHECK(in_order(look.read(), {"\"flow\":\"expired\"", "\"drop\":\"NoFlow\""}));
}

TEST("a packet that waits for its host is kept, and its end is seen too") {
  World w;
  CHECK(w.apply(RemoveRemote{1, kHostA}) == nullptr);
  const Seen sent(w.inside(hello())[0].ip);
  Look look(w, {});
  w.outside(make_tcp(kServer, 80, kPublic1, sent.sport, kSyn | kAck));
  CHECK(in_order(look.read(), {"\"verdict\":\"kept\""}));
  CHECK(w.apply(SetRemote{1, kHostA, kHostMac, kNode, 4789}) == nullptr);
  CHECK_EQ(w.take().size(), 1u);
  CHECK(in_order(look.read(), {"\"waited\":true", "\"to\":\"underlay\"",
                               "\"verdict\":\"sent\""}));
  CHECK(w.apply(RemoveRemote{1, kHostA}) == nullptr);
  w.outside(make_tcp(kServer, 80, kPublic1, sent.sport, kAck));
  look.read();
  w.run(4000);
  CHECK(
      in_order(look.read(), {"\"waited\":true", "\"drop\":\"RemoteTimeout\""}));
}

TEST("a tap takes what its filter means and nothing else") {
  struct Row {
    const char* what;
    TapSpec spec;
    bool out, in, alien;  // which of three packets it takes
  };
  const auto filter = [](FlowFilter f) { return TapSpec{.filter = f}; };
  const Row rows[] = {
      {"everything", {}, true, true, true},
      {"vnet", filter({.vnet = 1}), true, true, false},
      {"other vnet", filter({.vnet = 2}), false, false, false},
      {"private", filter({.private_ip = kHostA}), true, true, false},
      {"public", filter({.public_ip = kPublic1}), true, true, true},
      {"remote", filter({.remote_ip = kServer}), true, true, false},
      {"protocol", filter({.proto = kTcp}), true, true, false},
      {"private port", filter({.port = 1000}), true, true, false},
      {"remote port", filter({.port = 80}), true, true, false},
      {"other port", filter({.port = 81}), false, false, false},
      {"outbound", {.outbound = true}, true, false, false},
      {"inbound", {.outbound = false}, false, true, true},
      {"drop", {.drop = Drop::kNoFlow}, false, false, true},
      {"other drop", {.drop = Drop::kBadArp}, false, false, false},
  };
  for (const Row& row : rows) {
    World w;
    Look look(w, row.spec);
    const Seen sent(w.inside(hello())[0].ip);
    const bool out = look.read() != "";
    w.outside(make_tcp(kServer, 80, kPublic1, sent.sport, kSyn | kAck));
    const bool in = look.read() != "";
    w.outside(make_udp(ip4(192, 0, 2, 9), 1, kPublic1, 2));
    const bool alien = look.read() != "";
    CHECK_EQ(row.what + std::to_string(out) + std::to_string(in) +
                 std::to_string(alien),
             row.what + std::to_string(row.out) + std::to_string(row.in) +
                 std::to_string(row.alien));
  }
}

TEST("copies are what came and went, at each point") {
  World w;
  Look look(w, {.points = 15});
  const Bytes packet = hello();
  const Outs out = w.inside(packet);
  const std::vector<Frame> frames = look.frames();
  CHECK_EQ(frames.size(), 3u);
  if (frames.size() != 3) return;
  // Outer: Ethernet, IPv4 and UDP made up, then the datagram as it came.
  const Bytes& outer = frames[0].bytes;
  const Bytes ip(outer.begin() + 14, outer.end());
  CHECK_EQ(Seen(ip).src, kNode);
  CHECK_EQ(Seen(ip).dst, kZone);
  CHECK_EQ(Seen(ip).dport, 4789);
  CHECK_EQ(std::size_t{get16(&ip[2])}, ip.size());
  CHECK_EQ(checksum(ip.data(), 20), 0);
  CHECK_EQ(Bytes(outer.begin() + 42, outer.end()),
           World::frame(packet, 1, kRouterMac1, -1));
  CHECK_EQ(frames[1].bytes.size(), 14 + packet.size());
  CHECK_EQ(get_mac(&frames[1].bytes[0]), kRouterMac1);
  CHECK_EQ(Bytes(frames[1].bytes.begin() + 14, frames[1].bytes.end()), packet);
  CHECK_EQ(Bytes(frames[2].bytes.begin() + 14, frames[2].bytes.end()),
           out[0].ip);
  for (std::size_t i = 0; i < 3; i++) {
    CHECK_EQ(frames[i].head.point, i);
    CHECK_EQ(frames[i].head.outbound, 1);
    CHECK_EQ(frames[i].head.packet, frames[0].head.packet);
  }
  CHECK_EQ(frames[2].head.vnet, 1u);
}

TEST("a copy of a dropped packet carries the reason") {
  World w;
  Look look(w, {.points = bit(Point::kDrop)});
  w.inside(hello());
  CHECK_EQ(look.frames().size(), 0u);
  w.datagram(World::frame(hello(), 99, kRouterMac1, -1));
  const Bytes stray = make_udp(kServer, 80, kPublic1, 5555);
  w.outside(stray);
  // A fragment whose first does not come is dropped by the clock.
  w.inside(cut(make_udp(kHostA, 1, kServer, 2, Bytes(64)), 32)[1]);
  w.run(3000);
  const std::vector<Frame> frames = look.frames();
  CHECK_EQ(frames.size(), 3u);
  if (frames.size() != 3) return;
  CHECK_EQ(Drop{frames[0].head.drop}, Drop::kUnknownVnet);
  CHECK_EQ(Drop{frames[1].head.drop}, Drop::kNoFlow);
  CHECK_EQ(Bytes(frames[1].bytes.begin() + 14, frames[1].bytes.end()), stray);
  CHECK_EQ(Drop{frames[2].head.drop}, Drop::kFragmentTimeout);
}

TEST("a tap is bounded in packets, bytes, time and number") {
  World w;
  Look two(w, {.packets = 2});
  Look cut_short(w, {.points = bit(Point::kTranslated), .snap = 20});
  Look brief(w, {.lifetime_ms = 100});
  for (int i = 0; i < 3; i++) w.inside(hello());
  std::string lines = two.read();
  CHECK_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  CHECK(two.state.done);
  for (const Frame& frame : cut_short.frames()) {
    CHECK_EQ(frame.bytes.size(), 20u);
    CHECK_EQ(frame.head.original, 54u);
  }
  brief.read();
  w.run(100);
  w.inside(hello());
  CHECK_EQ(brief.read(), std::string());
  CHECK(brief.state.done);

  Look full(w, {.packets = 1'000'000, .room = 65536});
  for (int i = 0; i < 300; i++) w.inside(hello());
  lines = full.read();
  CHECK(lines.size() <= 65536 && !lines.empty() && lines.back() == '\n');
  const auto kept =
      static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
  CHECK_EQ(full.state.seen, 300u);
  CHECK_EQ(full.state.lost + kept, 300u);
  CHECK(full.state.lost > 0);

  std::uint32_t id = 0;
  for (int i = 0; i < 4; i++) {
    CHECK(w.engine->open_tap({}, w.now, &id) == nullptr);
  }
  CHECK(w.engine->open_tap({}, w.now, &id) != nullptr);
  two.close();
  CHECK(w.engine->open_tap({}, w.now, &id) == nullptr);
  Bytes none;
  CHECK(!w.engine->read_tap(12345, none).has_value());
  CHECK(w.engine->open_tap({.packets = 0}, w.now, &id) != nullptr);
  CHECK(w.engine->open_tap({.room = 1}, w.now, &id) != nullptr);
}

TEST("a hairpin is seen in its public form and by either private address") {
  for (const Ip4 host : {kHostA, kHostB}) {
    World w;
    w.add_aip(kHostB);
    Look look(
        w, {.filter = {.private_ip = host}, .points = bit(Point::kTranslated)});
    w.inside(make_udp(kHostA, 1, kAip, 2));
    const std::vector<Frame> frames = look.frames();
    CHECK_EQ(frames.size(), 1u);
    if (frames.empty()) continue;
    const Seen seen(Bytes(frames[0].bytes.begin() + 14, frames[0].bytes.end()));
    CHECK_EQ(seen.src, kPublic1);
    CHECK_EQ(seen.dst, kAip);
  }
}

TEST("what is sent is the same with a tap and without") {
  World plain;
  World tapped;
  Look stories(tapped, {.packets = 1'000'000});
  Look copies(tapped, {.points = 15, .packets = 1'000'000});
  for (std::uint16_t i = 0; i < 50; i++) {
    const Bytes packet = make_udp(kHostA, i, kServer, 53);
    const Outs a = plain.inside(packet);
    const Outs b = tapped.inside(packet);
    CHECK_EQ(a.size(), b.size());
    if (a.empty() || b.empty()) continue;
    CHECK_EQ(a[0].ip, b[0].ip);
    const Bytes back = make_udp(kServer, 53, kPublic1, Seen(a[0].ip).sport);
    CHECK_EQ(plain.outside(back)[0].ip, tapped.outside(back)[0].ip);
  }
}

TEST("flows and entries of a tap are marked for the fast path, then not") {
  Bytes memory(Engine::shared_bytes(World::small()) + 64);
  std::uint8_t* base = memory.data();
  while (reinterpret_cast<std::uintptr_t>(base) % 64 != 0) base++;
  World w(World::small(), {base, Engine::shared_bytes(World::small())});
  w.add_aip(kHostB);
  const auto* layout = reinterpret_cast<const vxlnat_layout*>(base);
  const auto marks = [&] {
    unsigned count = 0;
    const auto* flows =
        reinterpret_cast<const vxlnat_flow*>(base + layout->flows.offset);
    for (std::uint64_t i = 0; i < layout->flows.count; i++) {
      count += flows[i].state != 0 && (flows[i].flags & VXLNAT_FLOW_WATCHED);
    }
    const auto* entries = reinterpret_cast<const vxlnat_one_to_one*>(
        base + layout->one_to_ones.offset);
    for (std::uint64_t i = 0; i < layout->one_to_ones.count; i++) {
      count += entries[i].used != 0 && (entries[i].flags & 1) ? 100 : 0;
    }
    return count;
  };
  w.inside(make_udp(kHostA, 1, kServer, 53));
  w.inside(make_udp(kHostA, 2, kServer, 53));
  Look look(w, {.filter = {.private_ip = kHostA, .port = 2}});
  CHECK_EQ(marks(), 0u);
  w.run(1);
  CHECK_EQ(marks(), 1u);
  Look all(w, {.filter = {.vnet = 1}, .lifetime_ms = 1000});
  w.inside(make_udp(kHostA, 3, kServer, 53));
  CHECK_EQ(marks(), 2u);  // a new flow at once
  w.run(1);
  CHECK_EQ(marks(), 103u);
  w.run(2000);
  CHECK_EQ(marks(), 1u);  // its time is over
  look.close();
  w.run(1);
  CHECK_EQ(marks(), 0u);
}

}  // namespace vxlnat::test
