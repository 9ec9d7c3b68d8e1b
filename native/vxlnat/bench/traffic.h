// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What the traffic program and its BPF half share; plain C for both.
//
// A stream is an endless series of packets. Packet `n` of it belongs to the
// flow whose addresses and ports the fields below compute from `n`, so both
// the generator and the sink know what packet `n` must look like, and nothing
// has to be stored for a million flows but the public port that the gateway
// chose. The payload begins with the stream's mark and with `n`.

#ifndef VXLNAT_BENCH_TRAFFIC_H_
#define VXLNAT_BENCH_TRAFFIC_H_

#include <linux/types.h>

#define STREAMS 4
#define FLOW_BITS 20
#define MARK 0x76786e00u /* "vxn" and the stream's number */

// Outer Ethernet, IP, UDP, VXLAN; inner Ethernet, IP; the longest L4 header.
#define INNER_IP (14 + 20 + 8 + 8 + 14)
#define OUT_HEAD (INNER_IP + 20 + 20)
#define IN_HEAD (14 + 20 + 20)

enum order { kPermuted, kSequential, kRandom };

// base + ((n >> shift) & mask)
struct field {
  __u32 base;
  __u32 shift;
  __u32 mask;
};

struct stream {
  struct field src;      // inside
  struct field dst;      // on the Internet
  struct field sport;    // inside
  struct field dport;    // on the Internet
  struct field public_;  // what the gateway makes of src
  __u32 order;           // how n walks through 0..flows_mask
  __u32 flows_mask;      // a power of two less one
  __u32 vni;
  __u32 proto;
  __u32 fragment;  // IP flags and offset with random ids; 0: whole packets
  __u32 ip_sum;    // checksum of the inner IP header but for its addresses
  __u32 l4_sum;    // of L4 and pseudo header but for addresses, ports and n
  __u32 on;
  __u64 interval;  // ns between packets, 0 for as fast as it goes
  __u64 limit;     // packets, 0 for no limit
  __u8 out_head[OUT_HEAD];
  __u8 in_head[IN_HEAD];
  __u8 pad[2];
};

struct progress {
  __u64 next_at;
  __u64 count;  // sent since the run began
};

// Counted by the sinks, for each CPU.
struct counts {
  __u64 good[STREAMS];
  __u64 bad[STREAMS];
  __u64 other;
};

#endif  // VXLNAT_BENCH_TRAFFIC_H_
