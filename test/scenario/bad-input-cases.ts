// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the bad input of `bad-input-napi.test.ts` is made of: for each kind of
 * field the values that it cannot have, and every route with its fields. A
 * kind that ends in `!` refuses null as well.
 */

import {
  type BadInputWorld,
  INSTANCE,
  NODE,
  OWNER,
  ZONE,
} from './bad-input-world.js';

/** String() of this throws. */
const UNPRINTABLE = { toString: 1, valueOf: 1 };
const OBJECTS = [{}, { a: 1 }, UNPRINTABLE, [UNPRINTABLE], [[]], [null]];
const NO_TEXT = [5, true, ...OBJECTS];
const HOSTILE = ['*', ')(uuid=*', '\\2a', '(|(a=*', 'a\u0000b', '\u0000'];
const UPPER = '1A57A9CE-0000-4000-8000-000000000001';

/** For each kind of field, values that it cannot have. */
export const WRONG: Record<string, unknown[]> = {
  uuid: [
    ...NO_TEXT,
    ...HOSTILE,
    'x'.repeat(9000),
    -1,
    'NaN',
    UPPER,
    `${NODE} `,
  ],
  ip: [
    ...OBJECTS,
    ...HOSTILE,
    true,
    -1,
    2 ** 32,
    1.5,
    [5],
    ['10.4.4.9'],
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    'fd00::1',
    '10.4.4.9/24',
    '0x7f.1.1.1',
    '10.4.4.9\u0000',
    'x'.repeat(9000),
  ],
  ips: [
    ...OBJECTS.slice(0, 4),
    true,
    5,
    'x',
    ['x'],
    ['1.2.3.4', null, 'y'],
    ['1.2.3.4', [5]],
    '*',
  ],
  mac: [
    ...OBJECTS,
    ...HOSTILE,
    true,
    -1,
    2 ** 48,
    1.5,
    '90:b8:d0',
    '90:b8:d0:00:00:zz',
    '90:b8:d0:00:00:00:00',
    [1],
  ],
  text: [...NO_TEXT, 'x'.repeat(9000), 'a\u0000b', 'a\u001bb', '\ud800'],
  word: [...NO_TEXT, ...HOSTILE, 'x', 'constructor', '__proto__'],
  bool: [...OBJECTS, 5, -1, 'yes', 'TRUE', 'x', ['true']],
  vlan: [
    ...OBJECTS,
    ...HOSTILE,
    true,
    -1,
    4095,
    1e9,
    1.5,
    'NaN',
    '0x10',
    '1e2',
    ' ',
    [2],
    '2 ',
  ],
  count: [
    ...OBJECTS,
    ...HOSTILE,
    true,
    -1,
    1.5,
    'NaN',
    '-1',
    '0x10',
    1e300,
    [2],
  ],
  mtu: [...NO_TEXT, -1, 0, 9001, 1.5, '1500', 'NaN'],
  subnet: [
    ...NO_TEXT,
    ...HOSTILE,
    '10.9.9.0',
    '10.9.9.0/33',
    '10.9.9.0/7',
    '10.9.9.0/-1',
    '300.9.9.0/24',
    'fd00::/7',
    'fd00::1/64',
    'fd00::/129',
    '10.9.9.0/24/8',
    '/',
  ],
  routes: [
    5,
    true,
    'x',
    [],
    { x: '10.4.4.9' },
    { '1.2.3.4': 'x' },
    { '1.2.3.4': UNPRINTABLE },
    { '1.2.3.4': [5] },
    { '1.2.3.0/99': '1.2.3.4' },
  ],
  tags: [
    5,
    true,
    'x',
    [],
    { a: {} },
    { a: null },
    { '': 'x' },
    { a: 'x'.repeat(9000) },
    { ['k'.repeat(500)]: 1 },
  ],
  texts: [...OBJECTS, 5, true, [5], ['a', null], [UNPRINTABLE], [' ']],
  uuids: [...OBJECTS, 5, true, ['x'], [OWNER, UPPER], [OWNER, null], '*'],
  fields: [...OBJECTS, 5, 'x', ['x'], ['uuid', 'constructor'], []],
};

export interface Case {
  method: string;
  path: string;
  /** A body that would be accepted; one field at a time is spoiled. */
  good: Record<string, unknown>;
  /** Fields by kind; `!` marks those where null is refused as well. */
  fields: Record<string, string>;
}

/** Every route that writes, with its fields. */
export function cases(world: BadInputWorld): Case[] {
  const { network, mac, privateIp, aip } = world;
  const vlans = `/fabrics/${OWNER}/vlans`;
  const network_ = {
    name: 'text!',
    subnet: 'subnet',
    provision_start_ip: 'ip!',
    provision_end_ip: 'ip!',
    description: 'text',
    gateway: 'ip',
    internet_nat: 'bool!',
    routes: 'routes!',
    resolvers: 'ips!',
    fields: 'fields!',
    uuid: 'uuid!',
    nat_reform_public: 'ip',
  };
  const nic = {
    belongs_to_uuid: 'uuid!',
    belongs_to_type: 'word!',
    owner_uuid: 'uuid!',
    ip: 'ip!',
    network_uuid: 'uuid!',
    nic_tag: 'text!',
    vlan_id: 'vlan!',
    cn_uuid: 'uuid!',
    primary: 'bool!',
    reserved: 'bool!',
    model: 'text!',
    state: 'word!',
    underlay: 'bool!',
    check_owner: 'bool!',
    nic_tags_provided: 'texts!',
    allow_dhcp_spoofing: 'bool!',
    allow_ip_spoofing: 'bool!',
    allow_mac_spoofing: 'bool!',
    allow_restricted_traffic: 'bool!',
    allow_unfiltered_promisc: 'bool!',
    nic_tags_available: 'texts!',
  };
  const zone = {
    ul3_ip: 'ip',
    ul3_port: 'count',
    external_ip: 'ip',
    server_uuid: 'uuid',
    standby: 'bool',
    weight: 'count',
  };
  const pool = { name: 'text!', description: 'text', networks: 'members!' };
  const aggregation = {
    macs: 'macs!',
    lacp_mode: 'word!',
    nic_tags_provided: 'texts!',
  };
  const range = {
    subnet: '10.9.9.0/24',
    provision_start_ip: '10.9.9.2',
    provision_end_ip: '10.9.9.250',
    gateway: '10.9.9.1',
  };
  const owned = {
    belongs_to_uuid: INSTANCE,
    belongs_to_type: 'zone',
    owner_uuid: OWNER,
  };
  return [
    {
      method: 'POST',
      path: '/networks',
      good: {
        name: 'n',
        nic_tag: 'external',
        vlan_id: 7,
        ...range,
      },
      fields: {
        ...network_,
        nic_tag: 'word!',
        vlan_id: 'vlan!',
        mtu: 'mtu!',
        owner_uuids: 'uuids!',
        vnet_id: 'vnet!',
        fabric: 'bool!',
        family: 'word!',
        subnet_alloc: 'bool!',
        subnet_prefix: 'prefix!',
      },
    },
    {
      method: 'PUT',
      path: `/networks/${network}`,
      good: {},
      fields: {
        name: 'text!',
        description: 'text',
        mtu: 'mtu!',
        gateway: 'ip',
        provision_start_ip: 'ip!',
        provision_end_ip: 'ip!',
        resolvers: 'ips!',
        routes: 'routes!',
        owner_uuids: 'uuids!',
        nat_reform_public: 'ip!',
        subnet: 'subnet!',
        vnet_id: 'count!',
        fabric: 'fixed!',
        vlan_id: 'count!',
        nic_tag: 'text!',
        family: 'fixed!',
        internet_nat: 'fixed!',
        gateway_provisioned: 'fixed!',
      },
    },
    {
      method: 'POST',
      path: vlans,
      good: { vlan_id: 9, name: 'nine' },
      fields: {
        vlan_id: 'vlan!',
        name: 'text!',
        description: 'text',
        fields: 'fields!',
      },
    },
    {
      method: 'PUT',
      path: `${vlans}/2`,
      good: {},
      fields: { name: 'text!', description: 'text', fields: 'fields!' },
    },
    {
      method: 'POST',
      path: `${vlans}/2/networks`,
      good: { name: 'nine', ...range },
      fields: network_,
    },
    {
      method: 'PUT',
      path: `${vlans}/2/networks/${network}`,
      good: {},
      fields: {
        name: 'text!',
        description: 'text',
        routes: 'routes!',
        resolvers: 'ips!',
        provision_start_ip: 'ip!',
        subnet: 'subnet!',
        nat_reform_public: 'ip!',
      },
    },
    {
      method: 'POST',
      path: '/nics',
      good: { ...owned, network_uuid: network },
      fields: { ...nic, mac: 'mac!' },
    },
    {
      method: 'POST',
      path: `/networks/${network}/nics`,
      good: owned,
      fields: { ...nic, network_uuid: '', mac: 'mac!' },
    },
    { method: 'PUT', path: `/nics/${mac}`, good: {}, fields: nic },
    {
      method: 'PUT',
      path: `/networks/${network}/ips/10.4.5.9`,
      good: {},
      fields: {
        owner_uuid: 'uuid!',
        belongs_to_uuid: 'uuid!',
        belongs_to_type: 'word!',
        reserved: 'bool!',
        unassign: 'bool!',
        free: 'bool!',
        check_owner: 'bool!',
      },
    },
    {
      method: 'POST',
      path: '/nic_tags',
      good: { name: 'newtag' },
      fields: { name: 'word_name!', uuid: 'uuid!', mtu: 'mtu!' },
    },
    {
      method: 'PUT',
      path: '/nic_tags/external',
      good: {},
      fields: { name: 'word_name!', mtu: 'mtu!' },
    },
    {
      method: 'POST',
      path: '/network_pools',
      good: { name: 'newpool', networks: [network] },
      fields: { ...pool, uuid: 'uuid!', owner_uuids: 'uuids!' },
    },
    {
      method: 'PUT',
      path: `/network_pools/${world.pool}`,
      good: {},
      fields: { ...pool, owner_uuids: 'uuids' },
    },
    {
      method: 'POST',
      path: '/aggregations',
      good: { name: 'aggr1', macs: [world.serverMac] },
      fields: { ...aggregation, name: 'word_name!' },
    },
    {
      method: 'PUT',
      path: `/aggregations/${world.aggregation}`,
      good: {},
      fields: aggregation,
    },
    {
      method: 'POST',
      path: '/aips',
      good: { owner_uuid: OWNER },
      fields: {
        owner_uuid: 'uuid!',
        uuid: 'uuid',
        instance: 'uuid',
        private_ip: 'ip',
        description: 'text',
        tags: 'tags',
        deletion_protection: 'bool',
        role_tags: 'uuids',
      },
    },
    {
      method: 'PUT',
      path: `/aips/${aip}`,
      good: { private_ip: privateIp },
      fields: {
        owner_uuid: 'uuid',
        instance: 'uuid',
        private_ip: 'ip',
        remap: 'bool',
        description: 'text',
        tags: 'tags',
        deletion_protection: 'bool',
        role_tags: 'uuids',
      },
    },
    {
      method: 'PUT',
      path: `/aip_accounts/${OWNER}`,
      good: {},
      fields: { quota: 'count', role_tags: 'uuids' },
    },
    {
      method: 'POST',
      path: '/nat_zones',
      good: {
        ul3_ip: '127.0.0.99',
        external_ip: '3.3.3.9',
      },
      fields: { ...zone, uuid: 'uuid' },
    },
    {
      method: 'PUT',
      path: `/nat_zones/${ZONE}`,
      good: {},
      fields: { ...zone, action: 'word' },
    },
    {
      method: 'POST',
      path: `/nat_zones/${ZONE}/heartbeat`,
      good: {
        progress: 2,
        position: 1,
        digest: 'x',
      },
      fields: {
        progress: 'count!',
        position: 'count!',
        digest: 'text!',
        announced: 'texts_any',
        flows: 'count',
      },
    },
  ];
}

WRONG['word_name'] = [
  ...NO_TEXT,
  ...HOSTILE,
  'x'.repeat(32),
  'a b',
  'a/b',
  'é',
];
WRONG['prefix'] = [...(WRONG['mtu'] as unknown[]), 23, 25, '24'];
WRONG['members'] = [...(WRONG['uuids'] as unknown[]), [], '', NODE];
WRONG['macs'] = [
  ...OBJECTS,
  5,
  true,
  'x',
  [],
  ['90:b8:d0:00:00'],
  [5],
  ['90:b8:d0:ff:ff:ff'],
];
WRONG['vnet'] = [...(WRONG['count'] as unknown[]), 2 ** 24];
WRONG['fixed'] = [...OBJECTS, 5, 'x', false, 'false'];
WRONG['texts_any'] = [{}, 5, true, 'x', [5], [null], UNPRINTABLE];
