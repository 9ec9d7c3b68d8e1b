/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* The part of vxlnat that runs in the kernel; README.md beside this file says
 * what each map and program is for. */

/* The helpers need the types of the kernel's headers. */
/* clang-format off */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

#include "bpf/maps.h"

const volatile struct vxlnat_settings vxlnat SEC(".rodata.settings") = {};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(key_size, 4);
  __uint(value_size, 64);
  __uint(max_entries, 1); /* the loader puts its own map here */
} tables SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(key_size, 4);
  __uint(value_size, 4);
  __uint(max_entries, VXLNAT_MAX_PORTS* VXLNAT_MAX_QUEUES);
} xsks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(key_size, 4);
  __uint(value_size, 8);
  __uint(max_entries, VXLNAT_COUNTERS);
} counters SEC(".maps");

#include "bpf/fast.h"
#include "bpf/look_up.h"
#include "bpf/steer.h"

INLINE void count(__u32 index) {
  __u64* counter = bpf_map_lookup_elem(&counters, &index);
  if (counter) (*counter)++;
}

/* To the engine, through the socket of the queue. */
INLINE int raise(struct xdp_md* ctx, __u32 port) {
  __u32 queue = ctx->rx_queue_index;
  if (queue < VXLNAT_MAX_QUEUES) {
    int action = (int)bpf_redirect_map(&xsks, port * VXLNAT_MAX_QUEUES + queue,
                                       XDP_PASS);
    if (action == XDP_REDIRECT) {
      count(VXLNAT_RAISED);
      return action;
    }
  }
  count(VXLNAT_NO_QUEUE);
  return XDP_PASS;
}

INLINE int pass(void) {
  count(VXLNAT_PASSED);
  return XDP_PASS;
}

INLINE int receive(struct xdp_md* ctx) {
  void* data = FRAME_EDGE(ctx, data);
  void* end = FRAME_EDGE(ctx, data_end);
  /* What does not lie in one page is the kernel's, whose sockets bring it to
   * the engine: a lane's frames are of one page too. */
  if ((vxlnat.flags & VXLNAT_JUMBO) &&
      bpf_xdp_get_buff_len(ctx) != (__u64)(end - data)) {
    return pass();
  }
  __u32 port = port_of(ctx->ingress_ifindex);
  if (port >= VXLNAT_MAX_PORTS) return XDP_PASS;
  __u32 roles = vxlnat.ports[port].roles;
  int fast = (vxlnat.flags & VXLNAT_FAST) != 0;
  int action = XDP_PASS;
  struct iphdr* ip = find_ip(data, end, vxlnat.ports[port].vlan);
  if (!ip || ip->version != 4) return pass();
  __u32 to = bpf_ntohl(ip->daddr);
  if ((roles & VXLNAT_UNDERLAY) && is_vxlan(ip, end) && is_ul3(to)) {
    int why = fast ? fast_outbound(ctx, ip, &action) : -1;
    if (why > 0) count(why);
    if (why == 0) count(VXLNAT_FAST_OUT);
    return why == 0 ? action : raise(ctx, port);
  }
  if ((roles & VXLNAT_EXTERNAL) && maybe_ours(to)) {
    int why = fast ? fast_inbound(ctx, ip, &action) : -1;
    if (why == 0) {
      count(VXLNAT_FAST_IN);
      return action;
    }
    if (!is_public(to)) return pass();
    if (why > 0) count(why);
    return raise(ctx, port);
  }
  return pass();
}

SEC("xdp")
int ingress(struct xdp_md* ctx) { return receive(ctx); }

/* Answers a page of vxlnat_next_hop in place. */
SEC("xdp")
int next_hops(struct xdp_md* ctx) {
  void* end = FRAME_EDGE(ctx, data_end);
  struct vxlnat_next_hop* each = FRAME_EDGE(ctx, data);
  for (__u32 i = 0; i < VXLNAT_NEXT_HOPS; i++, each++) {
    if ((void*)(each + 1) > end) break;
    struct bpf_fib_lookup query = {
        .family = AF_INET,
        .l4_protocol = each->proto,
        .sport = each->src_port,
        .dport = each->dst_port,
        .tos = each->tos,
        .ipv4_src = each->src_ip,
        .ipv4_dst = each->dst_ip,
        .ifindex = vxlnat.from_ifindex,
    };
    each->result = (__s32)bpf_fib_lookup(ctx, &query, sizeof(query), 0);
    each->ifindex = query.ifindex;
    each->mtu = query.mtu_result;
    each->dst_ip = query.ipv4_dst;
    __builtin_memcpy(each->dst_mac, query.dmac, 6);
    __builtin_memcpy(each->src_mac, query.smac, 6);
  }
  return XDP_PASS;
}

/* bpf_fib_lookup is for programs under the GPL, with which MPL 2.0 code may
 * be combined (section 3.3). */
const char may_call[] SEC("license") = "Dual MPL/GPL";
