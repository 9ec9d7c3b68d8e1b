/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at https://mozilla.org/MPL/2.0/. */

/* The Internet checksum in network order, as engine/checksum.h has it: a sum
 * of 16-bit words is the same in either order, so nothing is swapped. */

#ifndef VXLNAT_BPF_SUM_H_
#define VXLNAT_BPF_SUM_H_

#include "bpf/look_up.h"

INLINE __u16 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)sum;
}

/* The sum of an IPv4 header without options; 0xffff when it is right. */
INLINE __u16 header_sum(const struct iphdr* ip) {
  const __u32* word = (const void*)ip;
  return fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]);
}

/* What a change of a word adds to the `change` of update(). */
INLINE __u64 changed16(__u16 from, __u16 to) {
  return (__u16)~from + (__u64)to;
}
INLINE __u64 changed32(__u32 from, __u32 to) {
  return (__u32)~from + (__u64)to;
}

/* Equation 3 of RFC 1624. */
INLINE __u16 update(__u16 sum, __u64 change) {
  return (__u16)~fold(change + (__u16)~sum);
}

#endif /* VXLNAT_BPF_SUM_H_ */
