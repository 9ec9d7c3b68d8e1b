// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What an engine of the lab is told, in the terms of the lab. */

import type { Operation } from '#native/index.js';

export const VNET = 1;
export const ROUTER = {
  ip: '10.4.4.1',
  mac: '90:b8:d0:00:00:01',
  prefix: '10.4.4.0/22',
} as const;

/** SNAT for a vnet's fabric network. */
export function rule(vnet: number, public_ip: string): Operation {
  return {
    op: 'set_rule',
    vnet,
    vlan: 0,
    prefix: ROUTER.prefix,
    router_ip: ROUTER.ip,
    router_mac: ROUTER.mac,
    public_ip,
  };
}

/** A private address with a public one of its own. */
export function oneToOne(
  vnet: number,
  private_ip: string,
  public_ip: string,
): Operation {
  return { op: 'set_one_to_one', vnet, vlan: 0, private_ip, public_ip };
}

/** Where an instance lives. */
export function remote(place: {
  vnet: number;
  ip: string;
  mac: string;
  ul3: string;
}): Operation {
  const { vnet, ip, mac, ul3 } = place;
  return { op: 'set_remote', vnet, ip, mac, ul3_ip: ul3, ul3_port: 4789 };
}
