// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The two ends of a hop that hands frames to a link as a network card would
// (test/bench/packets/wire.ts): one to a frame, with room before it, in memory
// that no socket holds. Devices have fixed numbers there.

// The helpers need the types of the kernel's header.
/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

#define LINK 100 /* what leads to the gateway */
#define HOP 102  /* what the end's stack sends to */

SEC("xdp") int to_link(struct xdp_md* ctx) { return bpf_redirect(LINK, 0); }

SEC("tc") int to_end(struct __sk_buff* skb) { return bpf_redirect(HOP, 0); }

char terms[] SEC("license") = "Dual MPL/GPL";
