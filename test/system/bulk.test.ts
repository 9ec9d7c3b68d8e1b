// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Bulk TCP over UDP and TUN, with what virtual links leave undone in every
 * mixture: super-packets and unfinished checksums (as links are made),
 * unfinished checksums alone, and packets as on a wire. Each byte is echoed
 * and compared, so both directions are seen. Needs root and namespaces.
 */

import test, { type Test } from 'tape';
import { Gateway } from './gateway-client.js';
import {
  A,
  AIP,
  C,
  GATEWAY_UL3,
  INTERNET,
  Lab,
  lines,
  ROUTER_MAC,
  VNET1_PUBLIC,
} from './lab.js';

const lab = new Lab(`vxbk${process.pid}`);
const root = process.getuid?.() === 0;
const BYTES = 4_000_000;

/** What the ends' devices are told, after the one before. */
const LINKS: [string, string][] = [
  ['super-packets', ''],
  ['unfinished checksums', 'tso off gso off'],
  ['packets as on a wire', 'tx off'],
];

function configure(words: string): void {
  if (words === '') return;
  const devices = [
    ['cn1', 'u0'],
    ['cn2', 'u0'],
    ['inet', 'e0'],
    ['a', 'vx1'],
    ['c', 'vx1'],
  ] as const;
  for (const [name, device] of devices) {
    lab.run(name, 'ethtool', '-K', device, ...words.split(' '));
  }
}

async function open(underlay: string | null): Promise<Gateway> {
  const gateway = await Gateway.open(
    lab,
    { max_flows: 4096 },
    { underlay_interface: underlay, tun_name: 'vxn0' },
  );
  lab.ip(`-n ${lab.ns('gw')} route add 3.3.3.0/28 dev vxn0`);
  const results = await gateway.apply([
    { op: 'add_ul3', ip: GATEWAY_UL3 },
    {
      op: 'set_rule',
      vnet: 1,
      vlan: 0,
      prefix: '10.4.4.0/22',
      router_ip: '10.4.4.1',
      router_mac: ROUTER_MAC,
      public_ip: VNET1_PUBLIC,
    },
    {
      op: 'set_one_to_one',
      vnet: 1,
      vlan: 0,
      private_ip: C.ip,
      public_ip: AIP,
    },
    ...[A, C].map(({ vnet, ip, mac, ul3 }) => ({
      op: 'set_remote' as const,
      vnet,
      ip,
      mac,
      ul3_ip: ul3,
      ul3_port: 4789,
    })),
  ]);
  const errors = results.filter((result) => result.error !== null);
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return gateway;
}

async function transfer(t: Test, from: string, to: string): Promise<void> {
  const answer = await lab.peer(from, 'tcp', to, String(BYTES));
  t.equal(answer.error, undefined, `${from} to ${to}: every byte comes back`);
  t.equal(answer.bytes, BYTES, 'and no more');
}

/** With the underlay's interface known, super-packets need no cutting. */
const WAYS: [string, string | null][] = [
  ['whole', 'br0'],
  ['cut', null],
];

test('bulk TCP', { skip: !root && 'needs root' }, async (t) => {
  lab.up();
  for (const name of ['inet', 'c']) {
    const server = lab.start(name, 'peer.js', 'serve');
    for await (const _line of lines(server)) break;
  }
  for (const [links, words] of LINKS) {
    configure(words);
    for (const [way, underlay] of WAYS) {
      t.comment(`${links}, super-packets to a fabric go ${way}`);
      const gateway = await open(underlay);
      await transfer(t, 'a', INTERNET);
      await transfer(t, 'inet', AIP);
      await transfer(t, 'a', AIP);
      const stats = await gateway.stats();
      const mean = stats.tx_external_bytes / stats.tx_external_packets;
      t.comment(`${Math.round(mean)} bytes in a packet to the outside`);
      if (words === '') t.ok(mean > 1500, 'super-packets stayed whole');
      await gateway.close();
    }
  }
});

test.onFinish(() => {
  if (root) lab.down();
});

process.on('SIGTERM', () => {
  lab.down();
  process.exit(1);
});
