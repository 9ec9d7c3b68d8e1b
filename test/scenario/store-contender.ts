// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One of several processes on one PostgreSQL, for store-cluster.test.ts. It
 * tries to lead; as the leader it allocates addresses as fast as it can. What
 * it does and hears it prints, a JSON line each. On the line `freeze` it stops
 * itself between deciding and writing; on `quiet` it allocates no more.
 *
 *   store-contender URL SCHEMA NAME
 */

import { createInterface } from 'node:readline';
import { systemClock } from '#lib/clock.js';
import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { createLease, fenced } from '#lib/store/lease.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import { StoreError } from '#lib/store/types.js';

const BASE = 10 * 2 ** 24;

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

const [url = '', schema = '', name = ''] = process.argv.slice(2);
const clock = systemClock();
const store = await openPostgresStore({ url, schema }, { clock });
await store.putBucket('ips', {
  index: { ip: { type: 'ip', unique: true } },
  options: { version: 1 },
});
say({ opened: store.journal.position() });
store.journal.onCommit((entries) => {
  say({ heard: entries.map(({ seq }) => seq) });
});
const lease = createLease({ store, name: 'leader', holder: name, clock });
lease.onChange((leads) => say({ leads }));
const leading = fenced(store, lease);
let freeze = false;
let quiet = false;
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'freeze') freeze = true;
  if (line === 'quiet') quiet = true;
});
await lease.start();

async function allocate(): Promise<void> {
  const gap = await store.findGap('ips', 'ip', BASE, BASE + 2 ** 16);
  const ip = formatIpv4(ipv4(gap?.start ?? 0));
  const event = {
    resource: 'ip',
    subResources: ['create'],
    id: ip,
    object: { ip, by: name },
  };
  const fence = lease.fence();
  if (freeze) {
    freeze = false;
    say({ freezing: ip });
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.kill(process.pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 50));
    say({ thawed: ip, holds: lease.holds() });
    // Decided while it led: the token is from then.
    const request = { bucket: 'ips', key: `late-${ip}`, value: { by: name } };
    await store.batch([...fence, request], [event]).then(
      () => say({ late: 'written' }),
      (error: StoreError) => say({ late: error.name }),
    );
    return;
  }
  const value = { ip, by: name };
  const request = { bucket: 'ips', key: ip, value, options: { etag: null } };
  const { position } = await leading.batch([request], [event]);
  say({ acked: ip, position });
}

while (!quiet) {
  try {
    if (lease.holds()) await allocate();
    else await new Promise((resolve) => setTimeout(resolve, 20));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    say({ failed: error.name });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
say({ quiet });
