// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The story of a packet: one line of JSON with each stage's answer, in the
// order of stages.h. It is told from outside, by looking at the packet and
// the tables after each stage; no stage knows of it. docs/vxlnatadm.md shows
// one.
//
// Between `parse` and the choice of a translation a `look_up` step says what
// the tables hold for the packet, before it changes anything: a flow that is
// live, expired, dead (its rule is gone) or in quarantine, or none; the 1:1
// entry; the rule.

#include "engine/context.h"
#include "engine/stages.h"
#include "engine/tap.h"
#include "engine/wire.h"

namespace vxlnat {

namespace {

Prefix prefix_of(const vxlnat_rule& rule) {
  return {rule.prefix, static_cast<std::uint8_t>(rule.bits)};
}

// `SA` for SYN and ACK, as tcpdump writes them but without brackets.
std::string_view flags_text(std::uint8_t flags, std::array<char, 8>& text) {
  constexpr char letters[] = "FSRPAUEW";
  std::size_t used = 0;
  for (unsigned i = 0; i < 8; i++) {
    if ((flags >> i & 1) != 0) text[used++] = letters[i];
  }
  return {text.data(), used};
}

const char* condition(const FlowTable& flows, const vxlnat_flow& flow,
                      Tick now) {
  if (flows.is_dead(flow)) return "dead";
  if (flows.idle(flow, now) >= flows.timeout(flow)) return "expired";
  return is_live(static_cast<FlowState>(flow.state)) ? "live" : "quarantine";
}

void tell_tuple(JsonLine& line, const Packet& p) {
  line.number("proto", p.proto);
  line.endpoint("src", p.src, p.sport);
  line.endpoint("dst", p.dst, p.dport);
  line.number("ttl", p.data[wire::ip::kTtl]);
  line.number("length", p.length);
  if (p.fragment) line.text("fragment", p.first ? "first" : "later");
  if (p.proto == kTcp && p.first) {
    std::array<char, 8> text;
    line.text("flags", flags_text(p.data[p.l4 + wire::tcp::kFlags], text));
  }
  if (p.proto == kIcmp && p.first) {
    line.number("icmp_type", p.data[p.l4]);
    line.number("icmp_code", p.data[p.l4 + 1]);
  }
}

void tell_translation(JsonLine& line, const Packet& p) {
  const Translation& t = p.translation;
  line.endpoint("new_src", t.src, t.ports ? t.src_port : p.sport);
  line.endpoint("new_dst", t.dst, t.ports ? t.dst_port : p.dport);
}

}  // namespace

void Taps::tell_begin(const Packet& p) {
  if (!telling()) return;
  line_.open();
  line_.number("packet", number_);
  line_.number("time_ms", c_.now);
  line_.text("direction", facts_.outbound ? "out" : "in");
  line_.number("bytes", p.length);
  if (start_ == nullptr) line_.flag("waited", true);
  if (facts_.outbound && p.path.peer_ip != 0) {
    line_.ip("ul3", p.path.peer_ip);
  }
  line_.open_list("steps");
}

void Taps::tell_stage(const Packet& p, std::string_view name, bool ended) {
  if (!telling()) return;
  const JsonLine::Mark before = line_.mark();
  line_.open();
  line_.text("stage", name);
  if (&p != packet_) line_.flag("other", true);
  if (ended && p.drop_reason < kDropCount) {
    line_.text("drop", kDropTexts[p.drop_reason].name);
    tell_port_tries();
  } else if (ended) {
    line_.flag("ends", true);
  } else {
    tell_result(p, name);
  }
  line_.close();
  if (!line_.fits()) line_.back_to(before);
  if (name == "parse" && !ended) tell_look_up(p);
}

// What a stage that let the packet go on has found or done.
void Taps::tell_result(const Packet& p, std::string_view name) {
  if (name == "decap") {
    line_.number("vnet", p.vnet);
    line_.mac("src_mac", p.inner_src);
    line_.mac("dst_mac", p.inner_dst);
    line_.text("holds", p.arp ? "arp" : "ipv4");
  } else if (name == "parse") {
    tell_tuple(line_, p);
  } else if (name == "choose_outbound" || name == "choose_inbound" ||
             name == "turn_round") {
    line_.number("vnet", p.vnet);
    if (p.rule != kNoSlot) {
      line_.prefix("rule", prefix_of(c_.rules.at(p.rule)));
    }
    tell_translation(line_, p);
    tell_flow(flow_of(p, name == "choose_outbound"));
  } else if (name == "rewrite") {
    line_.endpoint("src", p.src, p.sport);
    line_.endpoint("dst", p.dst, p.dport);
    line_.number("ttl", p.data[wire::ip::kTtl]);
  }
}

void Taps::tell_port_tries() {
  if (c_.port_tries > 0) line_.number("port_tries", c_.port_tries);
}

void Taps::tell_look_up(const Packet& p) {
  if (&p != packet_) return;
  const JsonLine::Mark before = line_.mark();
  const vxlnat_flow* flow = flow_of(p, facts_.outbound);
  facts_.had_flow = flow != nullptr;
  c_.port_tries = 0;
  line_.open();
  line_.text("stage", "look_up");
  if (flow == nullptr) {
    line_.text("flow", "none");
  } else {
    line_.text("flow", condition(c_.flows, *flow, c_.now));
    line_.text("state", state_name(static_cast<FlowState>(flow->state)));
    line_.number("idle_ms", c_.flows.idle(*flow, c_.now));
    line_.number("timeout_ms", c_.flows.timeout(*flow));
  }
  const vxlnat_one_to_one* entry =
      facts_.outbound ? c_.one_to_ones.find_private(p.vnet, p.src)
                      : c_.one_to_ones.find_public(p.dst);
  if (entry == nullptr) {
    line_.null("one_to_one");
  } else {
    line_.ip("one_to_one",
             facts_.outbound ? entry->public_ip : entry->private_ip);
  }
  if (facts_.outbound) {
    const std::uint32_t rule = c_.rules.match(p.vnet_slot, p.src);
    if (rule == kNoSlot) {
      line_.null("rule");
    } else {
      line_.prefix("rule", prefix_of(c_.rules.at(rule)));
    }
  } else {
    line_.flag("public_of_rule", c_.rules.is_public(p.dst));
  }
  line_.close();
  if (!line_.fits()) line_.back_to(before);
}

void Taps::tell_flow(const vxlnat_flow* flow) {
  if (flow == nullptr) return;
  line_.text("flow", facts_.had_flow ? "known" : "created");
  tell_port_tries();
  line_.text("state", state_name(static_cast<FlowState>(flow->state)));
  line_.endpoint("private", flow->private_ip, flow->private_port);
  line_.endpoint("public", flow->public_ip, flow->public_port);
  line_.endpoint("remote", flow->remote_ip, flow->remote_port);
}

void Taps::tell_underlay(std::span<const std::uint8_t> bytes,
                         const Underlay& to) {
  if (!telling()) return;
  const JsonLine::Mark before = line_.mark();
  line_.open();
  line_.text("stage", "send");
  line_.text("to", "underlay");
  line_.endpoint("ul3", to.dst_ip, to.dst_port);
  line_.number("vnet", get32(bytes.data() + 4) >> 8);
  line_.mac("dst_mac", get_mac(bytes.data() + wire::kVxlanSize));
  line_.number("bytes", bytes.size());
  line_.close();
  if (!line_.fits()) line_.back_to(before);
}

void Taps::tell_external(std::span<const std::uint8_t> bytes) {
  if (!telling()) return;
  const JsonLine::Mark before = line_.mark();
  line_.open();
  line_.text("stage", "send");
  line_.text("to", "external");
  line_.ip("src", get32(bytes.data() + wire::ip::kSrc));
  line_.ip("dst", get32(bytes.data() + wire::ip::kDst));
  line_.number("bytes", bytes.size());
  line_.close();
  if (!line_.fits()) line_.back_to(before);
}

// A packet that was neither sent nor dropped waits for its first fragment or
// for the host's place to be known.
void Taps::tell_end() {
  if (!telling()) return;
  line_.close_list();
  if (facts_.drop) {
    const DropText& text = kDropTexts[static_cast<std::size_t>(*facts_.drop)];
    line_.text("verdict", "dropped");
    line_.text("drop", text.name);
    line_.text("why", text.sentence);
  } else {
    line_.text("verdict", facts_.sent > 0 ? "sent" : "kept");
  }
  line_.close();
}

}  // namespace vxlnat
