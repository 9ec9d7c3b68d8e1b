// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The cloud around the engine, and the checks on what it sends; see world.h.

#include "test/world.h"

#include "test/invariants.h"

namespace vxlnat::test {

namespace {

void check_transport(const Bytes& b) {
  const Seen seen(b);
  const Bytes& l4 = seen.payload;
  const std::uint64_t pseudo =
      pseudo_sum(seen.src, seen.dst, seen.proto, l4.size());
  if (seen.proto == kUdp && get16(&l4[6]) != 0) {
    const std::size_t size = std::min<std::size_t>(get16(&l4[4]), l4.size());
    CHECK_EQ(
        checksum(l4.data(), size, pseudo_sum(seen.src, seen.dst, kUdp, size)),
        0);
  } else if (seen.proto == kTcp) {
    CHECK_EQ(checksum(l4.data(), l4.size(), pseudo), 0);
  } else if (seen.proto == kIcmp) {
    CHECK_EQ(checksum(l4.data(), l4.size()), 0);
    const bool error = l4[0] == 3 || l4[0] == 11 || l4[0] == 12;
    if (!error || l4.size() < 28) return;
    const Bytes quote = seen.quote();
    const std::size_t head = wire::ip::header_size(quote.data());
    CHECK(quote.size() >= head && checksum(quote.data(), head) == 0);
    // A quote that is whole must be right in all its parts.
    if (quote.size() == get16(&quote[2]) && !wire::ip::is_fragment(&quote[0])) {
      check_transport(quote);
    }
  }
}

bool is_private(Ip4 ip) { return ip >> 24 == 10; }

}  // namespace

void check_packet(const Bytes& b, bool outside) {
  CHECK(b.size() >= 20 && b[0] >> 4 == 4);
  const std::size_t head = wire::ip::header_size(b.data());
  CHECK_EQ(std::size_t{get16(&b[2])}, b.size());
  CHECK_EQ(checksum(b.data(), head), 0);
  CHECK(b[8] > 0);
  const Seen seen(b);
  if (outside) {
    CHECK(!is_private(seen.src));
    const bool error = seen.proto == kIcmp && seen.payload.size() >= 28 &&
                       (seen.fragment & 0x3fff) == 0 &&
                       (seen.payload[0] == 3 || seen.payload[0] == 11);
    if (error) {
      const Seen quoted(seen.quote());
      // The receiver may itself have an address like that, and knows it.
      const bool foreign = is_private(quoted.src) && quoted.src != seen.dst;
      if (foreign || is_private(quoted.dst)) {
        fail(__FILE__, __LINE__, "a private address is quoted: " + hex(b));
      }
    }
  }
  if (!wire::ip::is_fragment(b.data())) check_transport(b);
}

// What the card would do: finishes the checksum, which must begin with the
// sum of the pseudo-header as it is now.
static void finish(Bytes& b) {
  const Seen seen(b);
  const std::size_t head = wire::ip::header_size(b.data());
  const std::size_t length = b.size() - head;
  const std::uint64_t pseudo =
      pseudo_sum(seen.src, seen.dst, seen.proto, length);
  std::uint8_t* field = &b[head + wire::checksum_offset(seen.proto)];
  CHECK_EQ(get16(field), fold(pseudo));
  put16(field, 0);
  put16(field, checksum(&b[head], length, pseudo));
}

World::World(EngineConfig config, std::span<std::uint8_t> shared)
    : config_(config) {
  const char* error = nullptr;
  engine = Engine::create(config, &error, shared);
  if (engine == nullptr) {
    fail(__FILE__, __LINE__, error);
    return;
  }
  CHECK(apply(AddUl3{kZone}) == nullptr);
  CHECK(apply(SetRule{
            1, 0, {ip4(10, 4, 4, 0), 22}, kRouter1, kRouterMac1, kPublic1}) ==
        nullptr);
  CHECK(apply(SetRule{1,
                      0,
                      {ip4(10, 5, 5, 0), 24},
                      ip4(10, 5, 5, 1),
                      kRouterMac1,
                      kPublic1}) == nullptr);
  CHECK(apply(SetRule{2,
                      2,
                      {ip4(10, 6, 6, 0), 24},
                      ip4(10, 6, 6, 1),
                      kRouterMac2,
                      kPublic2}) == nullptr);
  CHECK(apply(SetRule{
            3, 0, {ip4(10, 4, 4, 0), 22}, kRouter1, kRouterMac3, kPublic3}) ==
        nullptr);
  for (const Vni vnet : {1u, 3u}) {
    for (const Ip4 host : {kHostA, kHostB, ip4(10, 5, 5, 5)}) {
      CHECK(apply(SetRemote{vnet, host, kHostMac + vnet, kNode, 4789}) ==
            nullptr);
    }
  }
  CHECK(apply(SetRemote{2, kHost2, kHostMac, kNode + 1, 4790}) == nullptr);
}

void World::step_done() {
  const std::uint32_t every = 1 + config_.max_flows / 128;
  if (++steps_ % every != 0) return;
  check_invariants(engine->tables().data(), config_, engine->stats());
}

std::string World::drops() const {
  std::ostringstream text;
  for (std::size_t i = 0; i < kDropCount; i++) {
    const std::uint64_t count = engine->stats().drop[i].read();
    if (count > 0) text << kDropTexts[i].name << "=" << count << " ";
  }
  return text.str();
}

const char* World::apply(const Operation& op) {
  const char* error = engine->apply(op, now, *this);
  step_done();
  return error;
}

Bytes World::frame(const Bytes& payload, Vni vnet, Mac dst, int vlan,
                   std::uint16_t type) {
  Bytes b(22);
  b[0] = 8;
  put32(&b[4], vnet << 8);
  put_mac(&b[8], dst);
  put_mac(&b[14], kHostMac);
  if (vlan >= 0) {
    b.resize(26);
    put16(&b[20], 0x8100);
    put16(&b[22], static_cast<std::uint16_t>(vlan));
  }
  put16(&b[b.size() - 2], type);
  b.insert(b.end(), payload.begin(), payload.end());
  return b;
}

// Memory of its own for each packet, which ends where the packet does, so that
// AddressSanitizer sees a look beyond. (shrink_to_fit does nothing where there
// are no exceptions.)
Packet World::load(const Bytes& bytes) {
  buffer_ = Bytes(kHeadroom + bytes.size(), 0xa5);
  std::copy(bytes.begin(), bytes.end(),
            buffer_.begin() + static_cast<std::ptrdiff_t>(kHeadroom));
  Packet p;
  p.data = buffer_.data() + kHeadroom;
  p.length = bytes.size();
  p.offload = offload;
  return p;
}

Outs World::datagram(const Bytes& bytes, const Path& path) {
  Packet p = load(bytes);
  p.path = path;
  engine->process_underlay(p, now, *this);
  step_done();
  return take();
}

Outs World::inside(const Bytes& ip, Vni vnet, int vlan) {
  const Mac router = vnet == 2   ? kRouterMac2
                     : vnet == 3 ? kRouterMac3
                                 : kRouterMac1;
  return datagram(frame(ip, vnet, router, vlan),
                  path_from(vnet == 2 ? kNode + 1 : kNode));
}

Outs World::outside(const Bytes& ip) {
  Packet p = load(ip);
  engine->process_external(p, now, *this);
  step_done();
  return take();
}

void World::underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                     Offload left) {
  Out out;
  out.offload = left;
  out.inside = true;
  out.to = to;
  CHECK(bytes.size() >= 22 && bytes[0] == 8 && bytes[1] == 0);
  CHECK(to.entropy >= 49152 || to.entropy == 4789);
  out.vnet = get32(&bytes[4]) >> 8;
  out.dst_mac = get_mac(&bytes[8]);
  out.src_mac = get_mac(&bytes[14]);
  std::size_t at = 22;
  out.type = get16(&bytes[20]);
  if (out.type == 0x8100) {
    out.vlan = get16(&bytes[22]);
    out.type = get16(&bytes[24]);
    at = 26;
  }
  out.ip.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end());
  if (left.partial) finish(out.ip);
  if (check_output && out.type == 0x0800) check_packet(out.ip, false);
  out_.push_back(std::move(out));
}

void World::external(std::span<const std::uint8_t> bytes, Offload left) {
  Out out;
  out.offload = left;
  out.ip.assign(bytes.begin(), bytes.end());
  if (left.partial) finish(out.ip);
  if (check_output) check_packet(out.ip, true);
  out_.push_back(std::move(out));
}

std::vector<FlowInfo> World::list(const FlowFilter& filter) const {
  std::vector<FlowInfo> all;
  FlowInfo some[16];
  std::optional<std::uint64_t> cursor = 0;
  while (cursor) {
    const FlowPage page = engine->list_flows(filter, some, *cursor, now);
    all.insert(all.end(), some, some + page.count);
    cursor = page.cursor;
  }
  return all;
}

}  // namespace vxlnat::test
