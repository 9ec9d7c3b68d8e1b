/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* Where the packet goes from here, by the kernel's own routes and neighbours,
 * whoever put them there. An answer is kept for HOP_MS on its CPU, so a change
 * of a route is followed that much later. */

#ifndef VXLNAT_BPF_NEXT_HOP_H_
#define VXLNAT_BPF_NEXT_HOP_H_

#include "bpf/look_up.h"

#define HOP_MS 16
#define HOP_BITS 12
#define HOPS (1u << HOP_BITS)
#define AF_INET 2

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(key_size, 4);
  __uint(value_size, sizeof(struct vxlnat_hop));
  __uint(max_entries, HOPS);
} hops SEC(".maps");

/* What decides the way of a packet, addresses in network order. */
struct journey {
  __u32 src;
  __u32 dst;
  __u16 length;
  __u8 proto;
  __u8 path; /* below VXLNAT_PATHS */
};

/* Asks the kernel. Returns 0, or why the packet goes up. */
INLINE int ask_kernel(struct xdp_md* ctx, const struct journey* j,
                      struct vxlnat_hop* hop) {
  struct bpf_fib_lookup query = {
      .family = AF_INET,
      .l4_protocol = j->proto,
      .sport = bpf_htons(VXLNAT_PATH_PORT + j->path),
      .dport = bpf_htons(VXLNAT_PATH_PORT),
      .ipv4_src = j->src,
      .ipv4_dst = j->dst,
      .ifindex = vxlnat.from_ifindex,
  };
  if (bpf_fib_lookup(ctx, &query, sizeof(query), 0) != 0) {
    return VXLNAT_UP_NO_HOP;
  }
  hop->ifindex = 0;
  for (__u32 i = 0; i < VXLNAT_MAX_PORTS; i++) {
    if (i < vxlnat.port_count && vxlnat.ports[i].l3_ifindex == query.ifindex) {
      hop->ifindex = vxlnat.ports[i].ifindex;
      hop->vlan = vxlnat.ports[i].vlan;
    }
  }
  if (hop->ifindex == 0) return VXLNAT_UP_NO_HOP;
  hop->l3_ifindex = query.ifindex;
  hop->gateway = query.ipv4_dst;
  hop->mtu = query.mtu_result;
  __builtin_memcpy(hop->dst_mac, query.dmac, 6);
  __builtin_memcpy(hop->src_mac, query.smac, 6);
  return 0;
}

/* Returns 0, or why the packet goes up. `now` is in milliseconds. */
INLINE int find_hop(struct xdp_md* ctx, const struct journey* j, __u32 now,
                    struct vxlnat_hop** found) {
  __u64 key = (__u64)j->src << 32 | j->dst;
  __u32 way = (__u32)j->proto << 8 | j->path;
  __u32 index =
      (__u32)(((key ^ way) * 0x9e3779b97f4a7c15ull) >> (64 - HOP_BITS));
  struct vxlnat_hop* hop = bpf_map_lookup_elem(&hops, &index);
  if (!hop) return VXLNAT_UP_NO_HOP;
  if (hop->key != key || hop->way != way || now - hop->asked >= HOP_MS ||
      hop->ifindex == 0) {
    int why = ask_kernel(ctx, j, hop);
    hop->key = key;
    hop->way = way;
    hop->asked = now;
    if (why) {
      hop->ifindex = 0;
      return why;
    }
  }
  /* 0 was not told: links of an Ethernet kind carry at least this. */
  if (j->length > (hop->mtu ? hop->mtu : 1500)) return VXLNAT_UP_LENGTH;
  *found = hop;
  return 0;
}

#endif /* VXLNAT_BPF_NEXT_HOP_H_ */
