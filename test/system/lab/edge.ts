// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One gateway between a compute node and a host on the Internet:
 *
 *   cn 192.168.12.1 ---- und0 gw ext0 ---- wan 203.0.113.1
 *   vx1: 10.4.5.1 (1:1), 10.4.5.2 (SNAT)   198.51.100.7 on its loopback
 *
 * Optionally a router of the underlay stands between node and gateway:
 *
 *   cn ---- low0 rtr high0 ---- und0 gw
 */

import type { Test } from 'tape';
import type { EngineOptions, IoOptions, Operation } from '#native/index.js';
import { Gateway } from './gateway-client.js';
import { Lab } from './lab.js';
import { oneToOne, ROUTER, remote, rule, VNET } from './operations.js';

export const NODE = '192.168.12.1';
export const GATEWAY = { ul3: '192.168.12.6', external: '203.0.113.2' };
/** Behind an underlay router the gateway is in another network. */
const FAR_UL3 = '192.168.13.6';
export const SERVER = '198.51.100.7';
export const HOST_MAC = '90:b8:d0:00:01:01';
export const SNAT = { private: '10.4.5.2', public: '3.3.3.2' };
export const FIXED = { private: '10.4.5.1', public: '3.3.3.5' };

export interface EdgeOptions {
  /** Of each device. */
  queues?: number;
  /** What the instances' device carries. */
  instanceMtu?: number;
  /** Whether the node's datagrams have UDP checksums. */
  checksums?: boolean;
  /** What a router of the underlay carries towards the node. */
  narrow?: number;
}

export class Edge extends Lab {
  /** The gateway's address of the underlay. */
  readonly ul3: string;

  /** Makes it all; it goes with the test. */
  constructor(t: Test, name: string, options: EdgeOptions = {}) {
    super(name);
    t.teardown(() => this.down());
    const { queues = 1, instanceMtu = 1446, narrow } = options;
    this.ul3 = narrow === undefined ? GATEWAY.ul3 : FAR_UL3;
    this.add('cn', 'gw', 'wan');
    const node = { at: 'cn', device: 'und0', address: `${NODE}/24` };
    const gateway = { at: 'gw', device: 'und0', address: `${this.ul3}/24` };
    if (narrow === undefined) this.cable(node, gateway, queues);
    else this.#underlay(node, gateway, narrow);
    this.cable(
      { at: 'gw', device: 'ext0', address: `${GATEWAY.external}/24` },
      { at: 'wan', device: 'wan0', address: '203.0.113.1/24' },
      queues,
    );
    this.watchForLeaks('wan', 'wan0');
    this.ip('wan', `addr add ${SERVER}/32 dev lo`);
    this.ip('gw', 'route add default via 203.0.113.1');
    this.plugIn({
      ...{ at: 'cn', node: 'cn', underlay: 'und0', ul3: NODE },
      ...{ vnet: VNET, mac: HOST_MAC, mtu: instanceMtu },
      checksums: options.checksums ?? false,
      addresses: [`${FIXED.private}/22`, `${SNAT.private}/22`],
      router: { ...ROUTER, ul3: this.ul3 },
    });
  }

  /** A router between node and gateway whose link to the node is narrow. */
  #underlay(
    node: { at: string; device: string; address: string },
    gateway: { at: string; device: string; address: string },
    mtu: number,
  ): void {
    this.add('rtr');
    const low = { at: 'rtr', device: 'low0', address: '192.168.12.254/24' };
    const high = { at: 'rtr', device: 'high0', address: '192.168.13.254/24' };
    this.cable(node, low);
    this.cable(high, gateway);
    this.ip('rtr', `link set low0 mtu ${mtu}`);
    this.sysctl('rtr', 'net.ipv4.ip_forward=1');
    this.ip('cn', 'route add 192.168.13.0/24 via 192.168.12.254');
    this.ip('gw', 'route add 192.168.12.0/24 via 192.168.13.254');
  }

  /** Public addresses are behind the gateway, or, announced, on its link. */
  publicVia(how: 'gateway' | 'link'): void {
    const way = how === 'gateway' ? `via ${GATEWAY.external}` : 'dev wan0';
    this.ip('wan', `route replace 3.3.3.0/28 ${way} src ${SERVER}`);
  }

  /** The far ends take what XDP sends. */
  farEndsTakeXdp(): void {
    this.takesXdp('cn', 'und0');
    this.takesXdp('wan', 'wan0');
  }

  /** As network cards: and what they send has its checksums finished. */
  likeNetworkCards(): void {
    this.farEndsTakeXdp();
    this.offload('cn', 'und0', 'tx off');
    this.offload('cn', 'vx1', 'tx off');
    this.offload('wan', 'wan0', 'tx off');
  }

  /** What an engine in `gw` is told. */
  operations(): Operation[] {
    const at = { vnet: VNET, mac: HOST_MAC, ul3: NODE };
    return [
      { op: 'add_ul3', ip: this.ul3 },
      rule(VNET, SNAT.public),
      oneToOne(VNET, FIXED.private, FIXED.public),
      remote({ ...at, ip: FIXED.private }),
      remote({ ...at, ip: SNAT.private }),
      { op: 'finish_adoption' },
    ];
  }

  /**
   * Opens an engine in `gw` with the operations above; not attached yet.
   * @throws when an operation does not hold
   */
  async open(io: IoOptions, config: EngineOptions = {}): Promise<Gateway> {
    const gateway = await Gateway.open(
      this,
      { max_flows: 4096, ...config },
      {
        underlay_interface: 'und0',
        external_interface: 'ext0',
        tun_name: 'vxn0',
        ...io,
      },
    );
    this.sysctl('gw', 'net.ipv4.ip_forward=1');
    this.ip('gw', 'route replace 3.3.3.0/28 dev vxn0');
    await gateway.must(this.operations());
    return gateway;
  }
}
