/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* Who a packet belongs to and what becomes of it: stages 2 and 5 of the engine
 * (find_vnet.cc, choose_outbound.cc, choose_inbound.cc) where they decide
 * without changing more than times and counts. Nothing is written before
 * everything is known; `account` then writes it. */

#ifndef VXLNAT_BPF_CHOOSE_H_
#define VXLNAT_BPF_CHOOSE_H_

#include "bpf/look_up.h"
#include "bpf/packet.h"

/* Rules of one vnet that are looked through for a 1:1 host's destination. */
#define MAX_RULES 16
/* FlowTable::idle: a clock may be ahead of another. */
#define AHEAD 0xffff0000u

/* What the tables say. */
struct choice {
  struct vxlnat_flow* flow; /* one of these two */
  struct vxlnat_one_to_one* entry;
  __u32 vni;
  __u32 ip; /* the new address and port */
  __u16 port;
  __u16 vlan;
  __u32 private_ip;
  __u32 hint; /* where the host's record is */
  __u32 rule;
  __u32 vnet_slot;
  __u32 public_slot;
  __u32 first; /* rule of the vnet */
  __u16 timers;
  __u16 mss;
  __u64 router_bits;
  __u64 router_mac;
};

/* Where a host lives. */
struct host {
  __u64 mac;
  __u32 ul3_ip;
  __u16 ul3_port;
};

INLINE struct vxlnat_rule* rule_at(__u32 index) {
  return element(vxlnat.layout.rules.offset + (__u64)index * 64);
}

INLINE int read_rule(struct choice* c) {
  struct vxlnat_rule* rule = rule_at(c->rule);
  if (!rule || rule->state != VXLNAT_RULE_LIVE || rule->vni != c->vni) {
    return VXLNAT_UP_RULE;
  }
  c->router_mac = rule->router_mac;
  c->router_bits = rule->router_bits;
  c->vnet_slot = rule->vnet_slot;
  c->first = rule->first;
  c->timers = rule->timers;
  c->mss = rule->mss;
  if (c->flow) c->vlan = rule->vlan;
  return 0;
}

INLINE int read_remote(const struct choice* c, struct vxlnat_remote* remote,
                       struct host* host) {
  if (!remote || READ_ONCE(remote->state) != VXLNAT_REMOTE_KNOWN ||
      remote->vni != c->vni || remote->ip != c->private_ip) {
    return VXLNAT_UP_HOST;
  }
  host->mac = remote->mac;
  host->ul3_ip = remote->ul3_ip;
  host->ul3_port = remote->ul3_port;
  BARRIER();
  return READ_ONCE(remote->state) == VXLNAT_REMOTE_KNOWN ? 0 : VXLNAT_UP_HOST;
}

/* The hint spares a look-up; where it does not hold, `account` puts it right.
 */
INLINE int read_host(struct choice* c, struct host* host) {
  if (c->hint && !read_remote(c, remote_at(c->hint - 1), host)) return 0;
  struct place at = {};
  if (find_remote(c->vni, c->private_ip, &at) != FOUND) return VXLNAT_UP_HOST;
  int why = read_remote(c, at.record, host);
  if (why) return why;
  c->hint = at.ref;
  return unchanged(&at) ? 0 : VXLNAT_UP_CHANGING;
}

/* Whether the flow is one that this packet neither opens, closes nor finds
 * expired. */
INLINE int check_time(const struct choice* c, __u32 now) {
  __u32 timer;
  switch (c->flow->state) {
    case VXLNAT_STATE_UDP:
      timer = VXLNAT_TIMER_UDP;
      break;
    case VXLNAT_STATE_ICMP:
      timer = VXLNAT_TIMER_ICMP;
      break;
    case VXLNAT_STATE_ESTABLISHED:
    case VXLNAT_STATE_FIN_OUT:
    case VXLNAT_STATE_FIN_IN:
      timer = VXLNAT_TIMER_ESTABLISHED;
      break;
    default:
      return VXLNAT_UP_STATE;
  }
  __u64 offset =
      __builtin_offsetof(struct vxlnat_layout, timers) +
      (c->timers & (VXLNAT_MAX_TIMERS - 1)) * sizeof(struct vxlnat_timers) +
      timer * sizeof(__u32);
  __u8* cell = element(offset);
  if (!cell) return VXLNAT_UP_STATE;
  __u32 idle = now - c->flow->last_seen;
  return idle < AHEAD && idle >= *(__u32*)(cell + (offset & 60))
             ? VXLNAT_UP_STATE
             : 0;
}

INLINE int is_shared(const struct packet* p, __u8 icmp) {
  return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP ||
         (p->proto == IPPROTO_ICMP && p->icmp == icmp);
}

/* Whether no rule of the vnet covers `ip`, or has it as its router's. */
INLINE int lies_outside(const struct choice* c, __u32 ip, int router_only) {
  __u32 at = c->first;
  for (int i = 0; i < MAX_RULES; i++) {
    if (at == VXLNAT_NO_RULE) return 1;
    struct vxlnat_rule* rule = rule_at(at);
    if (!rule || rule->vni != c->vni || rule->router_ip == ip) return 0;
    if (!router_only && (ip & rule->mask) == rule->prefix) return 0;
    at = READ_ONCE(rule->next);
    BARRIER();
    if (READ_ONCE(rule->state) != VXLNAT_RULE_LIVE) return 0;
  }
  return 0;
}

/* RuleTable::router_bit. */
INLINE __u64 router_bit(__u32 ip) {
  return 1ull << ((ip ^ ip >> 6 ^ ip >> 12) & 63);
}

INLINE int choose_flow(struct choice* c, const struct packet* p,
                       struct place* at, int out, __u32 now) {
  struct vxlnat_flow* flow = at->record;
  c->flow = flow;
  c->entry = 0;
  c->vni = flow->vni_proto >> 8;
  c->ip = out ? flow->public_ip : flow->private_ip;
  c->port = out ? flow->public_port : flow->private_port;
  c->private_ip = flow->private_ip;
  c->hint = flow->host;
  c->rule = flow->rule;
  c->public_slot = flow->public_slot;
  if (flow->flags & VXLNAT_FLOW_WATCHED) return VXLNAT_UP_WATCHED;
  if (p->syn || p->ends) return VXLNAT_UP_HANDSHAKE;
  int why = read_rule(c);
  if (!why) why = check_time(c, now);
  if (why) return why;
  return unchanged(at) ? 0 : VXLNAT_UP_CHANGING;
}

INLINE int choose_entry(struct choice* c, const struct packet* p,
                        struct place* at, int out) {
  struct vxlnat_one_to_one* entry = at->record;
  c->flow = 0;
  c->entry = entry;
  c->vni = entry->vni;
  c->ip = out ? entry->public_ip : entry->private_ip;
  c->port = 0;
  c->vlan = entry->vlan;
  c->private_ip = entry->private_ip;
  c->hint = entry->host;
  c->rule = entry->rule;
  if (entry->flags & VXLNAT_FLOW_WATCHED) return VXLNAT_UP_WATCHED;
  int why = read_rule(c);
  if (why) return why;
  if (p->syn && c->mss) return VXLNAT_UP_HANDSHAKE;
  return unchanged(at) ? 0 : VXLNAT_UP_CHANGING;
}

/* A live flow first, then the 1:1 entry, as in the engine. */
INLINE int choose_outbound(struct choice* c, const struct packet* p, __u32 vni,
                           __u32 now) {
  struct place at = {};
  if (is_shared(p, ICMP_ECHO)) {
    struct key key =
        inside_key(vni, p->proto, p->src, p->sport, p->dst, p->dport);
    enum found found = find_flow(&key, at_inside, &at);
    if (found == FOUND) {
      int why = choose_flow(c, p, &at, 1, now);
      if (why) return why;
      if (!(c->router_bits & router_bit(p->dst))) return 0;
      return lies_outside(c, p->dst, 1) ? 0 : VXLNAT_UP_HAIRPIN;
    }
    if (found == UNSURE) return VXLNAT_UP_NO_FLOW;
  }
  if (find_entry(vni, p->src, at_private, &at) != FOUND) {
    return VXLNAT_UP_NO_FLOW;
  }
  int why = choose_entry(c, p, &at, 1);
  if (why) return why;
  return lies_outside(c, p->dst, 0) ? 0 : VXLNAT_UP_HAIRPIN;
}

/* No address is a rule's and a 1:1 entry's, so the order does not matter. */
INLINE int choose_inbound(struct choice* c, const struct packet* p, __u32 now) {
  struct place at = {};
  if (is_shared(p, ICMP_REPLY)) {
    struct key key =
        inside_key(0, p->proto, p->dst, p->dport, p->src, p->sport);
    enum found found = find_flow(&key, at_outside, &at);
    if (found == FOUND) return choose_flow(c, p, &at, 0, now);
    if (found == UNSURE) return VXLNAT_UP_NO_FLOW;
  }
  if (find_entry(NO_VNET, p->dst, at_public, &at) != FOUND) {
    return VXLNAT_UP_NO_FLOW;
  }
  return choose_entry(c, p, &at, 0);
}

/* The row of this CPU for one slot of counts. */
INLINE struct vxlnat_counts* counts_at(__u64 offset, __u64 count, __u32 slot) {
  __u64 row = bpf_get_smp_processor_id() + 1;
  if (row >= vxlnat.layout.rows) return 0;
  offset += (row * (count / vxlnat.layout.rows) + slot) *
            sizeof(struct vxlnat_counts);
  __u8* cell = element(offset);
  return cell ? (void*)(cell + (offset & 32)) : 0;
}

INLINE void count_in(struct vxlnat_counts* counts, int out, __u32 bytes) {
  if (!counts) return;
  if (out) {
    counts->packets_out++;
    counts->bytes_out += bytes;
  } else {
    counts->packets_in++;
    counts->bytes_in += bytes;
  }
}

/* Writes what the engine would have written. */
INLINE void account(const struct choice* c, const struct packet* p, int out,
                    __u32 now) {
  count_in(counts_at(vxlnat.layout.vnet_counts.offset,
                     vxlnat.layout.vnet_counts.count, c->vnet_slot),
           out, p->length);
  struct vxlnat_one_to_one* entry = c->entry;
  if (entry) {
    __sync_fetch_and_add(out ? &entry->packets_out : &entry->packets_in, 1);
    __sync_fetch_and_add(out ? &entry->bytes_out : &entry->bytes_in, p->length);
    return;
  }
  struct vxlnat_flow* flow = c->flow;
  if (!flow) return;
  count_in(counts_at(vxlnat.layout.public_counts.offset,
                     vxlnat.layout.public_counts.count, c->public_slot),
           out, p->length);
  if (flow->last_seen != now) flow->last_seen = now;
  if (flow->host != c->hint) flow->host = c->hint;
  if (out) {
    flow->packets_out++;
    if (p->has_ack) flow->ack_out = p->ack;
  } else {
    flow->packets_in++;
    if (p->has_ack) flow->ack_in = p->ack;
  }
}

#endif /* VXLNAT_BPF_CHOOSE_H_ */
