/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* The XDP program with a frame of another flow in front of it each time, for
 * measuring what it costs by itself: BPF_PROG_TEST_RUN with a repeat count.
 * `bare` does the same and leaves the program out. */

#include "bpf/vxlnat.bpf.c"

#define MOST 128u
#define FLOWS (1u << 20)

const volatile struct {
  __u8 frame[MOST];
  __u32 length;
  __u32 flows;        /* a power of two */
  __u32 ip;           /* offset of the inner IPv4 header */
  __u32 port;         /* offset of the port that tells flows apart */
  __u32 side;         /* offset of the address that does, in that header */
  __u16 ports[FLOWS]; /* that port, in network order */
} shot SEC(".rodata.shot") = {};

__u32 number;

/* Flow n has the n-th port, and 32768 flows have one remote. */
INLINE int set_up(struct xdp_md* ctx) {
  __u8* data = FRAME_EDGE(ctx, data);
  __u8* end = FRAME_EDGE(ctx, data_end);
  int moved = (int)shot.length - (int)(end - data);
  if (moved != 0 && bpf_xdp_adjust_head(ctx, -moved)) return 0;
  data = FRAME_EDGE(ctx, data);
  end = FRAME_EDGE(ctx, data_end);
  __u32 flow = (number++ * 0x9e3779b1u >> 7) & (shot.flows - 1);
  if (data + MOST > end) return 0;
  for (int i = 0; i < (int)MOST; i += 8) {
    *(__u64*)(data + i) = *(const volatile __u64*)&shot.frame[i];
  }
  *(__be16*)(data + (shot.port & 127)) = shot.ports[flow & (FLOWS - 1)];
  struct iphdr* ip = (void*)(data + (shot.ip & 127));
  if ((void*)(ip + 1) > (void*)end) return 0;
  __be32* address = shot.side ? &ip->daddr : &ip->saddr;
  __be32 remote = bpf_htonl(bpf_ntohl(*address) + (flow >> 15));
  ip->check = update(ip->check, changed32(*address, remote));
  *address = remote;
  return 1;
}

SEC("xdp")
int bare(struct xdp_md* ctx) { return set_up(ctx) ? XDP_PASS : XDP_ABORTED; }

SEC("xdp")
int timed(struct xdp_md* ctx) {
  return set_up(ctx) ? receive(ctx) : XDP_ABORTED;
}
