/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* Taking a packet out of its tunnel: stage 1 of the engine (decap.cc), and the
 * outer checks of io/frame.cc. */

#ifndef VXLNAT_BPF_TUNNEL_H_
#define VXLNAT_BPF_TUNNEL_H_

#include "bpf/packet.h"
#include "bpf/rewrite.h"
#include "bpf/sum.h"

/* RFC 6040: what the tunnel's congestion mark makes of the packet's type of
 * service, or -1 when the engine must drop it. */
INLINE int carry_ecn(__u8 inner, __u8 outer) {
  __u8 mark = outer & 3;
  __u8 has = inner & 3;
  if (mark == 0 || has == mark || has == 3) return inner;
  if (has == 0) return mark == 3 ? -1 : inner;
  return mark == 2 ? inner : (inner & ~3) | mark;
}

/* A VXLAN datagram, and what it holds. */
struct tunnelled {
  struct iphdr* ip;
  __u32 vni;
  __u64 router_mac; /* to which the frame was sent */
  __u32 room;       /* for the packet */
};

/* `outer` has no options and is no fragment; UDP to our port. */
INLINE int open_tunnel(struct iphdr* outer, void* end, struct tunnelled* t) {
  struct udphdr* udp = (void*)(outer + 1);
  struct vxlan* vxlan = (void*)(udp + 1);
  __u8* ethernet = (void*)(vxlan + 1);
  /* With room for a tag, which the least of packets fills. */
  if (ethernet + 14 + TAG_SIZE + 20 > (__u8*)end) return VXLNAT_UP_ODD;
  __u32 total = bpf_ntohs(outer->tot_len);
  if (header_sum(outer) != 0xffff || total > (__u8*)end - (__u8*)outer ||
      total != bpf_ntohs(udp->len) + sizeof(*outer) ||
      !(vxlan->flags & bpf_htonl(VXLAN_HAS_VNI << 24))) {
    return VXLNAT_UP_ODD;
  }
  t->vni = bpf_ntohl(vxlan->vni) >> 8;
  if (t->vni == vxlnat.layout.probe_vnet) return VXLNAT_UP_ODD;
  t->router_mac = bpf_be64_to_cpu(*(__u64*)ethernet) >> 16;
  __u8* inner = ethernet + 14;
  __be16 type = *(__be16*)(ethernet + 12);
  if (type == bpf_htons(ETH_P_8021Q)) {
    type = *(__be16*)(ethernet + 16);
    inner += TAG_SIZE;
  }
  __u32 before = inner - (__u8*)outer;
  if (type != bpf_htons(ETH_P_IP) || total < before + 20) return VXLNAT_UP_ODD;
  t->ip = (void*)inner;
  t->room = total - before;
  return 0;
}

/* Whether the tunnel's own checksum is absent, unfinished, or right. RFC 7348
 * section 5 lets us not look; but it alone protects the VNI, and Linux sends
 * it by default. A packet is not read through for it: what the inner checksum
 * covers adds up to a number that is known when that checksum is right (Linux,
 * "local checksum offload"), and when it is not, the receiver finds it. What
 * has no inner checksum, or padding, is not known, and goes up. */
INLINE int tunnel_sum_holds(const struct iphdr* outer,
                            const struct tunnelled* t, const struct packet* p) {
  const struct iphdr* ip = t->ip;
  const struct udphdr* udp = (const void*)(outer + 1);
  if (udp->check == 0) return 1;
  __u64 sum = pseudo_sum(outer, bpf_ntohs(udp->len));
  if (udp->check == fold(sum)) return 1;
  __u16 left = p->length - sizeof(*ip);
  if (p->sum == 0 || p->length != t->room) return 0;
  if (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) {
    sum += (__u16)~fold(pseudo_sum(ip, left));
  } else if (p->proto != IPPROTO_ICMP) {
    return 0;
  }
  /* UDP, VXLAN and Ethernet; the inner IPv4 header adds nothing. */
  const __u32* word = (const void*)udp;
  for (int i = 0; i < 7; i++) sum += word[i];
  const __u16* type = (const void*)(word + 7);
  sum += *type;
  if ((const void*)ip != type + 1) sum += *(const __u32*)(type + 1);
  return fold(sum) == 0xffff;
}

#endif /* VXLNAT_BPF_TUNNEL_H_ */
