// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The one address plan of tests and demo: RFD 158's example deployment (facts:
 * svp-portolan-vxlnat 4.5). Whoever reads an address in a trace can tell what
 * it is:
 *
 *   192.168.12.0/24  underlay: compute nodes A-E are .1-.5, zones .6 and .7
 *   10.0.0.0/8       private, overlapping between vnets
 *   3.3.3.0/28       public pool, .1 is the upstream router
 *   198.51.100.0/24  the Internet's hosts (TEST-NET-2)
 */

export const COMPUTE_NODES = {
  A: { uuid: '564d0a00-0000-4000-8000-00000000000a', ul3: '192.168.12.1' },
  B: { uuid: '564d0a00-0000-4000-8000-00000000000b', ul3: '192.168.12.2' },
  C: { uuid: '564d0a00-0000-4000-8000-00000000000c', ul3: '192.168.12.3' },
  D: { uuid: '564d0a00-0000-4000-8000-00000000000d', ul3: '192.168.12.4' },
  E: { uuid: '564d0a00-0000-4000-8000-00000000000e', ul3: '192.168.12.5' },
} as const;

/** NAT zones; 1 runs on compute node D, 2 on E. */
export const ZONES = {
  1: {
    uuid: '7a6f6e65-0000-4000-8000-000000000001',
    cn_uuid: COMPUTE_NODES.D.uuid,
    ul3: '192.168.12.6',
    external: '3.3.3.2',
  },
  2: {
    uuid: '7a6f6e65-0000-4000-8000-000000000002',
    cn_uuid: COMPUTE_NODES.E.uuid,
    ul3: '192.168.12.7',
    external: '3.3.3.3',
  },
} as const;

export const UNDERLAY = { subnet: '192.168.12.0/24', vxlanPort: 4789 } as const;

export const PUBLIC_POOL = {
  subnet: '3.3.3.0/28',
  first: '3.3.3.2',
  last: '3.3.3.14',
  gateway: '3.3.3.1',
} as const;

export const OWNERS = {
  alice: 'a11ce000-0000-4000-8000-000000000001',
  bob: 'b0b00000-0000-4000-8000-000000000002',
  carol: 'ca401000-0000-4000-8000-000000000003',
} as const;

/** Fabric networks by name; carol's overlap alice's on purpose. */
export const FABRICS = {
  alice1: {
    owner: OWNERS.alice,
    vnet: 1,
    subnet: '10.4.4.0/22',
    router: '10.4.4.1',
    public: '3.3.3.2',
  },
  alice2: {
    owner: OWNERS.alice,
    vnet: 1,
    subnet: '10.5.5.0/24',
    router: '10.5.5.1',
    public: '3.3.3.2',
  },
  bob1: {
    owner: OWNERS.bob,
    vnet: 2,
    subnet: '10.6.6.0/24',
    router: '10.6.6.1',
    public: '3.3.3.3',
  },
  bob2: {
    owner: OWNERS.bob,
    vnet: 2,
    subnet: '10.7.7.0/24',
    router: '10.7.7.1',
    public: '3.3.3.3',
  },
  carol1: {
    owner: OWNERS.carol,
    vnet: 3,
    subnet: '10.5.5.0/24',
    router: '10.5.5.1',
    public: '3.3.3.4',
  },
} as const;

/** RFD 158's two AIPs. */
export const AIPS = {
  alice: { vnet: 1, private_ip: '10.4.5.1', ip: '3.3.3.5', zone: 1 },
  bob: { vnet: 2, private_ip: '10.7.7.7', ip: '3.3.3.6', zone: 2 },
} as const;

export const INTERNET = {
  subnet: '198.51.100.0/24',
  host: '198.51.100.10',
} as const;
