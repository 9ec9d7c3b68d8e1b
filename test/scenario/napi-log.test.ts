// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat's log: one line for each request, with who asked for what and what
 * came of it, and nothing that somebody could use.
 */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'tape';
import { systemClock } from '#lib/clock.js';
import { createLogger } from '#lib/service/log.js';
import { Lines } from '#test/lines.js';
import { napiConfig } from '#test/napi-config.js';
import { talk, uuidOf, worldConfig } from '#test/nat-world.js';
import { temporaryDirectory } from '#test/tmp.js';
import { createApp } from '../../services/napi-nat/app.js';

const SECRET = 'hunter2';
const MAIN = fileURLToPath(
  new URL('../../services/napi-nat/main.js', import.meta.url),
);

test('each request is a line, without its body and credentials', async (t) => {
  const lines = new Lines();
  const log = createLogger({ name: 'x', level: 'trace', stream: lines });
  const config = worldConfig(temporaryDirectory(t), {});
  const app = createApp(config, { clock: systemClock(), log });
  const { http } = await app.start();
  t.teardown(() => app.stop());
  const { call } = talk(`http://127.0.0.1:${http.port}`);
  const headers = {
    authorization: `Basic ${SECRET}`,
    'x-auth-token': SECRET,
    cookie: SECRET,
    'x-request-id': 'the-first',
  };
  const tag = { name: 'lab', description: SECRET };
  const made = await call('POST', '/nic_tags', tag, headers);
  t.equal(made.status, 200);
  const wrong = { owner_uuid: uuidOf(1, 1), description: [SECRET] };
  const refused = await call('POST', '/aips', wrong, {
    ...headers,
    'x-request-id': 'the-second',
  });
  t.equal(refused.status, 422);
  const signed = `/ping?keyId=k&Signature=${SECRET}&expires=1`;
  await call('GET', signed, undefined, {
    ...headers,
    'x-request-id': 'the-third',
  });
  const audit = lines
    .records()
    .filter(({ component }) => component === 'audit')
    .map(({ method, url, route, remote, status, req_id }) =>
      [req_id, method, url, route, remote, status].join(' '),
    );
  t.deepEqual(audit, [
    'the-first POST /nic_tags createnictag 127.0.0.1 200',
    'the-second POST /aips createaip 127.0.0.1 422',
    'the-third GET /ping?keyId=k&Signature=*&expires=1 getping 127.0.0.1 200',
  ]);
  t.notOk(lines.text().includes(SECRET), 'no secret, at any level');
});

test('the password of a database is not told', (t) => {
  const directory = temporaryDirectory(t);
  for (const [what, url] of [
    ['nobody listens', `postgres://vxlnat:${SECRET}@127.0.0.1:1/vxlnat`],
    ['no URL', `postgres://vxlnat:${SECRET}@127.0.0.1:port/vxlnat`],
    ['not what it says', `mysql://vxlnat:${SECRET}@127.0.0.1/vxlnat`],
  ]) {
    const file = join(directory, 'config.json');
    const config = { ...napiConfig(directory), store: { postgres: { url } } };
    writeFileSync(file, JSON.stringify({ ...config, log_level: 'trace' }));
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [MAIN, '-f', file],
      { encoding: 'utf8', timeout: 60_000 },
    );
    t.ok(status !== null && status !== 0, `${what}: ended with ${status}`);
    t.notOk(`${stdout}${stderr}`.includes(SECRET), stderr.slice(0, 200));
  }
  t.end();
});
