/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* Look-ups in the engine's tables from the kernel's side: the same hash, the
 * same buckets, the same order of reading as engine/hash.h and
 * engine/bucket_index.h. Include after the maps are defined.
 *
 * The engine may change a bucket or a record at any time. Whoever has read
 * from a record asks `unchanged` before believing what was read: the bucket
 * still names the record, and so it was never used again meanwhile. */

#ifndef VXLNAT_BPF_LOOK_UP_H_
#define VXLNAT_BPF_LOOK_UP_H_

/* Buckets that one look-up may visit; the engine's table is at most 3/4 full,
 * so what lies further away is rare, and the engine finds it. */
#define MAX_STEPS 4
/* Records looked at in a bucket: equal tags are rare. */
#define MAX_TRIES 2

#define INLINE static __always_inline
#define READ_ONCE(x) (*(const volatile __typeof__(x)*)&(x))
/* The compiler may not move reads across. */
#define BARRIER() __asm__ volatile("" ::: "memory")

/* The first byte of the frame, and the one behind its last. Written so because
 * the compiler would keep 32 bits of them, which are no pointer to the
 * verifier. */
#define FRAME_EDGE(ctx, edge)                                         \
  ({                                                                  \
    void* at;                                                         \
    __asm__ volatile("%0 = *(u32 *)(%1 + %2)"                         \
                     : "=r"(at)                                       \
                     : "r"(ctx),                                      \
                       "i"(__builtin_offsetof(struct xdp_md, edge))); \
    at;                                                               \
  })

/* The 64 bytes of the tables that hold the byte at `offset`. */
INLINE void* element(__u64 offset) {
  __u32 index = (__u32)(offset >> 6);
  return bpf_map_lookup_elem(&tables, &index);
}

INLINE __u64 rotl(__u64 x, int by) { return x << by | x >> (64 - by); }

INLINE void sip_round(__u64 v[4]) {
  v[0] += v[1];
  v[1] = rotl(v[1], 13) ^ v[0];
  v[0] = rotl(v[0], 32);
  v[2] += v[3];
  v[3] = rotl(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotl(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotl(v[1], 17) ^ v[2];
  v[2] = rotl(v[2], 32);
}

/* hash16 of engine/hash.h. */
INLINE __u64 hash16(__u64 a, __u64 b) {
  __u64 v[4] = {vxlnat.layout.key[0] ^ 0x736f6d6570736575ull,
                vxlnat.layout.key[1] ^ 0x646f72616e646f6dull,
                vxlnat.layout.key[0] ^ 0x6c7967656e657261ull,
                vxlnat.layout.key[1] ^ 0x7465646279746573ull};
  v[3] ^= a;
  sip_round(v);
  v[0] ^= a;
  v[3] ^= b;
  sip_round(v);
  v[0] ^= b;
  v[2] ^= 0xff;
  sip_round(v);
  sip_round(v);
  sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

enum found { FOUND, ABSENT, UNSURE };

/* A record and where its reference stands. */
struct place {
  void* record;
  struct vxlnat_bucket* bucket;
  __u32 slot;
  __u32 ref;
  __u32 generation;
};

INLINE int unchanged(const struct place* at) {
  BARRIER();
  return READ_ONCE(at->bucket->generation) == at->generation &&
         READ_ONCE(at->bucket->ref[at->slot & 7]) == at->ref;
}

/* One bit for each of four tags that equals `tag`. */
INLINE __u32 equal_tags(__u64 tags, __u64 tag) {
  const __u64 low = 0x7fff7fff7fff7fffull;
  __u64 x = tags ^ tag * 0x0001000100010001ull;
  x = ~(((x & low) + low) | x | low) >> 15;
  return (__u32)(x * 0x0001000200040008ull >> 48) & 15;
}

/* Which bit of eight the lowest one is, without a branch (de Bruijn). */
INLINE __u32 lowest_bit(__u32 bits) {
  __u32 at = ((bits & -bits) * 0x17 & 0xff) >> 5;
  return 0x56374210u >> at * 4 & 7;
}

/* A key as two words, in the order in which it is hashed. */
struct key {
  __u64 a;
  __u64 b;
};

/* Whether the record at reference `ref` has the key; puts it in `at`. */
typedef int matches(__u32 ref, const struct key* key, struct place* at);

INLINE enum found find(__u64 offset, __u64 count, __u64 hash,
                       const struct key* key, matches* match,
                       struct place* at) {
  for (int step = 0; step < MAX_STEPS; step++) {
    struct vxlnat_bucket* bucket =
        element(offset + ((hash + step) & (count - 1)) * 64);
    if (!bucket) return UNSURE;
    at->bucket = bucket;
    at->generation = READ_ONCE(bucket->generation);
    BARRIER();
    const __u64* tags = (const __u64*)bucket->tag;
    __u32 hits =
        equal_tags(tags[0], hash >> 48) | equal_tags(tags[1], hash >> 48) << 4;
    for (int tried = 0; hits != 0; tried++) {
      if (tried == MAX_TRIES) return UNSURE;
      at->slot = lowest_bit(hits);
      hits &= hits - 1;
      at->ref = READ_ONCE(bucket->ref[at->slot & 7]);
      if (at->ref != 0 && match(at->ref, key, at)) return FOUND;
    }
    if (bucket->overflow == 0) return ABSENT;
  }
  return UNSURE;
}

/* The flow records. */

INLINE struct key inside_key(__u32 vni, __u8 proto, __u32 private_ip,
                             __u16 private_port, __u32 remote_ip,
                             __u16 remote_port) {
  return (struct key){
      (__u64)(vni << 8 | proto) << 32 | private_ip,
      (__u64)remote_ip << 32 | (__u32)private_port << 16 | remote_port};
}

INLINE int at_inside(__u32 ref, const struct key* key, struct place* at) {
  struct vxlnat_flow* flow =
      element(vxlnat.layout.flows.offset + (__u64)(ref / 2 - 1) * 64);
  at->record = flow;
  return flow && (ref & 1) && flow->vni_proto == (__u32)(key->a >> 32) &&
         flow->private_ip == (__u32)key->a &&
         flow->remote_ip == (__u32)(key->b >> 32) &&
         ((__u32)flow->private_port << 16 | flow->remote_port) == (__u32)key->b;
}

INLINE int at_outside(__u32 ref, const struct key* key, struct place* at) {
  struct vxlnat_flow* flow =
      element(vxlnat.layout.flows.offset + (__u64)(ref / 2 - 1) * 64);
  at->record = flow;
  return flow && !(ref & 1) &&
         (flow->vni_proto & 0xff) == (__u32)(key->a >> 32) &&
         flow->public_ip == (__u32)key->a &&
         flow->remote_ip == (__u32)(key->b >> 32) &&
         ((__u32)flow->public_port << 16 | flow->remote_port) == (__u32)key->b;
}

INLINE enum found find_flow(const struct key* key, matches* match,
                            struct place* at) {
  return find(vxlnat.layout.flow_buckets.offset,
              vxlnat.layout.flow_buckets.count, hash16(key->a, key->b), key,
              match, at);
}

/* The 1:1 entries. */

#define NO_VNET 0xffffffffu /* the outside */

INLINE int at_private(__u32 ref, const struct key* key, struct place* at) {
  struct vxlnat_one_to_one* entry =
      element(vxlnat.layout.one_to_ones.offset + (__u64)(ref / 2 - 1) * 64);
  at->record = entry;
  return entry && (ref & 1) && entry->vni == (__u32)key->a &&
         entry->private_ip == (__u32)key->b;
}

INLINE int at_public(__u32 ref, const struct key* key, struct place* at) {
  struct vxlnat_one_to_one* entry =
      element(vxlnat.layout.one_to_ones.offset + (__u64)(ref / 2 - 1) * 64);
  at->record = entry;
  return entry && !(ref & 1) && entry->public_ip == (__u32)key->b;
}

INLINE enum found find_entry(__u32 vni, __u32 ip, matches* match,
                             struct place* at) {
  struct key key = {vni, ip};
  return find(vxlnat.layout.one_to_one_buckets.offset,
              vxlnat.layout.one_to_one_buckets.count, hash16(vni, ip), &key,
              match, at);
}

/* Where hosts live. */

INLINE struct vxlnat_remote* remote_at(__u32 index) {
  return element(vxlnat.layout.remotes.offset + (__u64)index * 64);
}

INLINE int at_remote(__u32 ref, const struct key* key, struct place* at) {
  struct vxlnat_remote* remote = remote_at(ref - 1);
  at->record = remote;
  return remote && remote->vni == (__u32)key->a && remote->ip == (__u32)key->b;
}

INLINE enum found find_remote(__u32 vni, __u32 ip, struct place* at) {
  struct key key = {vni, ip};
  return find(vxlnat.layout.remote_buckets.offset,
              vxlnat.layout.remote_buckets.count, hash16(vni, ip), &key,
              at_remote, at);
}

/* The public addresses of rules. */

INLINE int at_snat_public(__u32 ref, const struct key* key, struct place* at) {
  __u64 offset = vxlnat.layout.publics.offset +
                 (__u64)(ref - 1) * sizeof(struct vxlnat_public);
  __u8* cell = element(offset);
  if (!cell) return 0;
  struct vxlnat_public* record = (void*)(cell + (offset & 48));
  at->record = record;
  return record->ip == (__u32)key->b;
}

INLINE enum found find_snat_public(__u32 ip, struct place* at) {
  struct key key = {0, ip};
  __u64 hash = ip * 0x9e3779b97f4a7c15ull;
  hash ^= hash >> 29;
  return find(vxlnat.layout.public_buckets.offset,
              vxlnat.layout.public_buckets.count, hash, &key, at_snat_public,
              at);
}

/* False when `ip` is surely no public address of ours. */
INLINE int maybe_ours(__u32 ip) {
  __u64 slot =
      ((__u64)(__u32)(ip * 0x9e3779b1u) * vxlnat.layout.ours.count) >> 32;
  __u64 offset = vxlnat.layout.ours.offset + slot * 4;
  __u8* cell = element(offset);
  return cell && *(__u32*)(cell + (offset & 60)) != 0;
}

#endif /* VXLNAT_BPF_LOOK_UP_H_ */
