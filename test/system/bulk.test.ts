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
import { AIP, Cloud, INTERNET } from './lab/cloud.js';

const lab = new Cloud('vxbk');
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
    lab.offload(name, device, words);
  }
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
  for (const name of ['inet', 'c']) await lab.serve(name);
  for (const [links, words] of LINKS) {
    configure(words);
    for (const [way, underlay] of WAYS) {
      t.comment(`${links}, super-packets to a fabric go ${way}`);
      const gateway = await lab.open({ underlay_interface: underlay });
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
  t.equal(lab.leaked('inet'), 0, 'nothing left with a private address');
});

test.onFinish(() => {
  if (root) lab.down();
});

process.on('SIGTERM', () => {
  lab.down();
  process.exit(1);
});
