// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatd from a rules file, without any control plane: the engine gets what
 * the file says, a reload changes only what differs, and a bad file is refused
 * with its line and harms nothing.
 */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { silentLogger } from '#lib/service/log.js';
import { FakeEngine } from '#test/fake-engine.js';
import { temporaryDirectory } from '#test/tmp.js';
import { App } from '../../services/vxlnatd/app.js';
import { completeConfig } from '../../services/vxlnatd/config.js';
import { RulesFile } from '../../services/vxlnatd/rules-file.js';

const MAIN = fileURLToPath(
  new URL('../../services/vxlnatd/main.js', import.meta.url),
);

const RULES = `
bind 192.168.12.6
map 1 0 90:b8:d0:00:00:01 10.4.4.1/22 3.3.3.2
map 2 0 90:b8:d0:00:00:02 10.6.6.1/24 3.3.3.3
fixed 1 0 10.4.5.1 3.3.3.5
remote 1 0 10.4.5.1 90:b8:d0:00:01:01 192.168.12.1
`;

async function startApp(t: Test, text: string) {
  const file = join(temporaryDirectory(t), 'vxlnat.conf');
  writeFileSync(file, text);
  const engine = new FakeEngine();
  const config = completeConfig({
    underlay: {},
    external: { interface: 'ext0' },
    manage_os: false,
    admin: { host: '127.0.0.1', port: 0 },
  });
  const app = new App(config, new RulesFile(file, null), {
    openEngine: async (_config, _io, onEvents) => {
      engine.emit = onEvents;
      return engine;
    },
    runIp: async () => ({ status: 1, stdout: '', stderr: 'not managed' }),
    clock: systemClock(),
    log: silentLogger(),
    random: Math.random,
    seed: '0'.repeat(32),
  });
  t.teardown(() => app.stop());
  await app.start();
  return { app, engine, file };
}

test('the engine holds what the file says', async (t) => {
  const { app, engine } = await startApp(t, RULES);
  t.deepEqual([...engine.ul3s], ['192.168.12.6']);
  t.equal(engine.rules.size, 2);
  t.equal(engine.entries.get('1,10.4.5.1')?.public_ip, '3.3.3.5');
  t.equal(engine.remotes.get('1,10.4.5.1')?.ul3_ip, '192.168.12.1');
  t.deepEqual(engine.announcements.sort(), [
    'ext0 3.3.3.2',
    'ext0 3.3.3.3',
    'ext0 3.3.3.5',
  ]);
  const health = await fetch(`http://127.0.0.1:${app.address.port}/health`);
  const body = (await health.json()) as Record<string, unknown>;
  t.equal(health.status, 200);
  t.equal(body['control_plane'], 'none');
  engine.emit([{ event: 'remote_miss', vnet: 1, ip: '10.4.5.9' }]);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(engine.operations.at(-1)?.op, 'remote_not_found');
});

test('a reload changes only what differs', async (t) => {
  const { app, engine, file } = await startApp(t, RULES);
  const before = engine.operations.length;
  await app.reload();
  t.equal(engine.operations.length, before, 'nothing differs, nothing is done');
  writeFileSync(
    file,
    RULES.replace('10.6.6.1/24 3.3.3.3', '10.6.6.1/24 3.3.3.4')
      .replace('fixed 1 0 10.4.5.1 3.3.3.5', 'fixed 1 0 10.4.5.2 3.3.3.5')
      .replace('192.168.12.1\n', '192.168.12.2:8472\n'),
  );
  await app.reload();
  t.deepEqual(
    engine.operations.slice(before).map((operation) => operation.op),
    ['remove_one_to_one', 'set_rule', 'set_remote', 'set_one_to_one'],
  );
  t.equal(engine.rules.get('2,10.6.6.0/24')?.public_ip, '3.3.3.4');
  t.equal(engine.remotes.get('1,10.4.5.1')?.ul3_port, 8472);
});

test('a bad reload changes nothing and names the line', async (t) => {
  const { app, engine, file } = await startApp(t, RULES);
  const before = engine.dump();
  writeFileSync(file, `${RULES}map 3 0 nonsense\n`);
  await app
    .reload()
    .then(() => t.fail('accepted'))
    .catch((error: Error) =>
      t.ok(error.message.startsWith(`${file}:7: `), error.message),
    );
  t.deepEqual(engine.dump(), before);
  writeFileSync(file, RULES);
  await app.reload();
  t.deepEqual(engine.dump(), before, 'and a good one works again');
});

test('the process says what is wrong, with its status', (t) => {
  const directory = temporaryDirectory(t);
  const bad = join(directory, 'bad.conf');
  writeFileSync(bad, 'bind 192.168.12.6\nmap 1\n');
  const config = join(directory, 'config.json');
  writeFileSync(config, '{"underlay": {"prot": 1}}');
  for (const [argv, status, expected] of [
    [['-f', join(directory, 'none')], 2, 'none: cannot be read: no such file'],
    [['-f', bad], 2, `${bad}:2: expected "map VNET`],
    [['-c', join(directory, 'none.json')], 2, 'no such file'],
    [['-c', config], 2, '/underlay/prot'],
    [['--frob'], 2, '--frob'],
    [['--help'], 0, ''],
  ] as const) {
    const ended = spawnSync(process.execPath, [MAIN, ...argv], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    t.equal(ended.status, status, argv.join(' '));
    t.ok(ended.stderr.includes(expected), ended.stderr);
    t.notOk(ended.stderr.includes('    at '), 'no stack');
  }
  t.end();
});
