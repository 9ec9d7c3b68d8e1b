// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a napi-nat that is asked to end, as in an upgrade, drops
 * requests that it has begun, or has done what nobody was told of.
 */

import { Agent, request } from 'node:http';
import test from 'tape';
import { ADMIN_UUID, napiConfig, PUBLIC_NETWORK } from '#test/napi-config.js';
import { startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';

interface Nic {
  ip: string;
  mac: string;
}

interface Told extends Nic {
  /** Whether the answer says that its connection ends. */
  last: boolean;
}

/** One request on a connection that is kept; null when it was not taken. */
function provision(url: string, agent: Agent, n: number): Promise<Told | null> {
  const owner = n.toString(16).padStart(12, '0');
  const body = JSON.stringify({
    belongs_to_uuid: `00000002-0000-4000-8000-${owner}`,
    belongs_to_type: 'zone',
    owner_uuid: ADMIN_UUID,
  });
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/networks/${PUBLIC_NETWORK}/nics`, {
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/json' },
    });
    let answered = false;
    sent.once('error', () => (answered ? undefined : resolve(null)));
    sent.once('response', (response) => {
      answered = true;
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.once('error', reject);
      const last = response.headers.connection === 'close';
      response.once('end', () =>
        response.statusCode === 200
          ? resolve({ ...JSON.parse(text), last })
          : reject(new Error(`${response.statusCode} ${text}`)),
      );
    });
    sent.end(body);
  });
}

test('SIGTERM under load loses no request', async (t) => {
  const directory = temporaryDirectory(t);
  const config = napiConfig(directory, '3.3.3.250');
  const service = await startService(t, 'napi-nat', config, directory);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const told: Told[] = [];
  let stopped: Promise<void> | undefined;
  const work = async (worker: number) => {
    for (let n = 0; ; n += 1) {
      const nic = await provision(service.url, agent, worker * 1000 + n);
      if (nic === null) return;
      told.push(nic);
      if (told.length === 60) stopped = service.stop('SIGTERM');
    }
  };
  await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(work));
  await stopped;
  t.ok(told.length >= 60, `${told.length} were answered`);
  const last = told.filter((each) => each.last).length;
  t.ok(last > 0 && last <= 8, `${last} heard that their connection ends`);

  const next = await startService(t, 'napi-nat', config, directory);
  const nics = (await (await fetch(`${next.url}/nics`)).json()) as Nic[];
  const named = (list: Nic[]) => list.map(({ ip, mac }) => `${ip} ${mac}`);
  t.deepEqual(
    named(nics).sort(),
    named(told).sort(),
    'what was answered is there, and nothing else is',
  );
});
