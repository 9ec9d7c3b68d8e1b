// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What may be said about an SNAT rule beyond where it leads. Everything may be
 * absent: then the engine's own default holds. docs/vxlnatd.md, "Rules file",
 * says what each does, and what becomes of flows when it changes.
 */

/** Idle times in milliseconds. */
export interface RuleTimers {
  tcp_established?: number;
  tcp_opening?: number;
  tcp_closing?: number;
  udp?: number;
  icmp?: number;
  quarantine?: number;
}

/** At most so many; 0: any number. */
export interface Limits {
  flows: number;
  /** TCP flows that are not established. */
  opening: number;
  /** New flows. */
  per_second: number;
}

export interface RuleOptions {
  mapping?: 'endpoint-dependent' | 'endpoint-independent' | 'deterministic';
  /** Besides the rule's own. */
  more_public_ips?: string[];
  port_low?: number;
  port_high?: number;
  /** Which of `slices` equal parts of the range, from 0. */
  slice?: number;
  slices?: number;
  /** CIDRs of destinations that are not translated. */
  exempt?: string[];
  /** The most a SYN may announce, both ways. */
  mss?: number;
  timers?: RuleTimers;
  /** Of each host. */
  host?: Partial<Limits>;
  /** Ports given to a host at once. */
  block_size?: number;
}
