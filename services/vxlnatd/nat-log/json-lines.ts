// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * NAT events as lines of JSON, one event each: for `grep`, for a log shipper,
 * and for `vxlnatadm who`. Field names are those of the admin interface.
 */

import { formatIpv4, ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { NAT_EVENTS, type NatEvent, type NatEventName } from './event.js';

/** A line read back; what the event has no use for is 0. */
export type LoggedEvent = NatEvent & { zone_uuid: string };

/**
 * Writes one event.
 * @param remotes whether the destination is told (RFC 6888 REQ-12)
 * @returns the line with its end
 */
export function formatLine(
  event: NatEvent,
  zoneUuid: string,
  remotes: boolean,
): string {
  const { time_ms, private_ip, public_ip, remote_ip, ...rest } = event;
  const fields = {
    time: new Date(time_ms).toISOString(),
    zone_uuid: zoneUuid,
    ...rest,
    private_ip: formatIpv4(ipv4(private_ip)),
    public_ip: formatIpv4(ipv4(public_ip)),
    remote_ip: formatIpv4(ipv4(remote_ip)),
  };
  const hidden = remotes ? [] : ['remote_ip', 'remote_port'];
  const used = Object.entries(fields).filter(
    ([name, value]) =>
      value !== 0 && value !== '0.0.0.0' && !hidden.includes(name),
  );
  return `${JSON.stringify(Object.fromEntries(used))}\n`;
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

/**
 * Reads one line.
 * @returns null for a line that is no event, such as one cut short by a crash
 */
export function parseLine(line: string): LoggedEvent | null {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const ip = (name: string) => parseIpv4(String(value[name] ?? '')) ?? 0;
  const time_ms = Date.parse(String(value?.['time']));
  const event = String(value?.['event']);
  if (Number.isNaN(time_ms) || !Object.hasOwn(NAT_EVENTS, event)) return null;
  return {
    time_ms,
    event: event as NatEventName,
    zone_uuid: String(value['zone_uuid'] ?? ''),
    vnet: number(value['vnet']),
    proto: number(value['proto']),
    private_ip: ip('private_ip'),
    private_port: number(value['private_port']),
    public_ip: ip('public_ip'),
    public_port: number(value['public_port']),
    public_port_end: number(value['public_port_end']),
    remote_ip: ip('remote_ip'),
    remote_port: number(value['remote_port']),
    detail: number(value['detail']),
    limit: number(value['limit']),
    ...(typeof value['reason'] === 'string' && { reason: value['reason'] }),
  };
}
