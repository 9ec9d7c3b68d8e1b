// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Opening what was asked for, or the best there is; see data_path.h.

#include "io/data_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "engine/engine.h"
#include "io/clock.h"
#include "io/pins.h"
#include "io/tun_port.h"
#include "io/udp_port.h"

namespace vxlnat::io {

namespace {

// Names of pins, apart for each network namespace: device numbers mean
// nothing in another one.
std::string pins_here(const std::string& pins) {
  struct stat space {};
  if (pins.empty() || stat("/proc/self/ns/net", &space) != 0) return "";
  return pins + "-" + std::to_string(space.st_ino);
}

}  // namespace

const char* path_name(PathKind kind) {
  switch (kind) {
    case PathKind::kAuto:
      return "auto";
    case PathKind::kXdp:
      return "xdp";
    case PathKind::kAfXdp:
      return "af_xdp";
    case PathKind::kTun:
      return "tun";
  }
  return "tun";
}

std::unique_ptr<DataPath> DataPath::open(EngineConfig config,
                                         const IoConfig& io, EventSink* sink,
                                         std::string* error,
                                         bool* bad_setting) {
  std::unique_ptr<DataPath> self(new DataPath(io));
  *bad_setting = false;
  *error = self->open_engine(config, sink, bad_setting);
  if (!error->empty()) return nullptr;
  if (io.kind == PathKind::kTun) return self;
  if (self->why_.empty()) self->why_ = self->open_xdp();
  if (self->why_.empty() || io.kind == PathKind::kAuto) return self;
  *error = std::string(path_name(io.kind)) + ": " + self->why_;
  return nullptr;
}

std::string DataPath::open_engine(EngineConfig config, EventSink* sink,
                                  bool* bad_setting) {
  if (config_.kind != PathKind::kTun) {
    config.rows = 1 + static_cast<std::uint32_t>(sysconf(_SC_NPROCESSORS_CONF));
    tables_ = TablesMap::create(Engine::shared_bytes(config), &why_);
  }
  const char* fault = nullptr;
  auto engine = Engine::create(
      config, &fault,
      tables_ == nullptr ? std::span<std::uint8_t>() : tables_->memory());
  if (engine == nullptr) {
    *bad_setting = true;
    return fault;
  }
  if (tables_ != nullptr && !config_.pins.empty()) adopt(*engine, sink);
  std::string error;
  auto underlay = UdpPort::open({.port = config.vxlan_port,
                                 .interface = config_.underlay_interface,
                                 .inner_mtu = config.inner_mtu,
                                 .burst = config_.burst},
                                &error);
  if (underlay == nullptr) return error;
  if (!underlay->cutting().empty()) {
    sink->post(Event::log(
        LogLevel::kInfo,
        "TCP super-packets to a fabric are cut before they are sent: " +
            underlay->cutting()));
  }
  auto external = TunPort::open({.name = config_.tun_name,
                                 .mtu = config_.tun_mtu,
                                 .inner_mtu = config.inner_mtu,
                                 .burst = config_.burst},
                                &error);
  if (external == nullptr) return error;
  worker_ = std::make_unique<Worker>(std::move(engine), std::move(underlay),
                                     std::move(external), config_.burst, sink);
  auto reports = PathReports::open(config_.underlay_interface, &error);
  if (reports == nullptr) {
    sink->post(Event::log(LogLevel::kWarn,
                          "what the underlay says about packets that are too "
                          "big is not heard: " +
                              error));
  }
  worker_->hear(std::move(reports));
  return "";
}

std::string DataPath::open_xdp() {
  std::string error;
  xdp_ = XdpPath::open({.underlay = config_.underlay_interface,
                        .external = config_.external_interface,
                        .vlan = config_.external_vlan,
                        .fast = config_.kind != PathKind::kAfXdp,
                        .pins = pins_here(config_.pins),
                        .lanes = config_.lanes,
                        .burst = config_.burst},
                       *tables_, &worker_->detour(), &error);
  if (xdp_ == nullptr) return error;
  for (auto& lane : xdp_->take_lanes()) worker_->add_lane(std::move(lane));
  worker_->follow(xdp_->changes(),
                  [this](std::uint64_t now) { xdp_->use_neighbours(now); });
  path_ = xdp_->status().fast ? PathKind::kXdp : PathKind::kAfXdp;
  return xdp_->status().not_fast;
}

DataPath::~DataPath() { close(false); }

void DataPath::adopt(Engine& engine, EventSink* sink) {
  std::string ignored;
  const auto old =
      TablesMap::open(pins_here(config_.pins) + "/tables", &ignored);
  if (old == nullptr) return;
  Adopted adopted;
  const char* error = engine.adopt(old->memory(), clock_ms(), adopted);
  taken_over_ = adopted.flows;
  if (error == nullptr) return;
  sink->post(Event::log(LogLevel::kWarn,
                        std::string("flows are not taken over: ") + error));
}

void DataPath::attach() {
  if (xdp_ == nullptr || xdp_->status().attached) return;
  const std::string error = xdp_->attach();
  if (error.empty()) return;
  why_ = error;
  path_ = PathKind::kTun;
}

void DataPath::detach() {
  if (xdp_ == nullptr) return;
  xdp_->leave(false);
  path_ = PathKind::kTun;
  why_ = "the XDP program was detached by hand; a restart attaches it again";
}

void DataPath::close(bool keep) {
  if (std::exchange(closed_, true)) return;
  if (worker_ != nullptr) worker_->stop();
  if (xdp_ != nullptr) xdp_->leave(keep);
}

std::string DataPath::detach(const std::string& pins) {
  return remove_pins(pins_here(pins));
}

IoStatus DataPath::status() const {
  IoStatus status;
  status.path = path_;
  status.why = why_;
  status.taken_over = taken_over_;
  if (xdp_ == nullptr) return status;
  status.xdp = xdp_->status();
  status.passed = xdp_->counter(VXLNAT_PASSED);
  status.raised = xdp_->counter(VXLNAT_RAISED);
  status.no_queue = xdp_->counter(VXLNAT_NO_QUEUE);
  status.fast_out = xdp_->counter(VXLNAT_FAST_OUT);
  status.fast_in = xdp_->counter(VXLNAT_FAST_IN);
  const Detour& detour = worker_->detour();
  status.detoured = detour.packets();
  status.lost = detour.lost();
  worker_->each_lane([&status](const PortCounters& lane) {
    const auto read = [](const std::atomic<std::uint64_t>& counter) {
      return counter.load(std::memory_order_relaxed);
    };
    status.rx_packets += read(lane.rx_packets);
    status.tx_packets += read(lane.tx_packets);
    status.rx_overflow += read(lane.rx_overflow);
    status.rx_invalid += read(lane.rx_invalid);
    status.tx_refused += read(lane.tx_refused);
  });
  return status;
}

}  // namespace vxlnat::io
