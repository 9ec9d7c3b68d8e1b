// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The TCP machine seen from outside: what keeps a flow, what ends it, and
// when its outside tuple may be used again.

#include "test/world.h"

namespace vxlnat::test {

namespace {

// One connection from host A to port 80 of the server.
struct Connection {
  World& w;
  std::uint16_t sport = 5000;
  Ip4 host = kHostA;
  std::uint16_t outside = 0;

  bool out(int flags) {
    const auto got = w.inside(
        make_tcp(host, sport, kServer, 80, static_cast<std::uint8_t>(flags)));
    if (got.empty()) return false;
    outside = Seen(got[0].ip).sport;
    return true;
  }
  bool in(int flags) {
    return !w.outside(make_tcp(kServer, 80, kPublic1, outside,
                               static_cast<std::uint8_t>(flags)))
                .empty();
  }
  std::string state() {
    const auto flows = w.list();
    return flows.empty() ? "none" : flows[0].state;
  }
  void establish() {
    CHECK(out(kSyn));
    CHECK(in(kSyn | kAck));
    CHECK(out(kAck));
    CHECK_EQ(state(), std::string("established"));
  }
};

}  // namespace

TEST("tcp: handshake establishes and the established time holds") {
  World w;
  Connection c{w};
  c.establish();
  w.run(7439000);
  CHECK(c.in(kAck));
  w.run(7439000);
  CHECK(c.out(kAck));
  w.run(7441000);
  CHECK_EQ(w.flows(), 0u);
  CHECK(!c.in(kAck));
}

TEST("tcp: a SYN alone is kept for the opening time only") {
  World w;
  Connection c{w};
  CHECK(c.out(kSyn));
  CHECK_EQ(c.state(), std::string("opening"));
  w.run(120000);
  // What an outsider sends meanwhile does not lengthen it.
  CHECK(c.in(kAck));
  w.run(119000);
  CHECK_EQ(w.flows(), 1u);
  w.run(2000);
  CHECK_EQ(w.flows(), 0u);
}

TEST("tcp: simultaneous open establishes") {
  World w;
  Connection c{w};
  CHECK(c.out(kSyn));
  CHECK_EQ(c.state(), std::string("opening"));
  // The second SYN does, whoever acknowledges first.
  CHECK(c.in(kSyn));
  CHECK_EQ(c.state(), std::string("established"));
  CHECK(c.out(kSyn | kAck));
  CHECK(c.in(kSyn | kAck));
  CHECK_EQ(c.state(), std::string("established"));
}

TEST("tcp: half-closed lasts, both FINs close, last segments still pass") {
  World w;
  Connection c{w};
  c.establish();
  CHECK(c.out(kFin | kAck));
  CHECK_EQ(c.state(), std::string("fin_out"));
  CHECK(c.out(kFin | kAck));  // once more, for the answer was lost
  CHECK_EQ(c.state(), std::string("fin_out"));
  w.run(3600000);
  CHECK(c.in(kAck));
  CHECK(c.in(kFin | kAck));
  CHECK_EQ(c.state(), std::string("closing"));
  CHECK(c.out(kAck));
  CHECK(c.in(kAck));
  w.run(239000);
  CHECK(c.in(kFin | kAck));
  w.run(2000);
  CHECK_EQ(w.flows(), 0u);
}

TEST("tcp: after a RST data brings the connection back, silence ends it") {
  World w;
  Connection c{w};
  c.establish();
  CHECK(c.in(kRst));
  CHECK_EQ(c.state(), std::string("transitory"));
  CHECK(c.in(kAck));
  CHECK_EQ(c.state(), std::string("established"));
  CHECK(c.out(kRst));
  CHECK(c.in(kRst));
  w.run(241000);
  CHECK_EQ(w.flows(), 0u);
}

TEST("tcp: B16 a refused connection never counts as established") {
  World w;
  Connection c{w};
  CHECK(c.out(kSyn));
  CHECK(c.in(kRst | kAck));
  CHECK(c.out(kAck));
  CHECK_EQ(c.state(), std::string("closing"));
  // A new attempt does.
  CHECK(c.out(kSyn));
  CHECK_EQ(c.state(), std::string("opening"));
}

TEST("tcp: SYN on a closing flow reopens it with the same public port") {
  World w;
  Connection c{w};
  c.establish();
  const std::uint16_t port = c.outside;
  CHECK(c.out(kFin | kAck));
  CHECK(c.in(kFin | kAck));
  CHECK(c.out(kSyn));
  CHECK_EQ(c.outside, port);
  CHECK_EQ(c.state(), std::string("opening"));
  CHECK(c.in(kSyn | kAck));
  CHECK_EQ(c.state(), std::string("established"));
}

TEST("tcp: an unsolicited SYN from outside gets no answer of any kind") {
  World w;
  CHECK(w.outside(make_tcp(kServer, 80, kPublic1, 5555, kSyn)).empty());
  CHECK_EQ(w.dropped(Drop::kNoFlow), 1u);
}

TEST("tcp: B38 an ended flow's tuple goes to nobody else in quarantine") {
  EngineConfig config = World::small();
  config.port_low = 2000;
  config.port_high = 2001;
  World w(config);
  Connection a{w};
  Connection b{w, 5000, kHostB};
  Connection d{w, 6000, kHostB};
  a.establish();
  CHECK(w.apply(RemoveFlow{kTcp, kPublic1, a.outside, kServer, 80}) == nullptr);
  CHECK_EQ(w.flows(), 0u);
  CHECK(b.out(kSyn));
  CHECK(b.outside != a.outside);
  // The other port is in quarantine: exact, not guessed.
  CHECK(d.w.inside(make_tcp(kHostB, 6000, kServer, 80, kSyn)).size() == 1);
  CHECK_EQ(w.dropped(Drop::kPortExhausted), 1u);
  // Its own endpoint may go on with it at once.
  const std::uint16_t port = a.outside;
  CHECK(a.out(kSyn));
  CHECK_EQ(a.outside, port);
  CHECK(w.apply(RemoveFlow{kTcp, kPublic1, port, kServer, 80}) == nullptr);
  w.run(61000);
  CHECK(d.out(kSyn));
  CHECK_EQ(d.outside, port);
}

TEST("tcp: closing that lasted longer than quarantine frees the tuple") {
  EngineConfig config = World::small();
  config.port_low = config.port_high = 2000;
  World w(config);
  Connection a{w};
  a.establish();
  CHECK(a.out(kFin | kAck));
  CHECK(a.in(kFin | kAck));
  w.run(241000);
  Connection b{w, 5000, kHostB};
  CHECK(b.out(kSyn));
  CHECK_EQ(b.outside, 2000);
}

TEST("tcp: rst_on_unknown answers the inside, but never a RST") {
  EngineConfig config = World::small();
  config.rst_on_unknown = true;
  World w(config);
  Bytes late = make_tcp(kHostA, 5, kServer, 80, kAck);
  constexpr std::uint32_t kAcknowledged = 0x55667788;
  put32(&late[28], kAcknowledged);
  put16(&late[36], 0);
  put16(&late[36],
        checksum(&late[20], 20, pseudo_sum(kHostA, kServer, kTcp, 20)));
  const auto out = w.inside(late);
  CHECK_EQ(out.size(), 1u);
  CHECK(out[0].inside);
  CHECK_EQ(out[0].dst_mac, kHostMac);
  const Seen seen(out[0].ip);
  CHECK_EQ(seen.src, kServer);
  CHECK_EQ(seen.dst, kHostA);
  CHECK_EQ(seen.sport, 80);
  CHECK_EQ(seen.dport, 5);
  CHECK_EQ(seen.payload[13], kRst);
  CHECK_EQ(get32(&seen.payload[4]), kAcknowledged);
  CHECK(w.inside(make_tcp(kHostA, 5, kServer, 80, kRst | kAck)).empty());
  CHECK_EQ(w.dropped(Drop::kTcpNoFlow), 2u);
}

TEST("tcp: everything but addresses, ports, checksum and TTL is untouched") {
  World w;
  // Every field has a value; both ways, by the long way and by the short.
  const auto odd = [](Bytes packet) {
    packet[1] = 0xb9;            // DS field and a congestion mark
    put16(&packet[34], 12345);   // window
    put16(&packet[38], 0x2211);  // urgent pointer
    packet[32] = 0x8f;           // twelve bytes of options, reserved bits
    packet[33] |= 0xe0;          // CWR, ECE, URG
    const Bytes options = from_hex("1305414f414f0101080a0102");
    packet.insert(packet.begin() + 40, options.begin(), options.end());
    put16(&packet[2], static_cast<std::uint16_t>(packet.size()));
    put16(&packet[10], 0);
    put16(&packet[10], checksum(packet.data(), 20));
    put16(&packet[36], 0);
    const Seen seen(packet);
    put16(&packet[36],
          checksum(&packet[20], packet.size() - 20,
                   pseudo_sum(seen.src, seen.dst, kTcp, packet.size() - 20)));
    return packet;
  };
  const auto same = [](const Bytes& packet, Bytes got, std::size_t address,
                       std::size_t port) {
    CHECK_EQ(got.size(), packet.size());
    CHECK_EQ(got[8], packet[8] - 1);
    for (const std::size_t i :
         {std::size_t{8}, std::size_t{10}, std::size_t{11}, address,
          address + 1, address + 2, address + 3, port, port + 1,
          std::size_t{36}, std::size_t{37}}) {
      got[i] = packet[i];
    }
    CHECK_EQ(got, packet);
  };
  std::uint16_t port = 0;
  for (const int flags : {kSyn + 0, kAck + 0, kAck + 0}) {
    const auto bits = static_cast<std::uint8_t>(flags);
    const Bytes sent =
        odd(make_tcp(kHostA, 5000, kServer, 80, bits, text("early")));
    const Bytes left = w.inside(sent)[0].ip;
    same(sent, left, 12, 20);
    port = Seen(left).sport;
    const Bytes answer =
        odd(make_tcp(kServer, 80, kPublic1, port,
                     static_cast<std::uint8_t>(bits | kAck), text("late")));
    same(answer, w.outside(answer)[0].ip, 16, 22);
  }
}

TEST("tcp: B3 ending a flow between its packets leaves a clean table") {
  World w;
  Connection c{w};
  for (int i = 0; i < 1000; i++) {
    c.establish();
    CHECK(w.apply(RemoveFlow{kTcp, kPublic1, c.outside, kServer, 80}) ==
          nullptr);
    CHECK(!c.in(kAck));
    CHECK_EQ(w.flows(), 0u);
    w.now += 10;
  }
  w.run(100000);
  CHECK(w.list().empty());
}

TEST("tcp: T10 a RST with a guessed number passes and changes nothing") {
  World w;
  Connection c{w};
  c.establish();
  w.run(7000000);
  for (const std::uint32_t off : {0x80000000u, 0x20000u, 0xffffffffu}) {
    Bytes rst = make_tcp(kServer, 80, kPublic1, c.outside, kRst);
    put32(&rst[24], kSequence + 1 + off);
    Delta change;
    change.address(kSequence + 1, kSequence + 1 + off);
    change.update_at(&rst[36]);
    CHECK_EQ(w.outside(rst).size(), 1u);
    CHECK_EQ(c.state(), std::string("established"));
  }
  // Nor does it buy the connection time.
  w.run(439000);
  CHECK_EQ(w.flows(), 1u);
  w.run(2000);
  CHECK_EQ(w.flows(), 0u);
}

TEST("tcp: T10 a RST that is due shortens the time, from either side") {
  for (const bool from_outside : {true, false}) {
    World w;
    Connection c{w};
    c.establish();
    CHECK(from_outside ? c.in(kRst) : c.out(kRst));
    CHECK_EQ(c.state(), std::string("transitory"));
    w.run(241000);
    CHECK_EQ(w.flows(), 0u);
  }
  // Each side has a number of its own, and the other's is not due.
  for (const bool from_outside : {true, false}) {
    World w;
    Connection c{w};
    c.establish();
    const auto segment = [&](bool outside, std::uint32_t sequence,
                             std::uint32_t ack, std::uint8_t flags) {
      Bytes b = outside ? make_tcp(kServer, 80, kPublic1, c.outside, flags)
                        : make_tcp(kHostA, c.sport, kServer, 80, flags);
      put32(&b[24], sequence);
      put32(&b[28], ack);
      put16(&b[36], 0);
      put16(&b[36],
            checksum(&b[20], 20,
                     pseudo_sum(get32(&b[12]), get32(&b[16]), kTcp, 20)));
      CHECK_EQ((outside ? w.outside(b) : w.inside(b)).size(), 1u);
    };
    constexpr std::uint32_t kThere = 0x70000000, kHere = 0x20000000;
    segment(true, kThere, kHere, kAck);
    segment(false, kHere, kThere, kAck);
    segment(from_outside, from_outside ? kHere : kThere, 0, kRst);
    CHECK_EQ(c.state(), std::string("established"));
    segment(from_outside, from_outside ? kThere : kHere, 0, kRst);
    CHECK_EQ(c.state(), std::string("transitory"));
  }
}

TEST("tcp: T10 a refusal must acknowledge the SYN") {
  World w;
  Connection c{w};
  CHECK(c.out(kSyn));
  CHECK(c.in(kRst));  // passes, for the host will not believe it either
  CHECK_EQ(c.state(), std::string("opening"));
  // So does one that guesses the number, and one that has it without saying
  // that it acknowledges.
  const struct {
    std::uint8_t flags;
    std::uint32_t number;
  } guesses[] = {{kRst | kAck, kSequence + 0x40000000}, {kRst, kSequence + 1}};
  for (const auto& each : guesses) {
    Bytes guess = make_tcp(kServer, 80, kPublic1, c.outside, each.flags);
    put32(&guess[28], each.number);
    put16(&guess[36], 0);
    put16(&guess[36],
          checksum(&guess[20], 20, pseudo_sum(kServer, kPublic1, kTcp, 20)));
    CHECK_EQ(w.outside(guess).size(), 1u);
    CHECK_EQ(c.state(), std::string("opening"));
  }
  CHECK(c.in(kRst | kAck));
  CHECK_EQ(c.state(), std::string("closing"));
}

TEST("tcp: T3 simultaneous open in each order of the four segments") {
  // The outside's SYN may come before ours has left: it is not answered, and
  // is sent again.
  for (int order = 0; order < 4; order++) {
    World w;
    Connection c{w};
    if (order == 0) {
      CHECK(w.outside(make_tcp(kServer, 80, kPublic1, 2000, kSyn)).empty());
      CHECK_EQ(w.flows(), 0u);
      CHECK(c.out(kSyn));
      CHECK_EQ(c.state(), std::string("opening"));
      CHECK(c.in(kSyn));
      CHECK(c.in(kSyn | kAck));
      CHECK(c.out(kSyn | kAck));
    } else {
      CHECK(c.out(kSyn));
      CHECK(c.in(kSyn));
      CHECK(order == 1 ? c.out(kSyn | kAck) : c.in(kSyn | kAck));
      CHECK(order == 1 ? c.in(kSyn | kAck) : c.out(kSyn | kAck));
      if (order == 3) CHECK(c.out(kSyn | kAck));  // sent again
    }
    CHECK_EQ(c.state(), std::string("established"));
    CHECK(c.out(kAck));
    CHECK(c.in(kAck));
  }
}

TEST("tcp: T2 what is sent again and what keeps alive passes") {
  World w;
  Connection c{w};
  for (int i = 0; i < 3; i++) CHECK(c.out(kSyn));
  for (int i = 0; i < 3; i++) CHECK(c.in(kSyn | kAck));
  CHECK(c.out(kAck));
  // A probe for life has the number before the next and no data, or one byte.
  for (const Bytes& data : {Bytes{}, Bytes{0}}) {
    Bytes probe = make_tcp(kHostA, 5000, kServer, 80, kAck, data);
    put32(&probe[24], kSequence);
    Delta change;
    change.address(kSequence + 1, kSequence);
    change.update_at(&probe[36]);
    CHECK_EQ(w.inside(probe).size(), 1u);
  }
  CHECK(c.out(kFin | 8 | kAck));  // data with the FIN
  CHECK(c.out(kFin | kAck));
  CHECK(c.in(kAck));
  CHECK_EQ(c.state(), std::string("fin_out"));
  CHECK_EQ(w.flows(), 1u);
}

TEST("tcp: T12 the peer's SYN reopens a closing flow from outside") {
  World w;
  Connection c{w};
  c.establish();
  CHECK(c.out(kFin | kAck));
  CHECK(c.in(kFin | kAck));
  CHECK(c.in(kSyn));
  CHECK_EQ(c.state(), std::string("opening"));
  CHECK(c.out(kSyn | kAck));
  CHECK(c.in(kAck));
  CHECK_EQ(c.state(), std::string("established"));
}

TEST("tcp: T18 odd flags open nothing, data on a SYN passes") {
  World w;
  for (const int flags : {0, kFin + 0, kFin | kSyn, 0x29, 0x3f, kSyn | kRst}) {
    CHECK(w.inside(make_tcp(kHostA, 5, kServer, 80,
                            static_cast<std::uint8_t>(flags)))
              .empty());
  }
  CHECK_EQ(w.flows(), 0u);
  const Bytes early = make_tcp(kHostA, 5, kServer, 80, kSyn, text("early"));
  CHECK_EQ(w.inside(early).size(), 1u);
}

}  // namespace vxlnat::test
