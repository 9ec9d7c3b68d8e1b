// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A router of the underlay that carries less than the rest, by every path: who
 * sends what is too long is told by the gateway (M4).
 */

import test from 'tape';
import { Edge, FIXED } from './lab/edge.js';

const skip = process.getuid?.() !== 0 && 'needs root';

for (const kind of ['xdp', 'af_xdp', 'tun'] as const) {
  test(`${kind}: M4 a narrow underlay is told to senders`, {
    skip,
  }, async (t) => {
    const lab = new Edge(t, 'vxf', { narrow: 1400, instanceMtu: 1350 });
    lab.publicVia('gateway');
    lab.farEndsTakeXdp();
    lab.takesXdp('rtr', 'high0');
    const ping = (...args: string[]) =>
      lab.run('wan', 'ping', '-W', '1', '-i', '0.2', ...args, FIXED.public);
    const gateway = await lab.open({ kind });
    const status = await gateway.attach();
    t.equal(status.path, kind, status.why ?? 'the path asked for');

    const small = ping('-c', '3', '-s', '1322', '-M', 'do');
    t.equal(small.status, 0, 'what fits goes through');
    const large = ping('-c', '10', '-s', '1372', '-M', 'do');
    t.match(large.text, /mtu ?= ?1350/, 'what does not is answered');
    await gateway.io(); // what was said before comes before
    t.match(
      gateway.said().join('\n'),
      /1400 bytes at most to 192\.168\.12\.1/,
      'log',
    );
    lab.ip('wan', 'route flush cache');
    const pieces = ping('-c', '3', '-s', '1372', '-M', 'dont');
    t.equal(pieces.status, 0, 'or goes in fragments');
    await gateway.close();
  });
}
