// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Which public port a new flow gets at one public address. The wish comes
// first: a keyed hash of the inside endpoint, so an endpoint keeps its public
// port towards every remote as long as it is free (facts: nat-behaviour U1).
// port_search.h says what follows. The range is the rule's, or the host's own
// part of it: what arithmetic gives it, or its blocks, to which one is added
// when they are full towards the remote.

#include "engine/place.h"
#include "engine/port_range.h"
#include "engine/port_search.h"

namespace vxlnat {

namespace {

std::uint16_t preferred_port(const Context& c, const Wish& wish, Ip4 public_ip,
                             PortRange range) {
  const std::uint64_t hash =
      hash16(c.key, std::uint64_t{wish.vni_proto} << 32 | wish.private_ip,
             std::uint64_t{wish.private_port} << 32 | public_ip);
  return static_cast<std::uint16_t>(range.low + hash % range.size());
}

struct Search {
  Context& c;
  const Wish& wish;
  std::uint32_t member;
  Ip4 public_ip;
  bool bind;  // towards everybody
};

bool may_scan(const Search& s) {
  return s.c.dry || s.c.scan_limit.allow(s.wish.vni_proto >> 8, 0, s.c.now);
}

// `in_block`: the range is a block of the host; else blocks are barred.
Drop search_in(const Search& s, PortRange range, bool in_block, Place& place) {
  Context& c = s.c;
  const std::uint8_t proto = s.wish.proto();
  const PortMapKey towards{s.public_ip, s.wish.remote_ip, s.wish.remote_port,
                           proto};
  const auto in_use = [&](std::uint16_t port) {
    return c.flows.port_in_use(towards, port, c.now);
  };
  const auto bound = [&](std::uint16_t port) {
    return c.accounts.binding_of(proto, s.public_ip, port) != nullptr;
  };
  const auto foreign = [&](std::uint16_t port) {
    return !in_block && c.accounts.blocks().owner(s.public_ip, port) != 0;
  };
  const auto tried = [&](auto&& taken) {
    return [&c, taken](std::uint16_t port) {
      c.port_tries++;
      return taken(port);
    };
  };
  const auto leave = [&] { return may_scan(s); };
  PortSearch search{towards, range,
                    preferred_port(c, s.wish, s.public_ip, range), !c.dry};
  PortFound found;
  if (s.bind) {
    search.key = {s.public_ip, 0, 0, proto};
    found = search_port(
        c.accounts.bindings().maps(), search, c.random, tried(bound),
        [&](std::uint16_t port) { return foreign(port) || in_use(port); },
        leave);
  } else {
    found = search_port(
        c.flows.maps(), search, c.random, tried(in_use),
        [&](std::uint16_t port) { return foreign(port) || bound(port); },
        leave);
  }
  if (!found.port) {
    return found.gave_up ? Drop::kPortSearchLimit : Drop::kPortExhausted;
  }
  place.rule = s.member;
  place.port = *found.port;
  return Drop::kCount;
}

// A block of the address that nobody has, random; 0 when there is none.
std::uint32_t new_block(const Search& s, Host& host, PortRange range,
                        std::uint16_t size) {
  constexpr std::uint32_t kProbes = 8;
  BlockTable& blocks = s.c.accounts.blocks();
  const std::uint32_t count = BlockTable::count_of(range, size);
  if (count == 0) return 0;
  const std::uint32_t first = BlockTable::first_of(range, size);
  std::uint32_t n = s.c.random.below(count);
  for (std::uint32_t i = 0; i < count; i++, n = n + 1 == count ? 0 : n + 1) {
    if (i == kProbes && !may_scan(s)) return 0;
    const std::uint32_t low = first + n * size;
    const PortRange ports{static_cast<std::uint16_t>(low),
                          static_cast<std::uint16_t>(low + size - 1)};
    if (!blocks.is_free(s.public_ip, ports)) continue;
    return s.c.accounts.take_block(host, s.wish.vni_proto >> 8, s.public_ip,
                                   ports);
  }
  return 0;
}

Drop search_blocks(const Search& s, PortRange range, std::uint16_t size,
                   Place& place) {
  constexpr unsigned kCheap = 8;
  Accounts& accounts = s.c.accounts;
  Host* host = accounts.make_host(s.wish.vnet_slot, s.wish.private_ip);
  if (host == nullptr) return Drop::kHostTableFull;
  place.flags |= VXLNAT_FLOW_BLOCK;
  unsigned seen = 0;
  for (std::uint32_t ref = host->first_block; ref != 0;
       ref = accounts.blocks().at(ref).next) {
    const Block& block = accounts.blocks().at(ref);
    if (block.public_ip != s.public_ip || !range.holds(block.ports.low)) {
      continue;
    }
    if (seen++ == kCheap && !may_scan(s)) return Drop::kPortSearchLimit;
    if (search_in(s, block.ports, true, place) == Drop::kCount) {
      return Drop::kCount;
    }
  }
  Drop reason = Drop::kPortExhausted;
  const std::uint32_t made = new_block(s, *host, range, size);
  if (made != 0) {
    reason = search_in(s, accounts.blocks().at(made).ports, true, place);
    if (reason != Drop::kCount || s.c.dry) accounts.drop_block_if_unused(made);
  }
  if (reason != Drop::kCount || s.c.dry) accounts.drop_host_if_unused(*host);
  return reason;
}

}  // namespace

HostPorts fixed_ports(const Context& c, const Wish& wish) {
  const RuleOptions& options = c.rules.options(wish.rule);
  const vxlnat_rule& rule = c.rules.at(wish.rule);
  const Prefix prefix{rule.prefix, static_cast<std::uint8_t>(rule.bits)};
  return ports_of(prefix, 1 + options.more_public_ips.size(),
                  port_range(c.config, options), wish.private_ip);
}

Drop find_port(Context& c, const Wish& wish, std::uint32_t member,
               Place& place) {
  const RuleOptions& options = c.rules.options(wish.rule);
  const bool bind = options.mapping == Mapping::kIndependent;
  if (bind && c.accounts.bindings().is_full()) return Drop::kBindingTableFull;
  const Search search{c, wish, member, c.rules.at(member).public_ip, bind};
  const PortRange range = options.mapping == Mapping::kDeterministic
                              ? fixed_ports(c, wish).ports
                              : port_range(c.config, options);
  place = Place{};
  const Drop reason =
      options.block_size == 0
          ? search_in(search, range, false, place)
          : search_blocks(search, range, options.block_size, place);
  if (reason != Drop::kCount || !bind) return reason;
  // The binding holds the block, and the flow the binding.
  (void)c.accounts.bind({.vni_proto = wish.vni_proto,
                         .private_ip = wish.private_ip,
                         .public_ip = search.public_ip,
                         .private_port = wish.private_port,
                         .public_port = place.port,
                         .rule = member,
                         .in_block = place.flags != 0});
  place.flags = VXLNAT_FLOW_BOUND;
  return Drop::kCount;
}

}  // namespace vxlnat
