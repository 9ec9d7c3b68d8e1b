// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The packet benchmark's addresses. Every lab has the same ones: labs are
 * namespaces of their own and never meet.
 *
 *   hosts 10.4.0.0/16 --VXLAN-- cn u0 ---- u1 gw e1 ---- e0 inet 198.18.0.0/15
 *                    172.16.9.10   172.16.9.1  198.51.100.1  .2
 */

import { ipv4, parseIpv4 } from '#lib/net/ipv4.js';

export const CN = '172.16.9.10';
export const GATEWAY = '172.16.9.1';
export const EXTERNAL = '198.51.100.1';
export const INTERNET = '198.51.100.2';
/** Where real sockets listen on the Internet side. */
export const SERVER = '198.19.255.254';

export const CN_MAC = '02:00:00:00:09:10';
export const GATEWAY_MAC = '02:00:00:00:09:01';
export const EXTERNAL_MAC = '02:00:00:00:51:01';
export const INTERNET_MAC = '02:00:00:00:51:02';
export const ROUTER_MAC = '90:b8:d0:00:00:01';
export const HOST_MAC = '90:b8:d0:aa:00:01';

/** Two tenants; the second one has done nothing wrong. */
export const TENANTS = [
  { vni: 1, net: '10.4', snat: '3.3.3.2' },
  { vni: 2, net: '10.5', snat: '3.3.3.3' },
] as const;

/** Hosts of the first tenant with an address each: 10.4.2.n is 3.3.4.n. */
export const AIP_INSIDE = '10.4.2.0';
export const AIP_OUTSIDE = '3.3.4.0';
/** Hosts behind SNAT, 10.4.1.n and 10.5.1.n. */
export const HOSTS = 256;

/** An address as the traffic program takes it. */
export function number(ip: string): number {
  return parseIpv4(ip) ?? ipv4(0);
}

/** A MAC address as the traffic program takes it. */
export function macNumber(mac: string): number {
  return Number.parseInt(mac.replaceAll(':', ''), 16);
}
