/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* What the XDP program and the process that loads it agree on, besides the
 * tables (engine/layout.h). Plain C, read by both compilers. */

#ifndef VXLNAT_BPF_MAPS_H_
#define VXLNAT_BPF_MAPS_H_

#include <stdint.h>

#include "engine/layout.h"

/* Interfaces that carry the program, and queues of each that are served. */
#define VXLNAT_MAX_PORTS 4u
#define VXLNAT_MAX_QUEUES 64u

/* vxlnat_settings.flags */
#define VXLNAT_FAST 1u  /* translate what can be translated here */
#define VXLNAT_JUMBO 2u /* a frame may be longer than a page */

/* vxlnat_port.roles: what may come in, so that no VXLAN is taken from the
 * Internet and nothing for a public address from the underlay. */
#define VXLNAT_UNDERLAY 1u
#define VXLNAT_EXTERNAL 2u

/* One interface that carries the program. */
struct vxlnat_port {
  uint32_t ifindex;    /* the device that the program is attached to */
  uint32_t l3_ifindex; /* the one the kernel routes by; a VLAN's, or equal */
  uint32_t vlan;       /* 802.1Q tag that our packets carry; 0: none */
  uint32_t roles;
};

/* What does not change while a program is loaded, as read-only data of the
 * object: `vxlnat`. The tables' own places and keys are in `layout`, whose
 * changing parts (ul3s, timers, inner_mtu) must be read from `tables` instead.
 */
struct vxlnat_settings {
  struct vxlnat_layout layout;
  uint32_t flags;
  uint32_t from_ifindex; /* what bpf_fib_lookup takes as the way in */
  uint32_t port_count;
  uint32_t spare;
  struct vxlnat_port ports[VXLNAT_MAX_PORTS];
};

/* Indices of `counters`, one row for each CPU. */
enum vxlnat_counter {
  VXLNAT_PASSED,   /* not ours: to the kernel, untouched */
  VXLNAT_RAISED,   /* ours: to the engine, through `xsks` */
  VXLNAT_NO_QUEUE, /* ours, but no socket serves the queue: to the kernel */
  VXLNAT_FAST_OUT, /* translated here, from a fabric */
  VXLNAT_FAST_IN,  /* and into one */
#define X(id, name, sentence) VXLNAT_UP_##id,
#include "bpf/up.def" /* why not */
#undef X
  VXLNAT_COUNTERS
};

/* Equal paths: flows with one source and destination are spread over so many
 * classes, and the kernel is asked once for each class, always with the same
 * ports. So the sockets' threads and the program, which ask apart, send a flow
 * the same way, and all that is remembered is few answers. */
#define VXLNAT_PATHS 8u
#define VXLNAT_PATH_PORT 49152u

/* The class of a packet to the outside. `ports` is the first word of TCP and
 * UDP, source port first; 0 for other protocols, whose first word may be
 * another in each packet, and for fragments. */
static inline uint32_t vxlnat_path_of(uint32_t src, uint32_t ports) {
  return ((src ^ ports) * 0x9e3779b1u) >> 29;
}

/* A next hop that the fast path has used, in `hops`. */
struct vxlnat_hop {
  uint64_t key;        /* source and destination, */
  uint32_t way;        /* protocol and class */
  uint32_t asked;      /* milliseconds, when the kernel said so */
  uint32_t ifindex;    /* the port's; 0: none */
  uint32_t l3_ifindex; /* for its neighbour, and that in network order: */
  uint32_t gateway;
  uint16_t mtu;
  uint16_t vlan;
  uint8_t dst_mac[6];
  uint8_t src_mac[6];
  uint32_t spare;
};

/* States as the engine numbers them (rule_table.h, remote_table.h,
 * flow_state.h), so far as the fast path must know them. */
#define VXLNAT_RULE_LIVE 1u
#define VXLNAT_NO_RULE 0xffffffffu
#define VXLNAT_REMOTE_KNOWN 2u
#define VXLNAT_STATE_UDP 1u
#define VXLNAT_STATE_ICMP 2u
#define VXLNAT_STATE_ESTABLISHED 4u
#define VXLNAT_STATE_FIN_OUT 5u
#define VXLNAT_STATE_FIN_IN 6u
#define VXLNAT_TIMER_ESTABLISHED 0u
#define VXLNAT_TIMER_UDP 3u
#define VXLNAT_TIMER_ICMP 4u

/* One question to, and answer of, the program `next_hops`. */
struct vxlnat_next_hop {
  uint32_t src_ip; /* all addresses and ports in network order */
  uint32_t dst_ip; /* out: the gateway, or the destination itself */
  uint16_t src_port;
  uint16_t dst_port;
  uint8_t proto;
  uint8_t tos;
  uint16_t mtu;     /* out */
  int32_t result;   /* out: BPF_FIB_LKUP_RET_*, or negative errno */
  uint32_t ifindex; /* out */
  uint8_t dst_mac[6];
  uint8_t src_mac[6];
};

/* Questions in one run; a page holds them. */
#define VXLNAT_NEXT_HOPS 64u

#ifdef __cplusplus
static_assert(sizeof(vxlnat_next_hop) == 36);
static_assert(sizeof(vxlnat_port) == 16);
#endif

#endif /* VXLNAT_BPF_MAPS_H_ */
