// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The admin interface over HTTP, and vxlnatadm against it. */

import test from 'tape';
import { rulesDigest } from '#lib/model/rules-digest.js';
import { span, table } from '#lib/service/table.js';
import {
  completeConfig,
  engineConfig,
} from '../../../services/vxlnatd/config.js';
import { setUp } from './admin-world.js';

test('health is 200 while the engine works and rules hold', async (t) => {
  const { http, clock, progress, config } = await setUp(t);
  const answer = await fetch(`${http.url}/health`);
  const body = (await answer.json()) as Record<string, unknown>;
  t.equal(answer.status, 200);
  t.equal(body['live'], true);
  t.equal(body['control_plane'], 'none');
  t.equal(body['position'], 4);
  progress.frozen = true;
  await fetch(`${http.url}/health`);
  clock.advance(5000);
  const hung = await fetch(`${http.url}/health`);
  t.equal(hung.status, 503, 'a hanging packet worker is not live');
  t.ok((await hung.text()).includes('no progress'));
  progress.frozen = false;
  config.external.ip = '3.3.3.2';
  const own = await fetch(`${http.url}/health`);
  t.equal(own.status, 503);
  t.ok((await own.text()).includes("zone's own external address"));
});

test('a failed step makes the zone not ready, and says which', async (t) => {
  const { http, engine, reconciler, desired } = await setUp(t);
  engine.refuse = () => 'table is full';
  (desired.ul3s as Set<string>).add('192.168.12.99');
  reconciler.kick();
  await reconciler.settled();
  const answer = await fetch(`${http.url}/health`);
  t.equal(answer.status, 503);
  const text = await answer.text();
  t.ok(text.includes('192.168.12.99') && text.includes('table is full'), text);
});

test('flows are filtered, paged and ended', async (t) => {
  const { http, engine } = await setUp(t);
  const get = async (query: string) =>
    (await fetch(`${http.url}/flows${query}`)).json() as Promise<{
      flows: { private_port: number }[];
      cursor: number | null;
    }>;
  t.equal((await get('')).flows.length, 3);
  t.equal((await get('?vnet=1')).flows.length, 2);
  const page = await get('?limit=1&cursor=1');
  t.equal(page.flows[0]?.private_port, 1002);
  t.equal(page.cursor, 2);
  const gone = await fetch(
    `${http.url}/flows?proto=6&public_ip=3.3.3.2&public_port=1001` +
      '&remote_ip=198.51.100.7&remote_port=80',
    { method: 'DELETE' },
  );
  t.equal(gone.status, 204);
  t.deepEqual(engine.operations.at(-1), {
    op: 'remove_flow',
    proto: 6,
    public_ip: '3.3.3.2',
    public_port: 1001,
    remote_ip: '198.51.100.7',
    remote_port: 80,
  });
});

test('bad queries are refused with the field', async (t) => {
  const { http, engine } = await setUp(t);
  const before = engine.operations.length;
  for (const [method, path, field] of [
    ['GET', '/flows?vnet=16777216', 'vnet'],
    ['GET', '/flows?vnet=-1', 'vnet'],
    ['GET', '/flows?private_ip=10.0.0', 'private_ip'],
    ['GET', '/flows?limit=0', 'limit'],
    ['GET', '/flows?limit=10001', 'limit'],
    ['GET', '/flows?cursor=x', 'cursor'],
    ['GET', '/flows?vnte=1', 'vnte'],
    ['GET', '/rules?vnet=x', 'vnet'],
    ['DELETE', '/flows?proto=6', 'remote_port'],
    ['DELETE', '/flows?proto=300', 'proto'],
  ] as const) {
    const answer = await fetch(`${http.url}${path}`, { method });
    const body = (await answer.json()) as {
      code: string;
      errors: { field: string | string[] }[];
    };
    t.equal(answer.status, 422, `${method} ${path}`);
    t.ok(body.errors.flatMap((e) => e.field).includes(field), field);
  }
  t.equal(engine.operations.length, before, 'nothing was done');
});

test('rules, publics and config show what is applied', async (t) => {
  const { http, desired } = await setUp(t);
  const rules = (await (await fetch(`${http.url}/rules`)).json()) as {
    digest: string;
    rules: unknown[];
  };
  t.equal(
    rules.digest,
    rulesDigest(desired.rules.values(), desired.entries.values()),
  );
  t.equal(rules.rules.length, 2);
  const some = await (await fetch(`${http.url}/rules?vnet=2`)).json();
  t.equal((some as { rules: unknown[] }).rules.length, 1);
  const publics = (await (await fetch(`${http.url}/publics`)).json()) as {
    ip: string;
  }[];
  t.deepEqual(
    publics.map((p) => p.ip),
    ['3.3.3.2', '3.3.3.3', '3.3.3.5'],
  );
  const config = (await (await fetch(`${http.url}/config`)).json()) as {
    engine: { seed: unknown };
  };
  t.equal(config.engine.seed, null, 'the hash key is not shown');
});

test('/metrics is well-formed text', async (t) => {
  const { http } = await setUp(t);
  const text = await (await fetch(`${http.url}/metrics`)).text();
  const bad = text
    .trimEnd()
    .split('\n')
    .filter(
      (line) =>
        !/^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"\})? -?\d+(\.\d+)?)$/.test(
          line,
        ),
    );
  t.deepEqual(bad, []);
  t.ok(text.includes('vxlnatd_drops_total{reason="no_rule"} 7'));
  t.ok(text.includes('# TYPE vxlnatd_engine_flows gauge'));
  t.ok(text.includes('vxlnatd_engine_rules 2'));
});

test('vxlnatadm writes tables, and JSON when asked', async (t) => {
  const { adm } = await setUp(t);
  const status = await adm('status');
  t.equal(status.status, 0, status.stderr);
  t.ok(/^ready:\s+yes$/m.test(status.stdout), status.stdout);
  t.ok(/^uptime:\s+2h01m$/m.test(status.stdout));
  const rules = await adm('rules', '--vnet', '1');
  t.ok(/^ +1 +0 {2}10\.4\.4\.0\/22 {2}10\.4\.4\.1 /m.test(rules.stdout));
  t.notOk(rules.stdout.includes('10.6.6.0/24'));
  const flows = await adm('flows', '--limit', '2');
  t.ok(flows.stdout.includes('198.51.100.7:80'));
  t.ok(flows.stdout.includes('--cursor 2'), 'says how to go on');
  t.ok((await adm('drops')).stdout.includes('no_vnet'));
  t.notOk((await adm('drops', '-z')).stdout.includes('no_vnet'));
  t.ok((await adm('publics')).stdout.includes('3.3.3.5'));
  t.equal(JSON.parse((await adm('-j', 'drops', '-z')).stdout).length, 1);
  const killed = await adm(
    'kill-flow',
    'tcp',
    '3.3.3.2:1001',
    '198.51.100.7:80',
  );
  t.equal(killed.status, 0, killed.stderr);
});

test('vxlnatadm says what is wrong, with its status', async (t) => {
  const { adm } = await setUp(t);
  for (const [argv, status, expected] of [
    [[], 2, 'no command given'],
    [['flow'], 2, 'no command "flow"'],
    [['toString'], 2, 'no command "toString"'],
    [['status', 'x'], 2, 'unexpected "x"'],
    [['--frob'], 2, '--frob'],
    [['kill-flow', 'tcp'], 2, 'kill-flow needs'],
    [['kill-flow', 'tcp', '3.3.3.2', '1.1.1.1:1'], 2, 'IP:PORT'],
    [['flows', '--vnet', 'x'], 2, '--vnet: "x" is not a number'],
    [['flows', '--private-ip', 'x'], 1, 'private_ip: must be '],
    [['-u', 'http://127.0.0.1:1', 'status'], 1, 'fetch failed'],
  ] as const) {
    const outcome = await adm(...argv);
    t.equal(outcome.status, status, argv.join(' '));
    t.ok(outcome.stderr.includes(expected), outcome.stderr);
    t.equal(outcome.stdout, '');
  }
  t.equal((await adm('--help')).status, 0);
});

test('tables line up and spans are short', (t) => {
  const text = table(
    [
      { name: 'A', cell: (r: [number, string]) => r[0] },
      { name: 'NAME', cell: (r: [number, string]) => r[1] },
    ],
    [
      [1, 'x'],
      [100, 'yy'],
    ],
  );
  t.equal(text, '  A  NAME\n  1  x\n100  yy');
  t.deepEqual([350, 9000, 61_000, 7_440_000, 2e8].map(span), [
    '350ms',
    '9s',
    '1m01s',
    '2h04m',
    '2d07h',
  ]);
  t.end();
});

test('detach asks the daemon, or when it is dead takes its pins', async (t) => {
  const { adm, engine, detached } = await setUp(t);
  const alive = await adm('detach');
  t.ok(engine.detached, 'the daemon did it');
  t.match(alive.stdout, /^detached; packets go by socket/);
  t.deepEqual(detached, [], 'its pins are its own');
  const dead = await adm('-u', 'http://127.0.0.1:1', 'detach');
  t.equal(dead.status, 0, dead.stderr);
  t.deepEqual(detached, [
    '/sys/fs/bpf/vxlnat/00000000-0000-0000-0000-000000000000',
  ]);
});

test('a public IP shows the flows it has, and a flow that is not there is told', async (t) => {
  const { adm, engine } = await setUp(t);
  engine.countsList = {
    vnets: [],
    publics: [
      {
        ip: '3.3.3.2',
        vnet: null,
        flows: 3,
        high_water: 3,
        created: 3,
        expired: 0,
        packets_out: 0,
        bytes_out: 0,
        packets_in: 0,
        bytes_in: 0,
      },
    ],
  } as typeof engine.countsList;
  const { stdout } = await adm('publics');
  t.match(stdout, /^3\.3\.3\.2 .* no +3 +-$/m, stdout);
  const gone = await adm('kill-flow', 'tcp', '3.3.3.2:9', '198.51.100.7:80');
  t.equal(gone.status, 1);
  t.match(gone.stderr, /ResourceNotFound/);
  const there = await adm(
    'kill-flow',
    'tcp',
    '3.3.3.2:1001',
    '198.51.100.7:80',
  );
  t.equal(there.status, 0, there.stderr);
});

test('limits of the configuration reach the engine', (t) => {
  const config = completeConfig({
    underlay: {},
    engine: { limits: { host: { flows: 100 }, vnet: { rate: 7 } } },
  });
  const { host_limits, vnet_limits } = engineConfig(config, '00'.repeat(16));
  t.deepEqual(host_limits, { flows: 100, opening: 0, per_second: 0 });
  t.deepEqual(vnet_limits, { flows: 0, opening: 0, per_second: 7 });
  t.end();
});
