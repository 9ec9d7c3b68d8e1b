// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * RFD 158's example deployment as data: compute nodes with UL3 192.168.12.1 to
 * .5, NAT Reform zones on D and E with UL3 .6 and .7, four fabric networks in
 * two vnets, and the pool 3.3.3.2 to .14. A third customer uses the same
 * private addresses as the first. Where the example leaves room: the zones'
 * dedicated external addresses are the last two of the pool (ADR 0005), and
 * three of the five compute nodes run instances.
 */

export interface Customer {
  login: string;
  uuid: string;
  /** In the order of creation; the first gives the customer its vnet. */
  networks: { name: string; subnet: string }[];
}

export interface Instance {
  /** Machine name in the lab. */
  name: string;
  uuid: string;
  login: string;
  network: string;
  ip: string;
  node: string;
}

/** Well-formed UUIDs that a reader can tell apart. */
function uuid(kind: number, n: number): string {
  const tail = n.toString(16).padStart(12, '0');
  return `${kind.toString(16).padStart(8, '0')}-0000-4000-8000-${tail}`;
}

/** The operator's own account. */
export const ADMIN_UUID = uuid(0xad, 1);

/**
 * The VLAN of every fabric network here: Triton's default. An ordinary user's
 * demo goes without, since the tag inside VXLAN needs a BPF program.
 */
export const FABRIC_VLAN = process.env['VXLNAT_UNPRIVILEGED'] ? 0 : 2;

export const CUSTOMERS: Customer[] = [
  {
    login: 'alice',
    uuid: uuid(0xc1, 1),
    networks: [
      { name: 'alice-web', subnet: '10.4.4.0/22' },
      { name: 'alice-db', subnet: '10.5.5.0/24' },
    ],
  },
  {
    login: 'bob',
    uuid: uuid(0xc1, 2),
    networks: [
      { name: 'bob-app', subnet: '10.6.6.0/24' },
      { name: 'bob-batch', subnet: '10.7.7.0/24' },
    ],
  },
  {
    login: 'carol',
    uuid: uuid(0xc1, 3),
    networks: [{ name: 'carol-db', subnet: '10.5.5.0/24' }],
  },
];

/** Compute nodes that run instances here; D and E hold the zones. */
export const NODES = ['a', 'b', 'c'].map((letter, i) => ({
  name: `cn-${letter}`,
  uuid: uuid(0xc0de, i + 1),
  ul3: `192.168.12.${i + 1}`,
  admin: `10.99.99.${i + 1}`,
}));

export const ZONES = [1, 2].map((n) => ({
  name: `zone${n}`,
  uuid: uuid(0x20ae, n),
  server_uuid: uuid(0xc0de, n + 3),
  ul3: `192.168.12.${n + 5}`,
  external: `3.3.3.${n + 12}`,
  admin: `10.99.99.2${n}`,
}));

export const HEAD = {
  name: 'head',
  admin: '10.99.99.10',
  underlay: '192.168.12.254',
  napi_port: 8080,
  svp_port: 1296,
  cloudapi_port: 8081,
};

export const UPSTREAM = { external: '3.3.3.1', internet: '198.51.100.1' };
export const INTERNET = { ip: '198.51.100.10', http_port: 80, udp_port: 7 };

export const INSTANCES: Instance[] = [
  ['web', 'alice', 'alice-web', '10.4.4.10', 'cn-a'],
  ['web2', 'alice', 'alice-web', '10.4.5.1', 'cn-b'],
  ['db', 'alice', 'alice-db', '10.5.5.10', 'cn-b'],
  ['app', 'bob', 'bob-app', '10.6.6.10', 'cn-b'],
  ['batch', 'bob', 'bob-batch', '10.7.7.7', 'cn-c'],
  ['carol', 'carol', 'carol-db', '10.5.5.10', 'cn-c'],
].map(([name, login, network, ip, node], i) => ({
  name: name as string,
  uuid: uuid(0x1257, i + 1),
  login: login as string,
  network: network as string,
  ip: ip as string,
  node: node as string,
}));

/** UUIDs of networks that the demo names itself. */
export const NETWORK_UUIDS = {
  underlay: uuid(0x0e7, 1),
  public: uuid(0x0e7, 2),
};
