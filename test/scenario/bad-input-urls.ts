// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the bad queries and paths of `bad-input-napi.test.ts` are made of.
 */

import { type Fixtures, OWNER } from './bad-input-world.js';

const OTHER = '00000000-0000-4000-8000-00000000beef';
const UPPER = '1A57A9CE-0000-4000-8000-000000000001';

/** For each kind of query parameter, texts that it cannot have. */
export const QUERY_WRONG: Record<string, string[]> = {
  uuid: ['', '*', 'x', ')(uuid=*', '%00', '%ff', UPPER, `${OTHER}&@=${OTHER}`],
  uuids: ['x', ')(uuid=*', '%00', UPPER, `${OTHER},x`],
  ip: ['', 'x', '*', '1.2.3', '%00', '1.2.3.4&@=1.2.3.4'],
  count: ['', 'x', '*', '-1', '0x10', '1e2', '1.5', 'NaN', '%00', '1&@=2'],
  limit: ['', '0', '1001', 'x', '*', '-1', '1e2', '1&@=2'],
  vlan: ['', '*', '-1', '4095', 'x', '1e2'],
  vnet: ['', '*', '-1', '16777216', 'x', '1e2'],
  bool: ['', '1', 'yes', '*', 'true&@=true'],
  word: ['', 'x', '*', 'constructor', '__proto__'],
  fields: ['', 'x', 'uuid'],
  prefix: ['', 'x', '**', '*a', `${UPPER}*`, '%00*'],
  macs: ['', 'x', '90:b8:d0', '%00'],
  stranger: ['', 'x'],
};

/** Paths with the query parameters that they know, by kind. */
export function queries(world: Fixtures): [string, Record<string, string>][] {
  const page = { limit: 'limit', offset: 'count' };
  const stranger = { nonsense: 'stranger', constructor: 'stranger' };
  const nics = {
    owner_uuid: 'uuids',
    cn_uuid: 'uuids',
    belongs_to_uuid: 'uuids',
    network_uuid: 'uuids',
    underlay: 'bool',
    allow_dhcp_spoofing: 'bool',
    allow_ip_spoofing: 'bool',
    allow_mac_spoofing: 'bool',
    allow_restricted_traffic: 'bool',
    allow_unfiltered_promisc: 'bool',
  };
  const pools = {
    uuid: 'prefix',
    family: 'word',
    networks: 'uuids',
    provisionable_by: 'uuid',
  };
  const networks = {
    fabric: 'bool',
    family: 'word',
    owner_uuid: 'uuid',
    provisionable_by: 'uuid',
    vlan_id: 'vlan',
  };
  const ips = { owner_uuid: 'uuid', belongs_to_uuid: 'uuid' };
  return [
    ['/networks', { ...page, ...stranger, ...networks, uuid: 'prefix' }],
    [
      `/networks/${world.network}`,
      { fields: 'fields', owner_uuid: 'uuid', provisionable_by: 'uuid' },
    ],
    [`/networks/${world.network}/ips`, { ...page, ...stranger, ...ips }],
    ['/nics', { ...page, ...stranger, ...nics }],
    ['/nic_tags', { ...page, ...stranger }],
    ['/network_pools', { ...page, ...stranger, ...pools }],
    [`/network_pools/${world.pool}`, { provisionable_by: 'uuid' }],
    [
      '/aggregations',
      { ...page, ...stranger, belongs_to_uuid: 'uuid', macs: 'macs' },
    ],
    [
      '/search/ips',
      {
        ip: 'ip',
        fabric: 'bool',
        belongs_to_uuid: 'uuid',
        owner_uuid: 'uuid',
        ...stranger,
      },
    ],
    [`/fabrics/${OWNER}/vlans`, { ...page, fields: 'fields' }],
    [`/fabrics/${OWNER}/vlans/2/networks`, page],
    [
      '/aips',
      {
        ...page,
        owner_uuid: 'uuid',
        belongs_to_uuid: 'uuid',
        ip: 'ip',
        marker: 'uuid',
      },
    ],
    ['/nat_publics', { ...page, zone_uuid: 'uuid', kind: 'word' }],
    [
      '/ul3_mappings',
      { ...page, ...stranger, vnet_id: 'vnet', cn_uuid: 'uuid', ip: 'ip' },
    ],
  ];
}

/** What takes the place of a name in a path. */
export const PIECES = [
  'x',
  '*',
  '%00',
  'a%00b',
  '%ff',
  '%ff%fe',
  '%2F',
  '..%2f..',
  '%',
  '%zz',
  '%e0%80',
  ')(uuid=*',
  '%28%7c%28a%3d%2a%29',
  '__proto__',
  'constructor',
  UPPER,
  OTHER,
  '-1',
  '1e3',
  '%20',
  '\\2a',
  'y'.repeat(500),
  'z'.repeat(6000),
  '%f0%9f%92%a3',
  '0.0.0.0',
  '255.255.255.255',
];

/** Method and the path before and after the piece. */
export function paths(world: Fixtures): [string, string, string][] {
  const all: [string, string, string][] = [];
  const at = (methods: string, start: string, end = '') => {
    for (const method of methods.split(' ')) all.push([method, start, end]);
  };
  const vlans = `/fabrics/${OWNER}/vlans/`;
  at('GET PUT DELETE', '/networks/');
  at('GET', '/networks/', '/ips');
  at('POST', '/networks/', '/nics');
  at('GET PUT', `/networks/${world.network}/ips/`);
  at('GET PUT', '/networks/', '/ips/10.4.4.9');
  at('GET PUT DELETE', '/nics/');
  at('GET PUT DELETE', '/nic_tags/');
  at('GET PUT DELETE', '/network_pools/');
  at('GET PUT DELETE', '/aggregations/');
  at('GET PUT DELETE', vlans);
  at('PUT DELETE', '/fabrics/', '/vlans/2');
  at('GET POST', vlans, '/networks');
  at('GET PUT DELETE', `${vlans}2/networks/`);
  at('GET PUT POST DELETE', '/aips/');
  at('GET', '/aips/', '/audit');
  at('GET', '/jobs/');
  at('POST', '/jobs/', '/cancel');
  at('GET PUT DELETE', '/nat_zones/');
  at('POST', '/nat_zones/', '/heartbeat');
  at('GET', '/nat_publics/');
  at('GET', '/');
  return all;
}

export function bodyFor(method: string): string | undefined {
  return method === 'PUT' || method === 'POST' ? '{}' : undefined;
}
