// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What comes from JavaScript: configuration, operations, filters. See
// convert.h.

#include <iterator>
#include <optional>
#include <string_view>

#include "addon/convert.h"
#include "addon/inspect.h"

namespace vxlnat::addon {

namespace {

constexpr std::uint64_t kMaxPort = 65535;
constexpr std::uint64_t kMaxVlan = 4094;
// A month; ts/options.ts has the sensible ranges.
constexpr std::uint64_t kMaxMs = 30ull * 86'400'000;
constexpr std::uint64_t kMaxExact = 1ull << 53;

std::uint16_t port(const Field& field) {
  return static_cast<std::uint16_t>(field.number(0, kMaxPort));
}

std::uint16_t vlan(const Field& field) {
  return static_cast<std::uint16_t>(field.number(0, kMaxVlan));
}

Vni vnet(const Field& field) {
  return static_cast<Vni>(field.number(0, kMaxVni));
}

std::uint32_t milliseconds(const Field& field) {
  return static_cast<std::uint32_t>(field.number(0, kMaxMs));
}

std::array<std::uint8_t, 16> seed(const Field& from) {
  constexpr std::string_view digits = "0123456789abcdef";
  const std::string text = from.text();
  std::array<std::uint8_t, 16> bytes{};
  bool ok = text.size() == 2 * bytes.size();
  for (std::size_t i = 0; ok && i < text.size(); i++) {
    const std::size_t digit = digits.find(text[i]);
    ok = digit != std::string_view::npos;
    bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] << 4 | (digit & 15));
  }
  if (!ok) from.fail("expected 32 hex digits");
  return bytes;
}

Operation add_ul3(const Field& from) {
  return AddUl3{.ip = from.get("ip").ip()};
}

Operation remove_ul3(const Field& from) {
  return RemoveUl3{.ip = from.get("ip").ip()};
}

Operation remove_rule(const Field& from) {
  return RemoveRule{.vnet = vnet(from.get("vnet")),
                    .prefix = from.get("prefix").prefix()};
}

Operation set_one_to_one(const Field& from) {
  return SetOneToOne{
      .vnet = vnet(from.get("vnet")),
      .vlan = vlan(from.get("vlan")),
      .private_ip = from.get("private_ip").ip(),
      .public_ip = from.get("public_ip").ip(),
  };
}

Operation remove_one_to_one(const Field& from) {
  return RemoveOneToOne{.vnet = vnet(from.get("vnet")),
                        .private_ip = from.get("private_ip").ip()};
}

Operation set_remote(const Field& from) {
  return SetRemote{
      .vnet = vnet(from.get("vnet")),
      .ip = from.get("ip").ip(),
      .mac = from.get("mac").mac(),
      .ul3_ip = from.get("ul3_ip").ip(),
      .ul3_port = port(from.get("ul3_port")),
  };
}

Operation remove_remote(const Field& from) {
  return RemoveRemote{.vnet = vnet(from.get("vnet")),
                      .ip = from.get("ip").ip()};
}

Operation remove_remote_mac(const Field& from) {
  return RemoveRemoteMac{.vnet = vnet(from.get("vnet")),
                         .mac = from.get("mac").mac()};
}

Operation remote_not_found(const Field& from) {
  return RemoteNotFound{.vnet = vnet(from.get("vnet")),
                        .ip = from.get("ip").ip(),
                        .retry_ms = milliseconds(from.get("retry_ms"))};
}

std::optional<FlowOwner> owner(const Field& from) {
  if (from.is_null()) return {};
  return FlowOwner{.vnet = vnet(from.get("vnet")),
                   .private_ip = from.get("private_ip").ip(),
                   .private_port = port(from.get("private_port"))};
}

Operation remove_flow(const Field& from) {
  return RemoveFlow{
      .proto = static_cast<std::uint8_t>(from.get("proto").number(0, 255)),
      .public_ip = from.get("public_ip").ip(),
      .public_port = port(from.get("public_port")),
      .remote_ip = from.get("remote_ip").ip(),
      .remote_port = port(from.get("remote_port")),
      .owner = owner(from.get("owner")),
  };
}

Operation finish_adoption(const Field&) { return FinishAdoption{}; }

struct Reader {
  std::string_view op;
  Operation (*read)(const Field& from);
};

constexpr Reader kReaders[] = {
    {"add_ul3", add_ul3},
    {"remove_ul3", remove_ul3},
    {"set_rule", set_rule},
    {"remove_rule", remove_rule},
    {"set_vnet_limits", set_vnet_limits},
    {"set_drain", set_drain},
    {"set_one_to_one", set_one_to_one},
    {"remove_one_to_one", remove_one_to_one},
    {"set_remote", set_remote},
    {"remove_remote", remove_remote},
    {"remove_remote_mac", remove_remote_mac},
    {"remote_not_found", remote_not_found},
    {"remove_flow", remove_flow},
    {"finish_adoption", finish_adoption},
};

Operation operation(const Field& from) {
  const Field op = from.get("op");
  const std::string name = op.text();
  for (const Reader& reader : kReaders) {
    if (reader.op == name) return reader.read(from);
  }
  op.fail("no such operation: \"" + name + "\"");
}

std::string text_or_empty(const Field& from) {
  return from.is_null() ? "" : from.text();
}

io::PathKind path_kind(const Field& from) {
  const std::string text = from.text();
  for (const io::PathKind each : {io::PathKind::kAuto, io::PathKind::kXdp,
                                  io::PathKind::kAfXdp, io::PathKind::kTun}) {
    if (text == io::path_name(each)) return each;
  }
  from.fail("expected \"auto\", \"xdp\", \"af_xdp\" or \"tun\"");
}

}  // namespace

Timers timers(const Field& from) {
  return {
      .tcp_established = milliseconds(from.get("tcp_established")),
      .tcp_opening = milliseconds(from.get("tcp_opening")),
      .tcp_closing = milliseconds(from.get("tcp_closing")),
      .udp = milliseconds(from.get("udp")),
      .icmp = milliseconds(from.get("icmp")),
      .fragment = milliseconds(from.get("fragment")),
      .quarantine = milliseconds(from.get("quarantine")),
  };
}

std::uint32_t room(const Field& from) {
  return static_cast<std::uint32_t>(from.number(1, 1u << 24));
}

EngineConfig engine_config(const Field& from) {
  EngineConfig config;
  config.vxlan_port = port(from.get("vxlan_port"));
  config.probe_vnet = vnet(from.get("probe_vnet"));
  config.inner_mtu = port(from.get("inner_mtu"));
  config.max_flows =
      static_cast<std::uint32_t>(from.get("max_flows").number(1, 1u << 31));
  config.max_vnets = room(from.get("max_vnets"));
  config.max_rules = room(from.get("max_rules"));
  config.max_one_to_ones = room(from.get("max_one_to_ones"));
  config.max_remotes = room(from.get("max_remotes"));
  config.port_low = port(from.get("port_low"));
  config.port_high = port(from.get("port_high"));
  config.timers = timers(from.get("timers"));
  config.seed = seed(from.get("seed"));
  config.rst_on_unknown = from.get("rst_on_unknown").boolean();
  config.host_limits = limits(from.get("host_limits"));
  config.vnet_limits = limits(from.get("vnet_limits"));
  return config;
}

io::IoConfig io_config(const Field& from) {
  io::IoConfig io;
  io.kind = path_kind(from.get("kind"));
  io.underlay_interface = text_or_empty(from.get("underlay_interface"));
  io.external_interface = text_or_empty(from.get("external_interface"));
  io.external_vlan = vlan(from.get("external_vlan"));
  io.tun_name = from.get("tun_name").text();
  io.tun_mtu = static_cast<int>(from.get("tun_mtu").number(68, io::kRoom));
  io.burst = from.get("burst").number(1, 1024);
  io.lanes = static_cast<unsigned>(from.get("lanes").number(0, 1024));
  io.pins = text_or_empty(from.get("pins"));
  return io;
}

std::vector<Operation> operations(const Field& from) {
  const std::uint32_t length = from.array_length();
  std::vector<Operation> all;
  all.reserve(length);
  for (std::uint32_t i = 0; i < length; i++) {
    const Napi::HandleScope scope(from.env());
    all.push_back(operation(from.at(i)));
  }
  return all;
}

FlowQuery flow_query(const Field& from) {
  FlowQuery query;
  query.filter = flow_filter(from);
  query.limit = from.get("limit").number(1, 1u << 20);
  query.cursor = from.get("cursor").number(0, kMaxExact);
  return query;
}

}  // namespace vxlnat::addon
