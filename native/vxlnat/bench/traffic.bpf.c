// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Generators and sinks of the packet benchmark, as XDP programs.
//
// A generator runs under BPF_PROG_RUN with live frames: each call makes one
// packet and returns XDP_TX, which sends it out of the interface it pretends
// to have come from. Frames come back as the gateway left them, so the whole
// head is written each time. A sink drops everything that is IPv4 and counts
// a packet as good only if each address, port, TTL and checksum is what the
// gateway must have made of it.

#include "traffic.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

#define ETH_IPV4 0x0800
#define UDP 17

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, STREAMS);
  __type(key, __u32);
  __type(value, struct stream);
} streams SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, STREAMS);
  __type(key, __u32);
  __type(value, struct progress);
} progress SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct counts);
} counted SEC(".maps");

// Public ports of flows, learnt by the external sink; 0: not seen yet. Four in
// a cell, because the sink's work is on the gateway's account and each line or
// page that it needs more would be too.
struct cell {
  __u16 port[4];
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, STREAMS << FLOW_BITS >> 2);
  __type(key, __u32);
  __type(value, struct cell);
} ports SEC(".maps");

static __always_inline __u32 at(const struct field* f, __u32 n) {
  return f->base + ((n >> f->shift) & f->mask);
}

static __always_inline __u32 words(__u32 x) { return (x >> 16) + (x & 0xffff); }

static __always_inline __u16 fold(__u32 sum) {
  sum = words(sum);
  return (__u16)words(sum);
}

static __always_inline void put16(__u8* p, __u16 x) {
  *(__u16*)p = bpf_htons(x);
}
static __always_inline void put32(__u8* p, __u32 x) {
  put16(p, x >> 16);
  put16(p + 2, x);
}
static __always_inline __u16 get16(const __u8* p) {
  return bpf_ntohs(*(const __u16*)p);
}
static __always_inline __u32 get32(const __u8* p) {
  return ((__u32)get16(p) << 16) | get16(p + 2);
}

static __always_inline __u16* port_of(__u32 id, __u32 n) {
  __u32 at = (id << FLOW_BITS) | (n & ((1u << FLOW_BITS) - 1));
  __u32 key = at >> 2;
  struct cell* cell = bpf_map_lookup_elem(&ports, &key);
  return cell ? &cell->port[at & 3] : 0;
}

static __always_inline __u32 walk(const struct stream* s, __u64 count) {
  if (s->order == kRandom) return bpf_get_prandom_u32();
  if (s->order == kPermuted) count *= 0x9e3779b1u;
  return (__u32)count & s->flows_mask;
}

// The stream whose packet is due, and its number in *n; null: none is.
static __always_inline struct stream* choose(__u32* id, __u32* n) {
  __u64 now = bpf_ktime_get_ns();
  for (__u32 i = 0; i < STREAMS; i++) {
    __u32 key = i;
    struct stream* s = bpf_map_lookup_elem(&streams, &key);
    struct progress* p = bpf_map_lookup_elem(&progress, &key);
    if (!s || !p || !s->on) continue;
    if (s->limit && p->count >= s->limit) continue;
    if (s->interval) {
      if (now < p->next_at) continue;
      // What was missed is not made up for: no bursts after a pause.
      p->next_at = now > p->next_at + 64 * s->interval
                       ? now + s->interval
                       : p->next_at + s->interval;
    }
    *id = i;
    *n = walk(s, p->count++);
    return s;
  }
  return 0;
}

// Writes addresses, checksums and n into an IP packet at `ip`.
static __always_inline void fill(__u8* ip, const struct stream* s, __u32 n,
                                 __u32 src, __u32 dst, __u16 sport,
                                 __u16 dport) {
  __u32 addresses = words(src) + words(dst);
  __u32 ip_sum = s->ip_sum + addresses;
  __u8* l4 = ip + 20;
  if (s->fragment) {
    __u16 id = bpf_get_prandom_u32();
    put16(ip + 4, id);
    ip_sum += id;
  }
  put32(ip + 12, src);
  put32(ip + 16, dst);
  put16(ip + 10, ~fold(ip_sum));
  put16(l4, sport);
  put16(l4 + 2, dport);
  __u32 sum = s->l4_sum + addresses + sport + dport;
  if (s->proto == UDP) {
    put32(l4 + 12, n);
    __u16 check = ~fold(sum + words(n));
    put16(l4 + 6, check ? check : 0xffff);
  } else {
    put16(l4 + 16, ~fold(sum));
  }
}

SEC("xdp") int generate_out(struct xdp_md* ctx) {
  __u8* data = (__u8*)(long)ctx->data;
  __u8* end = (__u8*)(long)ctx->data_end;
  __u32 id, n;
  struct stream* s = choose(&id, &n);
  if (!s || data + OUT_HEAD > end) return XDP_DROP;
  __builtin_memcpy(data, s->out_head, OUT_HEAD);
  put16(data + 34, 0xc000 | ((n * 0x9e3779b1u) >> 18));
  fill(data + INNER_IP, s, n, at(&s->src, n), at(&s->dst, n), at(&s->sport, n),
       at(&s->dport, n));
  return XDP_TX;
}

SEC("xdp") int generate_in(struct xdp_md* ctx) {
  __u8* data = (__u8*)(long)ctx->data;
  __u8* end = (__u8*)(long)ctx->data_end;
  __u32 id, n;
  struct stream* s = choose(&id, &n);
  if (!s || data + IN_HEAD > end) return XDP_DROP;
  __u16* port = port_of(id, n);
  if (!port || !*port) return XDP_DROP;
  __builtin_memcpy(data, s->in_head, IN_HEAD);
  fill(data + 14, s, n, at(&s->dst, n), at(&s->public_, n), at(&s->dport, n),
       *port);
  return XDP_TX;
}

// The stream of a UDP packet at `ip`, with its number in *n; null: none.
static __always_inline struct stream* recognise(const __u8* ip, __u32* id,
                                                __u32* n) {
  if (ip[0] != 0x45 || ip[9] != UDP) return 0;
  __u32 mark = get32(ip + 28);
  if ((mark & ~0xffu) != MARK) return 0;
  *id = mark & 0xff;
  *n = get32(ip + 32);
  return bpf_map_lookup_elem(&streams, id);
}

// TTL and checksums of a packet that has been forwarded. It may have been so
// twice: behind a TUN device the host's routing is a hop of its own.
static __always_inline int sound(const __u8* ip, const struct stream* s,
                                 __u32 n) {
  __u32 addresses = words(get32(ip + 12)) + words(get32(ip + 16));
  __u32 ip_sum = s->ip_sum - 0x4000 + (ip[8] << 8) + addresses + get16(ip + 10);
  __u32 sum = s->l4_sum + addresses + words(n) + get16(ip + 20) +
              get16(ip + 22) + get16(ip + 26);
  return (ip[8] == 63 || ip[8] == 62) && fold(ip_sum) == 0xffff &&
         fold(sum) == 0xffff;
}

SEC("xdp") int sink_external(struct xdp_md* ctx) {
  const __u8* data = (const __u8*)(long)ctx->data;
  const __u8* end = (const __u8*)(long)ctx->data_end;
  if (data + 50 > end || get16(data + 12) != ETH_IPV4) return XDP_PASS;
  __u32 zero = 0, id, n;
  struct counts* c = bpf_map_lookup_elem(&counted, &zero);
  if (!c) return XDP_DROP;
  const __u8* ip = data + 14;
  struct stream* s = recognise(ip, &id, &n);
  if (!s || id >= STREAMS) {
    c->other++;
    return XDP_DROP;
  }
  int good = sound(ip, s, n) && get32(ip + 12) == at(&s->public_, n) &&
             get32(ip + 16) == at(&s->dst, n) &&
             get16(ip + 22) == at(&s->dport, n);
  if (!good) {
    c->bad[id]++;
    return XDP_DROP;
  }
  c->good[id]++;
  __u16* port = port_of(id, n);
  __u16 seen = get16(ip + 20);
  if (port && *port != seen) *port = seen;
  return XDP_DROP;
}

SEC("xdp") int sink_underlay(struct xdp_md* ctx) {
  const __u8* data = (const __u8*)(long)ctx->data;
  const __u8* end = (const __u8*)(long)ctx->data_end;
  if (data + INNER_IP + 36 > end || get16(data + 12) != ETH_IPV4) {
    return XDP_PASS;
  }
  __u32 zero = 0, id, n;
  struct counts* c = bpf_map_lookup_elem(&counted, &zero);
  if (!c) return XDP_DROP;
  const __u8* ip = data + INNER_IP;
  struct stream* s = recognise(ip, &id, &n);
  if (!s || id >= STREAMS) {
    c->other++;
    return XDP_DROP;
  }
  __u32 outer = 0;
  for (int i = 14; i < 34; i += 2) outer += get16(data + i);
  // The outer addresses and the inner destination MAC are those of the
  // template the other way round.
  int good =
      sound(ip, s, n) && fold(outer) == 0xffff &&
      *(__u32*)(data + 26) == *(__u32*)(s->out_head + 30) &&
      *(__u32*)(data + 30) == *(__u32*)(s->out_head + 26) &&
      get16(data + 36) == 4789 && data[42] == 8 &&
      get32(data + 46) == s->vni << 8 &&
      *(__u32*)(data + 50) == *(__u32*)(s->out_head + 56) &&
      *(__u16*)(data + 54) == *(__u16*)(s->out_head + 60) &&
      get32(ip + 12) == at(&s->dst, n) && get32(ip + 16) == at(&s->src, n) &&
      get16(ip + 20) == at(&s->dport, n) && get16(ip + 22) == at(&s->sport, n);
  if (good) {
    c->good[id]++;
  } else {
    c->bad[id]++;
  }
  return XDP_DROP;
}

char terms[] SEC("license") = "Dual MPL/GPL";
