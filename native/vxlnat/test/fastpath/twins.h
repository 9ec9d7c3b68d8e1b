// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// One engine and one XDP program over the same tables. Each frame is given to
// the program first. When it goes up, the program must have changed nothing;
// when it was forwarded, the engine, put back to before, must send the very
// same frame and leave the very same tables.

#ifndef VXLNAT_TEST_FASTPATH_TWINS_H_
#define VXLNAT_TEST_FASTPATH_TWINS_H_

#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/shared_tables.h"
#include "io/next_hop.h"
#include "test/fastpath/kernel.h"

namespace vxlnat::test {

class Twins final : public Outbox {
 public:
  Twins(Kernel& kernel, const EngineConfig& config);

  // True when the program forwarded the frame.
  bool frame(const Bytes& bytes, std::uint32_t port);
  const char* apply(const Operation& op) {
    return engine->apply(op, now(), *this);
  }
  // A router says that the way to `node` carries so much; or takes it back.
  void shorten(Ip4 node, std::uint16_t mtu);
  void sweep() { (void)engine->sweep(now(), 64); }
  // As if this time had passed without a packet.
  void pass_time(std::uint32_t ms);

  // Milliseconds of the clock that the program reads.
  static Tick now();

  SharedTables& tables() { return tables_; }
  const EngineConfig& config() const { return config_; }
  // What the engine sent for the last frame.
  struct Sent {
    std::uint32_t port = 0;
    Bytes frame;
  };
  const std::vector<Sent>& sent() const { return sent_; }

  void underlay(std::span<const std::uint8_t> bytes, const Underlay& to,
                Offload offload) override;
  void external(std::span<const std::uint8_t> bytes, Offload offload) override;

  std::unique_ptr<Engine> engine;

 private:
  io::FrameKind read(std::span<std::uint8_t> frame, std::uint32_t port,
                     Packet* packet);
  Bytes trusted(const Bytes& bytes, std::uint32_t port);
  void give_engine(const Bytes& bytes, std::uint32_t port, Tick at);
  void compare(const Run& run, const Bytes& frame);
  void forgive(const Bytes& programs);
  void compare_tables(const Bytes& after);
  void send(std::uint32_t port, std::size_t headers,
            std::span<const std::uint8_t> bytes, const Underlay* to);

  Kernel& kernel_;
  EngineConfig config_;
  SharedTables tables_;
  std::size_t bytes_;
  Bytes before_;
  std::vector<Sent> sent_;
  io::NextHops hops_;
};

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_FASTPATH_TWINS_H_
