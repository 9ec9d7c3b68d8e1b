/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* Tells what is ours from what is the kernel's. Reads only: whatever is not
 * certainly ours goes to the kernel as it came. */

#ifndef VXLNAT_BPF_STEER_H_
#define VXLNAT_BPF_STEER_H_

#include "bpf/look_up.h"

/* Index of the interface in `vxlnat.ports`, or VXLNAT_MAX_PORTS. */
INLINE __u32 port_of(__u32 ifindex) {
  for (__u32 i = 0; i < VXLNAT_MAX_PORTS; i++) {
    if (i < vxlnat.port_count && vxlnat.ports[i].ifindex == ifindex) return i;
  }
  return VXLNAT_MAX_PORTS;
}

INLINE int is_ul3(__u32 ip) {
  /* The first four lie in element 0, the others in element 1. */
  struct vxlnat_layout* head = element(0);
  if (!head) return 0;
  __u32 count = head->ul3_count;
  if (count == 0) return 1;
  for (__u32 i = 0; i < 4; i++) {
    if (i < count && head->ul3s[i] == ip) return 1;
  }
  if (count <= 4) return 0;
  __u32* rest = element(64);
  if (!rest) return 0;
  for (__u32 i = 4; i < VXLNAT_MAX_UL3S; i++) {
    if (i < count && rest[i - 4] == ip) return 1;
  }
  return 0;
}
_Static_assert(__builtin_offsetof(struct vxlnat_layout, ul3s) == 48,
               "four addresses in element 0");

/* Finds the IPv4 header behind Ethernet and the tag that the port carries.
 * Null when this is another kind of frame, another VLAN, or cut short. */
INLINE struct iphdr* find_ip(void* data, void* end, __u32 vlan) {
  struct ethhdr* ethernet = data;
  if ((void*)(ethernet + 1) > end) return 0;
  __u8* ip = (void*)(ethernet + 1);
  __be16 type = ethernet->h_proto;
  if (vlan != 0) {
    __be16* tag = (void*)ip;
    if ((void*)(tag + 2) > end || type != bpf_htons(ETH_P_8021Q)) return 0;
    if ((bpf_ntohs(tag[0]) & 0xfff) != vlan) return 0;
    type = tag[1];
    ip += 4;
  }
  if (type != bpf_htons(ETH_P_IP) || ip + 20 > (__u8*)end) return 0;
  return (void*)ip;
}

/* VXLAN in one piece and with no options: what the engine reads from a ring.
 * The kernel puts fragments together for the socket. */
INLINE int is_vxlan(struct iphdr* ip, void* end) {
  if (ip->protocol != IPPROTO_UDP || ip->ihl != 5) return 0;
  if (ip->frag_off & bpf_htons(0x3fff)) return 0;
  struct udphdr* udp = (void*)(ip + 1);
  if ((void*)(udp + 1) > end) return 0;
  return udp->dest == bpf_htons(vxlnat.layout.vxlan_port);
}

/* Whether `ip` is a public address of ours; not a guess. */
INLINE int is_public(__u32 ip) {
  struct place at = {};
  return find_snat_public(ip, &at) != ABSENT ||
         find_entry(NO_VNET, ip, at_public, &at) != ABSENT;
}

#endif /* VXLNAT_BPF_STEER_H_ */
