// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** napi-nat configurations for tests: the example's networks. */

import { join } from 'node:path';
import type { NapiConfig } from '../../services/napi-nat/config.js';

export const ADMIN_UUID = '000000ad-0000-4000-8000-000000000001';
export const PUBLIC_NETWORK = '00000e70-0000-4000-8000-000000000002';
export const UNDERLAY_NETWORK = '00000e70-0000-4000-8000-000000000001';

/**
 * On free ports of the loopback.
 * @param directory of the test, for the store
 * @param endIp last address of the public pool that begins at 3.3.3.2
 */
export function napiConfig(directory: string, endIp = '3.3.3.14'): NapiConfig {
  const network = (
    uuid: string,
    base: string,
    startIP: string,
    endIP: string,
  ) => ({
    uuid,
    vlan: 0,
    network: base,
    netmask: '255.255.255.0',
    startIP,
    endIP,
  });
  return {
    listen: { host: '127.0.0.1', port: 0 },
    svp: { host: '127.0.0.1', port: 0 },
    store: { directory: join(directory, 'store') },
    admin_uuid: ADMIN_UUID,
    mac_oui: '90b8d0',
    overlay: {
      enabled: true,
      default_overlay_mtu: 1400,
      default_underlay_mtu: 1500,
      overlay_nic_tag: 'sdc_overlay',
      underlay_nic_tag: 'sdc_underlay',
      vnet_ids: 'sequential',
    },
    initial_networks: {
      sdc_underlay: network(
        UNDERLAY_NETWORK,
        '192.168.12.0',
        '192.168.12.1',
        '192.168.12.250',
      ),
      external: network(PUBLIC_NETWORK, '3.3.3.0', '3.3.3.2', endIp),
    },
    nat_reform: {
      default: true,
      policy: { sharing: 'per-owner', placement: 'spread' },
      public_network: PUBLIC_NETWORK,
      probe: { vnet: 16777215, interval_ms: 100, misses: 3 },
      heartbeat: { interval_ms: 200, misses: 5 },
    },
    log_level: 'info',
  };
}

/** How placement and liveness are to be; what is absent is as usual. */
export interface ReformOptions {
  policy?: Partial<NapiConfig['nat_reform']['policy']>;
  /** How fast a zone is given up: a busy test machine needs patience. */
  probe?: { interval_ms: number; misses: number };
}

/**
 * In a machine of a lab, reached by zones and compute nodes.
 * @param at.host where it listens
 * @param at.underlay its address of the underlay, to probe from
 */
export function labNapiConfig(
  at: {
    store: NapiConfig['store'];
    host: string;
    port: number;
    svpPort: number;
    underlay: string;
  },
  { policy, probe }: ReformOptions = {},
): NapiConfig {
  const base = napiConfig('', '3.3.3.12');
  const reform = base.nat_reform;
  const patient = probe ?? { interval_ms: 100, misses: 5 };
  return {
    ...base,
    listen: { host: at.host, port: at.port },
    svp: { host: at.host, port: at.svpPort },
    store: at.store,
    nat_reform: {
      ...reform,
      policy: { ...reform.policy, ...policy },
      probe: { ...reform.probe, ...patient, bind: at.underlay },
      heartbeat: { interval_ms: 200, misses: 10 },
    },
  };
}
