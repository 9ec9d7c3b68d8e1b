// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// An engine with all that carries its packets, and the choice of how:
//
//   xdp      the XDP program translates what it can, AF_XDP lanes the rest
//   af_xdp   AF_XDP lanes translate everything
//   tun      a VXLAN socket and a TUN device
//   auto     the best of these that works here
//
// The socket and the device are always there: with the other two they carry
// what the kernel keeps for itself (fragments of outer packets) and what only
// it can send (unknown neighbours).
//
// Life: `open`, which takes over the tables that a predecessor has left in the
// kernel, `start`, the owner gives the engine its rules, and `attach`; in the
// end `close`. Until `attach` all packets go by socket and device, or by the
// program that the predecessor left.

#ifndef VXLNAT_IO_DATA_PATH_H_
#define VXLNAT_IO_DATA_PATH_H_

#include <cstdint>
#include <memory>
#include <string>

#include "engine/config.h"
#include "io/worker.h"
#include "io/xdp_path.h"

namespace vxlnat::io {

enum class PathKind { kAuto, kXdp, kAfXdp, kTun };

struct IoConfig {
  PathKind kind = PathKind::kAuto;
  std::string underlay_interface;   // empty: any
  std::string external_interface;   // empty: unknown
  std::uint16_t external_vlan = 0;  // 0: that of the interface, or none
  std::string tun_name;
  int tun_mtu = 1500;
  std::size_t burst = 64;
  unsigned lanes = 0;  // 0: one for each queue and processor
  // Directory on a BPF file system; empty: nothing outlives the process.
  std::string pins;
};

struct IoStatus {
  PathKind path = PathKind::kTun;
  std::string why;  // not a better one; empty: it is the best, or was asked for
  XdpStatus xdp;    // of a path that is not tun
  std::uint64_t taken_over = 0;  // flows
  std::uint64_t detoured = 0;    // packets that the kernel had to send
  std::uint64_t lost = 0;        // of those, by lack of room
  // Of all lanes.
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t rx_overflow = 0;
  std::uint64_t rx_invalid = 0;
  std::uint64_t tx_refused = 0;
  // Of the XDP program.
  std::uint64_t passed = 0;
  std::uint64_t raised = 0;
  std::uint64_t no_queue = 0;
  std::uint64_t fast_out = 0;
  std::uint64_t fast_in = 0;
};

const char* path_name(PathKind kind);

class DataPath {
 public:
  // Null and a sentence in `error` when a setting or a device is wrong, or
  // when the path that is asked for by name does not work here.
  // `*bad_setting`: the sentence is about `config`.
  static std::unique_ptr<DataPath> open(EngineConfig config, const IoConfig& io,
                                        EventSink* sink, std::string* error,
                                        bool* bad_setting);
  DataPath(const DataPath&) = delete;
  DataPath& operator=(const DataPath&) = delete;
  ~DataPath();

  Worker& worker() { return *worker_; }
  void start() { worker_->start(); }

  // Puts the XDP program in place. Owner's thread. When it cannot be done the
  // path is `tun` from now on, and `status` says why.
  void attach();
  // Takes it away again; from now on packets go by socket and device. Owner's
  // thread.
  void detach();
  // Ends the threads; leaves the XDP program in place when `keep` and it is
  // pinned.
  void close(bool keep);

  IoStatus status() const;

  // Takes away what an ended process left in place with these pins. Returns
  // an empty string, or why it could not.
  static std::string detach(const std::string& pins);

 private:
  explicit DataPath(const IoConfig& config) : config_(config) {}
  std::string open_engine(EngineConfig config, EventSink* sink,
                          bool* bad_setting);
  void adopt(Engine& engine, EventSink* sink);
  std::string open_xdp();

  const IoConfig config_;
  PathKind path_ = PathKind::kTun;
  std::string why_;
  // Each is used by those below it, and outlives them.
  std::unique_ptr<TablesMap> tables_;
  std::unique_ptr<XdpPath> xdp_;
  std::unique_ptr<Worker> worker_;
  std::uint64_t taken_over_ = 0;
  bool closed_ = false;
};

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_DATA_PATH_H_
