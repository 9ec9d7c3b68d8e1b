// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The configuration files of the example's services: what an operator would
 * write for this deployment.
 */

import { createHash, createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import type { Identity } from './client.js';
import type { Lab } from './netns.js';
import { ADMIN_UUID, HEAD, NETWORK_UUIDS, type ZONES } from './topology.js';

/** napi-nat on the head machine, reachable by zones and compute nodes. */
export function napiConfig(lab: Lab): object {
  return {
    datacenter: 'example',
    listen: { host: '0.0.0.0', port: HEAD.napi_port },
    svp: { host: '0.0.0.0', port: HEAD.svp_port },
    store: { directory: join(lab.directory, 'store') },
    admin_uuid: ADMIN_UUID,
    mac_oui: '90b8d0',
    overlay: {
      enabled: true,
      default_overlay_mtu: 1500,
      default_underlay_mtu: 1600,
      overlay_nic_tag: 'sdc_overlay',
      underlay_nic_tag: 'sdc_underlay',
      vnet_ids: 'sequential',
    },
    initial_networks: {
      sdc_underlay: {
        uuid: NETWORK_UUIDS.underlay,
        vlan: 0,
        network: '192.168.12.0',
        netmask: '255.255.255.0',
        startIP: '192.168.12.1',
        endIP: '192.168.12.253',
      },
      external: {
        uuid: NETWORK_UUIDS.public,
        vlan: 0,
        network: '3.3.3.0',
        netmask: '255.255.255.240',
        startIP: '3.3.3.2',
        endIP: '3.3.3.12',
        gateway: '3.3.3.1',
      },
    },
    nat_reform: {
      default: true,
      policy: { sharing: 'per-owner', placement: 'spread' },
      public_network: NETWORK_UUIDS.public,
      probe: {
        vnet: 16777215,
        interval_ms: 100,
        misses: 3,
        bind: HEAD.underlay,
      },
      heartbeat: { interval_ms: 200, misses: 5 },
    },
    log_level: 'info',
  };
}

/** cloudapi-aip; the customers' accounts are in a file of mahi's shape. */
export function cloudapiConfig(lab: Lab): object {
  return {
    listen: { host: '0.0.0.0', port: HEAD.cloudapi_port },
    datacenter: 'example',
    napi_nat: { url: `http://${HEAD.admin}:${HEAD.napi_port}` },
    accounts: { file: join(lab.directory, 'accounts.json') },
    log_level: 'info',
  };
}

/** One customer as mahi tells it (facts: cloudapi 2.5), with a named key. */
export function account(identity: Identity): object {
  const fingerprint = keyFingerprint(identity.publicKey);
  return {
    roles: {},
    account: {
      type: 'account',
      uuid: identity.uuid,
      login: identity.login,
      groups: [],
      approved_for_provisioning: true,
      isOperator: false,
      keys: { [fingerprint]: identity.publicKey },
    },
    key_names: { demo: fingerprint },
  };
}

/** MD5 fingerprint of an RSA key in its SSH form (RFC 4716 section 4). */
function keyFingerprint(pem: string): string {
  const { n, e } = createPublicKey(pem).export({ format: 'jwk' });
  const field = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const positive = (text: string) => {
    const bytes = Buffer.from(text, 'base64url');
    const first = bytes[0] as number;
    return first < 0x80 ? bytes : Buffer.concat([Buffer.of(0), bytes]);
  };
  const blob = Buffer.concat([
    field(Buffer.from('ssh-rsa')),
    field(positive(e as string)),
    field(positive(n as string)),
  ]);
  const digest = createHash('md5').update(blob).digest('hex');
  return (digest.match(/../g) as string[]).join(':');
}

/** One zone: underlay, external and admin NICs, as RFD 158 asks. */
export function zoneConfig(lab: Lab, zone: (typeof ZONES)[number]): object {
  return {
    zone_uuid: zone.uuid,
    napi: { url: `http://${HEAD.admin}:${HEAD.napi_port}` },
    svp: { host: HEAD.admin, port: HEAD.svp_port },
    underlay: { interface: 'underlay0', ip: zone.ul3, port: 4789 },
    external: { interface: 'ext0', ip: zone.external },
    tun: { name: 'vxn0', mtu: 1500 },
    // A zone that is killed here is dead, its fast path too.
    xdp: { pins: null },
    announce: 'arp',
    manage_os: true,
    state_directory: join(lab.directory, `${zone.name}.state`),
    admin: { host: '0.0.0.0', port: 2960 },
    engine: { inner_mtu: 1500, max_flows: 65_536 },
    heartbeat: { interval_ms: 200 },
    log_level: 'info',
  };
}
