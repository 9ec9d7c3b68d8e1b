/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* The translation done to the bytes, as engine/rewrite.cc does it, and the
 * headers that a frame needs on its way. */

#ifndef VXLNAT_BPF_REWRITE_H_
#define VXLNAT_BPF_REWRITE_H_

#include "bpf/choose.h"
#include "bpf/packet.h"
#include "bpf/sum.h"

#define VXLAN_HAS_VNI 0x08
#define TAG_SIZE 4

struct vxlan {
  __be32 flags; /* in the first byte */
  __be32 vni;   /* in the first three */
};

/* Changes of an IPv4 header besides the address and the time to live. */
struct changes {
  int out;       /* the source changes, else the destination */
  __u32 address; /* network order, as all here */
  __u16 port;
  int ports; /* a port or the identifier changes too */
  __u8 tos;
  int new_id;
  __u16 id;
};

/* The checksum of an echo with another identifier; 0 is left to the engine,
 * for a message of zeros has 0xffff (rewrite.cc). */
INLINE __u16 echo_sum(const struct packet* p, __u16 old, __u16 id) {
  return update(p->sum, changed16(old, id));
}

/* `l4` has the 20 or 8 bytes that read_packet saw. */
INLINE void rewrite_l4(void* l4, void* end, const struct packet* p,
                       const struct changes* to, __u64 change) {
  if (p->proto == IPPROTO_TCP) {
    struct tcphdr* tcp = l4;
    if ((void*)(tcp + 1) > end) return;
    __be16* port = to->out ? &tcp->source : &tcp->dest;
    if (to->ports) {
      change += changed16(*port, to->port);
      *port = to->port;
    }
    tcp->check = update(p->sum, change);
  } else if (p->proto == IPPROTO_UDP) {
    struct udphdr* udp = l4;
    if ((void*)(udp + 1) > end) return;
    __be16* port = to->out ? &udp->source : &udp->dest;
    if (to->ports) {
      change += changed16(*port, to->port);
      *port = to->port;
    }
    if (p->sum == 0) return;
    __u16 sum = update(p->sum, change);
    udp->check = sum == 0 ? 0xffff : sum;
  } else if (p->proto == IPPROTO_ICMP && to->ports) {
    struct echo* echo = l4;
    if ((void*)(echo + 1) > end) return;
    echo->sum = echo_sum(p, echo->id, to->port);
    echo->id = to->port;
  }
}

INLINE void rewrite(struct iphdr* ip, void* end, const struct packet* p,
                    const struct changes* to) {
  __be32* address = to->out ? &ip->saddr : &ip->daddr;
  __u64 change = changed32(*address, to->address);
  rewrite_l4(ip + 1, end, p, to, change);
  *address = to->address;
  __u16* life = (void*)&ip->ttl;
  change += changed16(*life, *life - 1);
  (*life)--;
  if (to->new_id) {
    change += changed16(ip->id, to->id);
    ip->id = to->id;
  }
  if (to->tos != ip->tos) {
    __u16* first = (void*)ip;
    __u16 before = *first;
    ip->tos = to->tos;
    change += changed16(before, *first);
  }
  ip->check = update(ip->check, change);
}

INLINE void put_mac(void* at, __u64 mac) {
  mac = bpf_cpu_to_be64(mac << 16);
  *(__u32*)at = (__u32)mac;
  *(__u16*)(at + 4) = (__u16)(mac >> 32);
}

/* Puts type and tag behind the addresses of an Ethernet header; returns what
 * follows. */
INLINE void* put_type(void* behind, __u16 vlan) {
  __be16* at = behind;
  if (vlan) {
    *at++ = bpf_htons(ETH_P_8021Q);
    *at++ = bpf_htons(vlan);
  }
  *at++ = bpf_htons(ETH_P_IP);
  return at;
}

INLINE void* put_link(void* at, const struct vxlnat_hop* hop) {
  struct ethhdr* ethernet = at;
  __builtin_memcpy(ethernet->h_dest, hop->dst_mac, 6);
  __builtin_memcpy(ethernet->h_source, hop->src_mac, 6);
  return put_type(at + 2 * ETH_ALEN, hop->vlan);
}

/* Outer IPv4, UDP and VXLAN, as io/frame.cc builds them: no checksum of UDP,
 * no fragments, no identifier. */
INLINE void* put_tunnel(void* at, __u16 length, __u8 tos, __u32 from,
                        const struct host* to, __u16 entropy, __u32 vni) {
  struct iphdr* ip = at;
  ip->version = 4;
  ip->ihl = 5;
  ip->tos = tos;
  ip->tot_len = bpf_htons(length);
  ip->id = 0;
  ip->frag_off = bpf_htons(0x4000);
  ip->ttl = 64;
  ip->protocol = IPPROTO_UDP;
  ip->check = 0;
  ip->saddr = bpf_htonl(from);
  ip->daddr = bpf_htonl(to->ul3_ip);
  ip->check = ~header_sum(ip);
  struct udphdr* udp = (void*)(ip + 1);
  udp->source = bpf_htons(entropy);
  udp->dest = bpf_htons(to->ul3_port);
  udp->len = bpf_htons(length - sizeof(*ip));
  udp->check = 0;
  struct vxlan* vxlan = (void*)(udp + 1);
  vxlan->flags = bpf_htonl(VXLAN_HAS_VNI << 24);
  vxlan->vni = bpf_htonl(vni << 8);
  return vxlan + 1;
}

#endif /* VXLNAT_BPF_REWRITE_H_ */
