// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The tables that a packet needs as plain memory: C structures without
// pointers, found by offset, readable by a C++ process and by a BPF program.
//
// One piece of memory begins with `vxlnat_layout`, which says where each
// region lies. A look-up hashes a 16-byte key (hash.h), takes the bucket
// `hash & (buckets - 1)`, compares `hash >> 48` with the eight tags, and then
// the whole key with the record that the reference names. When nothing
// matches and `overflow` is not 0, the next bucket may hold it.
//
// Writing order: a record is complete before its reference is stored with
// release order, and a reference is cleared before its record is used again;
// `generation` changes with both. A reader that compares the whole key after
// it has read the reference sees the right flow or none.
//
// All numbers are in the byte order of the machine; addresses are numbers.

#ifndef VXLNAT_ENGINE_LAYOUT_H_
#define VXLNAT_ENGINE_LAYOUT_H_

#include <stdint.h>

#define VXLNAT_LAYOUT_MAGIC 0x766e6174u
#define VXLNAT_LAYOUT_VERSION 4u
#define VXLNAT_MAX_UL3S 16u
#define VXLNAT_MAX_TIMERS 16u
#define VXLNAT_IP_IDS 1024u  // counters of IP identifiers

// vxlnat_flow.flags
#define VXLNAT_FLOW_WATCHED 1u  // every packet goes to the engine
#define VXLNAT_FLOW_COUNTED 2u  // with its host; these are the engine's alone
#define VXLNAT_FLOW_BOUND 4u    // its public port is a binding's
#define VXLNAT_FLOW_BLOCK 8u    // its public port is of a block of its host

// vxlnat_public.flags
#define VXLNAT_PUBLIC_DRAINING 1u   // no new flows
#define VXLNAT_PUBLIC_EXCLUSIVE 2u  // one deterministic rule's alone

struct vxlnat_bucket {
  uint16_t tag[8];
  uint32_t ref[8];      // 0: empty
  uint32_t overflow;    // entries that found no room here and lie later
  uint32_t generation;  // rises with each change
  uint32_t spare[2];
} __attribute__((aligned(64)));

// Found by inside key (ref odd) and outside key (ref even): record ref / 2 - 1.
struct vxlnat_flow {
  uint32_t vni_proto;  // vni << 8 | protocol
  uint32_t private_ip;
  uint32_t remote_ip;
  uint32_t public_ip;
  uint16_t private_port;
  uint16_t remote_port;
  uint16_t public_port;
  uint8_t state;  // FlowState; 0: free
  uint8_t flags;
  uint32_t last_seen;  // low 32 bits of the clock; a reader may write it
  uint32_t rule;       // dead when that rule is not live; next when free
  uint64_t packets_out;
  uint64_t packets_in;
  uint32_t ack_out;      // last acknowledgement number from the inside
  uint32_t ack_in;       // and from the outside
  uint32_t public_slot;  // of public_ip, for vxlnat_counts
  uint32_t host;  // record + 1 where the private IP was last found, a hint
};

struct vxlnat_rule {
  uint32_t state;  // RuleState; 1: live
  uint32_t vni;
  uint32_t prefix;
  uint32_t mask;
  uint32_t router_ip;
  uint32_t public_ip;
  uint64_t router_mac;
  uint16_t vlan;
  uint16_t bits;
  uint32_t vnet_slot;
  uint32_t next;  // in its vnet, longest prefix first; or next free
  uint32_t public_slot;
  uint16_t timers;       // which vxlnat_timers its flows follow
  uint16_t mss;          // the most a SYN may announce, or 0; a 1:1 entry's SYN
                         // goes to the engine then
  uint32_t first;        // of its vnet, the head of the list of `next`
  uint64_t router_bits;  // of its vnet: which router addresses there may be
};

// Idle times in milliseconds, by TimerClass (flow_state.h).
struct vxlnat_timers {
  uint32_t ms[8];
};

// A public address of rules, found by {public IP}: record ref - 1.
struct vxlnat_public {
  uint32_t ip;
  uint32_t rules;  // how many use it
  uint32_t next;   // next free
  uint32_t flags;
};

// Found by {vnet, private IP} (ref odd) and by public IP (ref even).
struct vxlnat_one_to_one {
  uint32_t vni;
  uint32_t private_ip;
  uint32_t public_ip;
  uint32_t rule;  // the rule that covers it: whose router it uses
  uint16_t vlan;
  uint8_t used;
  uint8_t flags;
  uint32_t next;  // of the same rule; or next free
  uint32_t host;  // as in vxlnat_flow
  uint32_t prev;
  uint64_t packets_out;  // these four change by atomic addition
  uint64_t bytes_out;
  uint64_t packets_in;
  uint64_t bytes_in;
};

// Found by {vnet, IP}.
struct vxlnat_remote {
  uint32_t vni;
  uint32_t ip;
  uint64_t mac;
  uint32_t ul3_ip;
  uint16_t ul3_port;
  uint8_t state;    // RemoteState; 0: free
  uint8_t waiting;  // packets in its queue
  uint32_t first;   // of the queue
  uint32_t last;
  uint32_t prev;  // in the list of asked ones, oldest first; next also free
  uint32_t next;
  uint64_t since;      // asked at; or: ask again at
  uint32_t asked;      // low 32 bits of the clock when last asked
  uint32_t vnet_prev;  // in the list of a vnet's, and a few others'
  uint32_t vnet_next;
  uint32_t spare;
};

// What passed: inner packets and their bytes. One row of these for each
// writer, row 0 for the engine and row i + 1 for CPU i, so that none waits for
// another; the sum of the rows is the count.
struct vxlnat_counts {
  uint64_t packets_out;
  uint64_t bytes_out;
  uint64_t packets_in;
  uint64_t bytes_in;
};

struct vxlnat_region {
  uint64_t offset;
  uint64_t count;
};

struct vxlnat_layout {
  uint32_t magic;
  uint32_t version;
  uint64_t bytes;
  uint64_t key[2];
  uint32_t rows;  // of counts
  uint32_t probe_vnet;
  uint16_t vxlan_port;
  uint16_t inner_mtu;  // what fits to every node; changes while it runs
  uint32_t ul3_count;  // 0: any address is served; one of 0.0.0.0: none
  uint32_t ul3s[VXLNAT_MAX_UL3S];
  struct vxlnat_timers timers[VXLNAT_MAX_TIMERS];
  struct vxlnat_region flow_buckets;
  struct vxlnat_region flows;
  struct vxlnat_region rules;
  struct vxlnat_region public_buckets;
  struct vxlnat_region publics;
  struct vxlnat_region one_to_one_buckets;
  struct vxlnat_region one_to_ones;
  struct vxlnat_region remote_buckets;
  struct vxlnat_region remotes;
  struct vxlnat_region ours;           // uint32_t: addresses of ours by hash
  struct vxlnat_region ip_ids;         // uint32_t: the next ones, by hash
  struct vxlnat_region vnet_counts;    // by vnet slot, rows of equal size
  struct vxlnat_region public_counts;  // by public slot, rows of equal size
};

#ifdef __cplusplus
static_assert(sizeof(vxlnat_bucket) == 64);
static_assert(sizeof(vxlnat_flow) == 64);
static_assert(sizeof(vxlnat_rule) == 64);
static_assert(sizeof(vxlnat_one_to_one) == 64);
static_assert(sizeof(vxlnat_counts) == 32);
static_assert(sizeof(vxlnat_timers) == 32);
static_assert(sizeof(vxlnat_remote) == 64);
#endif

#endif  // VXLNAT_ENGINE_LAYOUT_H_
