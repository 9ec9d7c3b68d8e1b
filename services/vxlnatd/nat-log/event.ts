// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the NAT log tells: one event of RFC 8158, as a plain value. The log is
 * there to answer "who had 3.3.3.2:4242 at 12:00"; that needs the public
 * side, the private side, and the time at which they were tied together and
 * parted.
 */

/** The kinds of event, with the number of RFC 8158 section 4.3 (natEvent). */
export const NAT_EVENTS = {
  session_create: 4,
  session_delete: 5,
  ports_exhausted: 12,
  quota_exceeded: 13,
  block_alloc: 16,
  block_free: 17,
  threshold: 18,
} as const;

export type NatEventName = keyof typeof NAT_EVENTS;

/** One event. Addresses are numbers, ports 0 where they have no meaning. */
export interface NatEvent {
  /** Milliseconds since 1970. */
  time_ms: number;
  event: NatEventName;
  vnet: number;
  /** IANA protocol number; 0 in events of a block of ports. */
  proto: number;
  private_ip: number;
  private_port: number;
  public_ip: number;
  /** Of a block: its first port. */
  public_port: number;
  /** Of a block: its last port. */
  public_port_end: number;
  remote_ip: number;
  remote_port: number;
  /**
   * Which limit. Of a quota natQuotaExceededEvent: 1 flows of a vnet or of the
   * table, 2 mappings, 3 flows of a host, 4 hosts. Of a threshold
   * natThresholdEvent: 1 and 2 ports of a public IP, high and low again, 3
   * flows of a vnet, or with vnet 0 of the table, 4 flows of a host.
   */
  detail: number;
  /** Of a quota the limit, of a threshold the level that was reached. */
  limit: number;
  /** Of a refusal: the drop reason, see docs/counters.md. */
  reason?: string;
}
