// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Random data planes with few addresses, so that roles and keys collide. */

import type { Dataplane } from '#lib/model/dataplane.js';

const ZONES = ['zone-a', 'zone-b', 'zone-c'];
export const SELF = { zone_uuid: 'zone-a', ul3_ip: '192.168.12.6' };

/** A small seeded generator (mulberry32). */
export function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** A random consistent data plane: what napi-nat could be in. */
export function randomDataplane(random: (below: number) => number): Dataplane {
  const free = Array.from({ length: 8 }, (_, i) => `3.3.3.${i + 2}`);
  const take = () => free.splice(random(free.length), 1)[0] as string;
  const snat = [take(), take()];
  const fabrics = [];
  for (const vnet of [1, 2, 3]) {
    for (const third of [4, 5]) {
      if (random(4) === 0) continue;
      fabrics.push({
        network_uuid: `net-${vnet}-${third}-${random(2)}`,
        owner_uuid: 'owner',
        vnet_id: vnet,
        vlan_id: random(2),
        subnet: `10.0.${third}.0/24`,
        gateway: `10.0.${third}.1`,
        router_mac: `90:b8:d0:00:00:0${random(3)}`,
        nat_reform_public: snat[random(2)] as string,
      });
    }
  }
  const one_to_ones = [];
  const used = new Set<string>();
  for (let i = 0; i < 4; i++) {
    const fabric = fabrics[random(Math.max(fabrics.length, 1))];
    if (fabric === undefined) continue;
    const host = fabric.subnet.replace('0/24', String(10 + random(2)));
    if (used.has(`${fabric.vnet_id},${host}`)) continue;
    used.add(`${fabric.vnet_id},${host}`);
    one_to_ones.push({
      aip_uuid: `aip-${i}`,
      vnet_id: fabric.vnet_id,
      vlan_id: fabric.vlan_id,
      private_ip: host,
      public_ip: take(),
    });
  }
  const zoneOf = () => [...ZONES, null][random(4)] as string | null;
  const publics = [...snat, ...one_to_ones.map((e) => e.public_ip)].map(
    (ip, i) => ({
      ip,
      kind: i < 2 ? ('snat' as const) : ('aip' as const),
      zone_uuid: zoneOf(),
      owner_uuid: null,
      network_uuid: 'public',
    }),
  );
  const zones = ZONES.map((uuid, i) => ({
    uuid,
    ul3_ip: `192.168.12.${6 + i}`,
    ul3_port: 4789,
    external_ip: `3.3.3.${100 + i}`,
    server_uuid: null,
    state: 'up' as const,
    standby: false,
    weight: 1,
    ul3_served_by: random(3) === 0 ? zoneOf() : null,
  }));
  return { position: 0, digest: '', fabrics, one_to_ones, publics, zones };
}
