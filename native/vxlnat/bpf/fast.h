/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* The fast path: an established packet is translated and sent on the spot.
 * Each direction returns 0 when it has sent the packet, and `action` says
 * how; else why the packet goes up, and then nothing has changed. */

#ifndef VXLNAT_BPF_FAST_H_
#define VXLNAT_BPF_FAST_H_

#include "bpf/choose.h"
#include "bpf/next_hop.h"
#include "bpf/packet.h"
#include "bpf/rewrite.h"
#include "bpf/tunnel.h"

/* Milliseconds of the engine's clock, to within a tick of the kernel's. */
INLINE __u32 milliseconds(void) {
  return (__u32)(bpf_ktime_get_coarse_ns() / 1000000);
}

/* Context::next_ip_id. */
INLINE __u16 next_ip_id(__u32 src, __u32 dst, __u8 proto) {
  __u64 slot = hash16((__u64)src << 32 | dst, proto) & (VXLNAT_IP_IDS - 1);
  __u64 offset = vxlnat.layout.ip_ids.offset + slot * 4;
  __u8* cell = element(offset);
  if (!cell) return 0;
  return (__u16)__sync_fetch_and_add((__u32*)(cell + (offset & 60)), 1);
}

/* Of a packet that leaves with this source. */
INLINE __u8 path_of(const struct packet* p, __u32 src, __u16 sport) {
  int ports = p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
  return (__u8)vxlnat_path_of(src, ports ? (__u32)sport << 16 | p->dport : 0);
}

INLINE int fast_outbound(struct xdp_md* ctx, struct iphdr* outer, int* action) {
  void* data = FRAME_EDGE(ctx, data);
  void* end = FRAME_EDGE(ctx, data_end);
  struct tunnelled t;
  struct packet p;
  struct choice c = {};
  struct host host;
  struct vxlnat_hop* hop;
  __u32 now = milliseconds();

  int why = open_tunnel(outer, end, &t);
  if (why) return why;
  struct iphdr* ip = t.ip;
  why = read_packet(ip, end, t.room, &p);
  if (why) return why;
  if (!tunnel_sum_holds(outer, &t, &p)) return VXLNAT_UP_TUNNEL_SUM;
  int tos = carry_ecn(p.tos, outer->tos);
  if (tos < 0) return VXLNAT_UP_ODD;
  why = choose_outbound(&c, &p, t.vni, now);
  if (why) return why;
  if (c.router_mac != t.router_mac) return VXLNAT_UP_RULE;
  why = read_host(&c, &host);
  if (why) return why;
  if (host.ul3_ip != bpf_ntohl(outer->saddr)) return VXLNAT_UP_HOST;
  if (maybe_ours(p.dst)) return VXLNAT_UP_HAIRPIN;

  struct changes to = {
      .out = 1, .address = bpf_htonl(c.ip), .ports = c.flow != 0, .tos = tos};
  to.port = bpf_htons(c.port);
  if (c.flow && p.icmp == ICMP_ECHO && p.proto == IPPROTO_ICMP &&
      echo_sum(&p, bpf_htons(p.sport), to.port) == 0) {
    return VXLNAT_UP_ICMP;
  }
  struct journey j = {.src = to.address,
                      .dst = ip->daddr,
                      .length = p.length,
                      .proto = p.proto,
                      .path = path_of(&p, c.ip, c.flow ? c.port : p.sport)};
  why = find_hop(ctx, &j, now, &hop);
  if (why) return why;

  account(&c, &p, 1, now);
  if (c.flow && p.may_fragment) {
    to.new_id = 1;
    to.id = bpf_htons(next_ip_id(c.ip, p.dst, p.proto));
  }
  rewrite(ip, end, &p, &to);
  __u32 header = ETH_HLEN + (hop->vlan ? TAG_SIZE : 0);
  __u32 before = (void*)ip - data;
  __u32 padding = (end - (void*)ip) - p.length;
  *action = XDP_ABORTED;
  if (bpf_xdp_adjust_head(ctx, (int)(before - header))) return 0;
  data = FRAME_EDGE(ctx, data);
  end = FRAME_EDGE(ctx, data_end);
  if (data + ETH_HLEN + TAG_SIZE > end) return 0;
  put_link(data, hop);
  if (padding && bpf_xdp_adjust_tail(ctx, -(int)padding)) return 0;
  *action = (int)bpf_redirect(hop->ifindex, 0);
  return 0;
}

INLINE int fast_inbound(struct xdp_md* ctx, struct iphdr* ip, int* action) {
  void* data = FRAME_EDGE(ctx, data);
  void* end = FRAME_EDGE(ctx, data_end);
  struct packet p;
  struct choice c = {};
  struct host host;
  struct vxlnat_hop* hop;
  __u32 now = milliseconds();

  __u32 before = (void*)ip - data;
  __u32 room = end - (void*)ip;
  int why = read_packet(ip, end, room, &p);
  if (why) return why;
  struct vxlnat_layout* head = element(0);
  if (!head || head->ul3_count == 0) return VXLNAT_UP_HOST;
  __u32 from = READ_ONCE(head->ul3s[0]);
  if (from == 0) return VXLNAT_UP_SHUT;
  if (p.length > READ_ONCE(head->inner_mtu)) return VXLNAT_UP_LENGTH;
  why = choose_inbound(&c, &p, now);
  if (why) return why;
  why = read_host(&c, &host);
  if (why) return why;

  struct changes to = {.address = bpf_htonl(c.ip),
                       .port = bpf_htons(c.port),
                       .ports = c.flow != 0,
                       .tos = p.tos};
  if (c.flow && p.proto == IPPROTO_ICMP &&
      echo_sum(&p, bpf_htons(p.dport), to.port) == 0) {
    return VXLNAT_UP_ICMP;
  }
  p.dst = c.ip;
  if (c.flow) p.dport = c.port;
  __u32 inner = ETH_HLEN + (c.vlan ? TAG_SIZE : 0);
  __u32 length = p.length + inner + 20 + 8 + 8;
  __u16 entropy = entropy_of(&p);
  struct journey j = {.src = bpf_htonl(from),
                      .dst = bpf_htonl(host.ul3_ip),
                      .length = length,
                      .proto = IPPROTO_UDP,
                      .path = entropy % VXLNAT_PATHS};
  why = find_hop(ctx, &j, now, &hop);
  if (why) return why;

  __u32 header = ETH_HLEN + (hop->vlan ? TAG_SIZE : 0) + 20 + 8 + 8 + inner;
  if (bpf_xdp_adjust_head(ctx, (int)before - (int)header)) {
    return VXLNAT_UP_ODD;
  }
  account(&c, &p, 0, now);
  *action = XDP_ABORTED;
  data = FRAME_EDGE(ctx, data);
  end = FRAME_EDGE(ctx, data_end);
  if (data + 2 * (ETH_HLEN + TAG_SIZE) + 20 + 8 + 8 > end) return 0;
  void* at = put_link(data, hop);
  at = put_tunnel(at, length, p.tos, from, &host, entropy, c.vni);
  put_mac(at, host.mac);
  put_mac(at + 6, c.router_mac);
  ip = put_type(at + 12, c.vlan);
  if ((void*)(ip + 1) > end) return 0;
  rewrite(ip, end, &p, &to);
  if (room > p.length && bpf_xdp_adjust_tail(ctx, -(int)(room - p.length))) {
    return 0;
  }
  *action = (int)bpf_redirect(hop->ifindex, 0);
  return 0;
}

#endif /* VXLNAT_BPF_FAST_H_ */
