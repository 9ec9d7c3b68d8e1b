/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* Reads the packet that is to be translated: the plain case of stages 3, 4b
 * and 5b of the engine (parse.cc, limits.cc). What is not plain goes up. */

#ifndef VXLNAT_BPF_PACKET_H_
#define VXLNAT_BPF_PACKET_H_

#include "bpf/look_up.h"
#include "bpf/sum.h"

#define ICMP_REPLY 0
#define ICMP_ECHO 8

struct echo {
  __u8 type;
  __u8 code;
  __u16 sum;
  __be16 id;
  __be16 sequence;
};

/* Numbers are in host order, sums as on the wire. */
struct packet {
  __u32 src;
  __u32 dst;
  __u16 sport; /* echo: the identifier */
  __u16 dport; /* echo reply: the identifier */
  __u16 length;
  __u16 sum; /* of TCP, UDP or ICMP */
  __u8 proto;
  __u8 icmp; /* the type */
  __u8 tos;
  __u8 may_fragment;
  __u8 syn;  /* TCP */
  __u8 ends; /* FIN or RST */
  __u32 ack;
  __u8 has_ack;
};

/* 0/8, 127/8 and everything from 224/4 up belong to no host. */
INLINE int is_martian(__u32 ip) {
  __u32 top = ip >> 24;
  return top == 0 || top == 127 || top >= 224;
}

/* The sum of the pseudo-header of a packet with `length` bytes of payload. */
INLINE __u64 pseudo_sum(const struct iphdr* ip, __u16 length) {
  return (__u64)ip->saddr + ip->daddr + bpf_htons(ip->protocol) +
         bpf_htons(length);
}

/* Virtual links leave TCP and UDP checksums at the pseudo-header's sum; the
 * engine's port finishes them. */
INLINE int is_unfinished(const struct iphdr* ip, __u16 length, __u16 sum) {
  return sum == fold(pseudo_sum(ip, length));
}

INLINE int read_tcp(const struct iphdr* ip, void* end, __u16 left,
                    struct packet* p) {
  const struct tcphdr* tcp = (const void*)(ip + 1);
  if ((void*)(tcp + 1) > end || left < sizeof(*tcp)) return VXLNAT_UP_ODD;
  __u16 size = tcp->doff * 4;
  if (size < sizeof(*tcp) || size > left) return VXLNAT_UP_ODD;
  p->syn = tcp->syn;
  p->ends = tcp->fin || tcp->rst;
  if (is_unfinished(ip, left, tcp->check)) return VXLNAT_UP_UNFINISHED;
  p->sport = bpf_ntohs(tcp->source);
  p->dport = bpf_ntohs(tcp->dest);
  p->sum = tcp->check;
  p->has_ack = tcp->ack;
  p->ack = bpf_ntohl(tcp->ack_seq);
  return 0;
}

INLINE int read_udp(const struct iphdr* ip, void* end, __u16 left,
                    struct packet* p) {
  const struct udphdr* udp = (const void*)(ip + 1);
  if ((void*)(udp + 1) > end || left < sizeof(*udp)) return VXLNAT_UP_ODD;
  __u16 size = bpf_ntohs(udp->len);
  if (size < sizeof(*udp) || size > left) return VXLNAT_UP_ODD;
  if (udp->check != 0 && is_unfinished(ip, left, udp->check)) {
    return VXLNAT_UP_UNFINISHED;
  }
  p->sport = bpf_ntohs(udp->source);
  p->dport = bpf_ntohs(udp->dest);
  p->sum = udp->check;
  return 0;
}

INLINE int read_icmp(const struct iphdr* ip, void* end, __u16 left,
                     struct packet* p) {
  const struct echo* echo = (const void*)(ip + 1);
  if ((void*)(echo + 1) > end || left < sizeof(*echo)) return VXLNAT_UP_ODD;
  p->icmp = echo->type;
  p->sum = echo->sum;
  p->sport = p->dport = 0;
  if (echo->type == ICMP_ECHO) {
    p->sport = bpf_ntohs(echo->id);
  } else if (echo->type == ICMP_REPLY) {
    p->dport = bpf_ntohs(echo->id);
  } else {
    return VXLNAT_UP_ICMP;
  }
  return 0;
}

/* Reads the packet at `ip`, of whose frame `room` bytes are left. Returns 0
 * or why it goes up. */
INLINE int read_packet(const struct iphdr* ip, void* end, __u32 room,
                       struct packet* p) {
  if ((void*)(ip + 1) > end) return VXLNAT_UP_ODD;
  if (*(const __u8*)ip != 0x45) return VXLNAT_UP_ODD;
  p->length = bpf_ntohs(ip->tot_len);
  if (p->length < sizeof(*ip) || p->length > room) return VXLNAT_UP_ODD;
  if (header_sum(ip) != 0xffff) return VXLNAT_UP_ODD;
  if (ip->frag_off & bpf_htons(0x3fff)) return VXLNAT_UP_FRAGMENT;
  if (ip->ttl <= 1) return VXLNAT_UP_TTL;
  p->src = bpf_ntohl(ip->saddr);
  p->dst = bpf_ntohl(ip->daddr);
  if (is_martian(p->src) || is_martian(p->dst)) return VXLNAT_UP_ODD;
  p->proto = ip->protocol;
  p->tos = ip->tos;
  p->may_fragment = (ip->frag_off & bpf_htons(0x4000)) == 0;
  p->icmp = 0;
  p->has_ack = 0;
  p->syn = p->ends = 0;
  __u16 left = p->length - sizeof(*ip);
  switch (p->proto) {
    case IPPROTO_TCP:
      return read_tcp(ip, end, left, p);
    case IPPROTO_UDP:
      return read_udp(ip, end, left, p);
    case IPPROTO_ICMP:
      return read_icmp(ip, end, left, p);
    case IPPROTO_UDPLITE:
    case IPPROTO_DCCP:
      return VXLNAT_UP_ODD;
    default:
      p->sport = p->dport = 0;
      p->sum = 0;
      return 0;
  }
}

/* The source port for the tunnel: entropy_of of engine/encap.cc. */
INLINE __u16 entropy_of(const struct packet* p) {
  __u64 mix = (__u64)p->src << 32 | p->dst;
  mix ^= (__u64)p->sport << 40 ^ (__u64)p->dport << 8;
  mix = (mix ^ p->proto) * 0x9e3779b97f4a7c15ull;
  return (__u16)(49152 + (mix >> 50));
}

#endif /* VXLNAT_BPF_PACKET_H_ */
