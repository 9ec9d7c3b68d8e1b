// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A small cloud in network namespaces, for tests of the real data path:
 *
 *   vnet 1 a 10.4.4.10 --\
 *                         cn1 172.16.9.10 --\           e1          e0
 *   vnet 2 b 10.4.4.10 --/                   br0 [gw] 198.51.100.1--2 [inet]
 *   vnet 1 c 10.4.4.20 --- cn2 172.16.9.11 --/  172.16.9.1    203.0.113.80
 *
 * Instances are namespaces that hold the kernel's own VXLAN device, whose
 * socket stays in the compute node's namespace. `a` and `b` find the router
 * by ARP (a VXLAN flood entry leads to the gateway), `c` by static entries,
 * as varpd would have it.
 */

import type { IoOptions, Operation } from '#native/index.js';
import { Gateway } from './gateway-client.js';
import { Lab } from './lab.js';
import { oneToOne, ROUTER, remote, rule } from './operations.js';

export const GATEWAY_UL3 = '172.16.9.1';
export const INTERNET = '203.0.113.80';
export const VNET1_PUBLIC = '3.3.3.2';
export const VNET2_PUBLIC = '3.3.3.3';
export const AIP = '3.3.3.4';

/** An instance, and the compute node that it lives on. */
export interface Place {
  name: string;
  vnet: number;
  ip: string;
  mac: string;
  ul3: string;
  cn: string;
}

export const A: Place = {
  name: 'a',
  vnet: 1,
  ip: '10.4.4.10',
  mac: '90:b8:d0:aa:00:01',
  ul3: '172.16.9.10',
  cn: 'cn1',
};
export const B: Place = {
  name: 'b',
  vnet: 2,
  ip: '10.4.4.10',
  mac: '90:b8:d0:aa:00:02',
  ul3: '172.16.9.10',
  cn: 'cn1',
};
export const C: Place = {
  name: 'c',
  vnet: 1,
  ip: '10.4.4.20',
  mac: '90:b8:d0:aa:00:03',
  ul3: '172.16.9.11',
  cn: 'cn2',
};

/** What an engine in `gw` is told; where `b` lives it has to ask. */
const OPERATIONS: Operation[] = [
  { op: 'add_ul3', ip: GATEWAY_UL3 },
  rule(1, VNET1_PUBLIC),
  rule(2, VNET2_PUBLIC),
  oneToOne(1, C.ip, AIP),
  remote(A),
  remote(C),
];

export class Cloud extends Lab {
  /** Makes it all. */
  up(): void {
    this.add('gw', 'inet', 'cn1', 'cn2', 'a', 'b', 'c');
    this.ip('gw', 'link add br0 type bridge');
    this.ip('gw', `addr add ${GATEWAY_UL3}/24 dev br0`);
    this.ip('gw', 'link set br0 up');
    for (const { cn, ul3 } of [A, C]) {
      const node = { at: cn, device: 'u0', address: `${ul3}/24` };
      this.cable(node, { at: 'gw', device: cn });
      this.ip('gw', `link set ${cn} master br0`);
    }
    this.cable(
      { at: 'gw', device: 'e1', address: '198.51.100.1/24' },
      { at: 'inet', device: 'e0', address: '198.51.100.2/24' },
    );
    this.ip('inet', `addr add ${INTERNET}/32 dev lo`);
    this.ip('gw', 'route add default via 198.51.100.2');
    // The only way back: a reply to a private address has no route here.
    this.ip('inet', `route add 3.3.3.0/28 via 198.51.100.1 src ${INTERNET}`);
    for (const each of [A, B, C]) {
      this.plugIn({
        ...{ at: each.name, node: each.cn, underlay: 'u0', ul3: each.ul3 },
        ...{ vnet: each.vnet, mac: each.mac, addresses: [`${each.ip}/22`] },
        router: { ...ROUTER, ul3: GATEWAY_UL3 },
        checksums: true,
        asks: each !== C,
      });
    }
    this.sysctl('gw', 'net.ipv4.ip_forward=1');
    this.watchForLeaks('inet', 'e0');
  }

  /** Opens an engine in `gw` by UDP and TUN, with the operations above. */
  async open(io: IoOptions): Promise<Gateway> {
    const gateway = await Gateway.open(
      this,
      { max_flows: 4096 },
      { kind: 'tun', tun_name: 'vxn0', ...io },
    );
    this.ip('gw', 'route replace 3.3.3.0/28 dev vxn0');
    await gateway.must(OPERATIONS);
    return gateway;
  }
}
