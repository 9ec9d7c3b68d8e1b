// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A napi-nat configuration for tests: free ports, the example's networks. */

import { join } from 'node:path';

export const ADMIN_UUID = '000000ad-0000-4000-8000-000000000001';
export const PUBLIC_NETWORK = '00000e70-0000-4000-8000-000000000002';
export const UNDERLAY_NETWORK = '00000e70-0000-4000-8000-000000000001';

/**
 * @param directory of the test, for the store
 * @param endIp last address of the public pool that begins at 3.3.3.2
 */
export function napiConfig(directory: string, endIp = '3.3.3.14'): object {
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
