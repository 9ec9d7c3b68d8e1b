// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * An engine's life across the bridge: order of operations, use after close,
 * double close, several at once, a handle that is forgotten, a thread and a
 * process that end without closing. Needs root, since an engine opens a TUN device.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import test, { type Test } from 'tape';
import {
  EngineClosedError,
  EngineIoError,
  InvalidValueError,
  type Operation,
  VxlNat,
} from '#native/index.js';

const root = process.getuid?.() === 0;
const pid = process.pid % 20_000;
let opened = 0;

function open(): VxlNat {
  opened += 1;
  return VxlNat.open(
    { vxlan_port: 20_000 + pid + opened, max_flows: 1024 },
    { tun_name: `vxb${pid}n${opened}` },
    () => {},
  );
}

/** What a promise was rejected with; null when it was not. */
function rejection(promise: Promise<unknown>): Promise<Error | null> {
  return promise.then(
    () => null,
    (error: Error) => error,
  );
}

function engineTest(name: string, run: (t: Test) => Promise<void>): void {
  test(name, { skip: !root && 'needs root' }, async (t) => {
    await run(t);
  });
}

function rule(prefix: string, public_ip: string): Operation {
  return {
    op: 'set_rule',
    vnet: 7,
    vlan: 0,
    prefix,
    router_ip: prefix.replace(/0\/24$/, '1'),
    router_mac: '90:b8:d0:00:00:01',
    public_ip,
  };
}

engineTest('operations are applied in order, twice is harmless', async (t) => {
  const engine = open();
  const set = rule('10.0.0.0/24', '192.0.2.1');
  const gone: Operation = {
    op: 'remove_rule',
    vnet: 7,
    prefix: '10.0.0.0/24',
  };
  const results = await engine.apply([set, set, gone, gone, set]);
  t.deepEqual(
    results.map((result) => result.error),
    [null, null, null, null, null],
  );
  t.equal(engine.stats().rules, 1, 'the last one counts');
  const first = engine.apply([gone]);
  const second = engine.apply([set]);
  await Promise.all([first, second]);
  t.equal(engine.stats().rules, 1, 'calls keep their order too');
  t.deepEqual(await engine.apply([]), [], 'no operations are fine');
  await engine.close();
});

engineTest(
  'a rule takes options, a vnet limits, an address a drain',
  async (t) => {
    const engine = open();
    const results = await engine.apply([
      {
        ...rule('10.0.0.0/24', '192.0.2.1'),
        options: {
          mapping: 'endpoint-independent',
          more_public_ips: ['192.0.2.2'],
          timers: { udp: 30_000 },
          host: { flows: 100 },
          block_size: 64,
          mss: 1400,
        },
      } as Operation,
      { op: 'set_vnet_limits', vnet: 7, flows: 9, opening: 0, per_second: 0 },
      { op: 'set_drain', public_ip: '192.0.2.2', draining: true },
      rule('10.0.1.0/24', '192.0.2.2'),
      {
        ...rule('10.0.2.0/24', '192.0.2.2'),
        options: { mapping: 'deterministic' },
      } as Operation,
    ]);
    const errors = results.map((result) => result.error);
    t.deepEqual(errors.slice(0, 4), [null, null, null, null]);
    t.ok(errors[4]?.includes('deterministic'), String(errors[4]));
    t.equal(engine.stats().rules, 2);
    await engine.close();
  },
);

engineTest('a refused operation leaves the others alone', async (t) => {
  const engine = open();
  const [one, two, three] = await engine.apply([
    rule('10.0.0.0/24', '192.0.2.1'),
    {
      op: 'set_one_to_one',
      vnet: 7,
      vlan: 0,
      private_ip: '10.0.0.5',
      public_ip: '192.0.2.1',
    },
    rule('10.0.1.0/24', '192.0.2.2'),
  ]);
  t.equal(one?.error, null);
  t.equal(typeof two?.error, 'string', `refused: ${two?.error}`);
  t.equal(three?.error, null);
  t.equal(engine.stats().rules, 2);
  t.equal(engine.stats().one_to_ones, 0);
  await engine.close();
});

engineTest('a field error in a batch applies nothing', async (t) => {
  const engine = open();
  const good = rule('10.0.0.0/24', '192.0.2.1');
  const wrong: [object, string][] = [
    [{ ...good, prefix: '10.0.0.7/24' }, 'operations[1].prefix'],
    [{ ...good, prefix: '10.0.0.0/33' }, 'operations[1].prefix'],
    [{ ...good, vnet: 1 << 24 }, 'operations[1].vnet'],
    [{ ...good, router_mac: '90:b8' }, 'operations[1].router_mac'],
    [{ ...good, public_ip: '192.0.2' }, 'operations[1].public_ip'],
    [{ ...good, public_ip: undefined }, 'operations[1].public_ip'],
    [{ ...good, vlan: null }, 'operations[1].vlan'],
    [{ op: 'set_rules' }, 'operations[1].op'],
    [
      { ...good, options: { block_size: 100 } },
      'operations[1].options.block_size',
    ],
    [
      { ...good, options: { timers: { udp: 0 } } },
      'operations[1].options.timers.udp',
    ],
    [
      { ...good, options: { exempt: ['10.0.0.1/8'] } },
      'operations[1].options.exempt[0]',
    ],
    [{}, 'operations[1].op'],
  ];
  for (const [operation, field] of wrong) {
    try {
      await engine.apply([good, operation as Operation]);
      t.fail(`${field} was accepted`);
    } catch (error) {
      t.ok(error instanceof InvalidValueError, String(error));
      t.equal((error as InvalidValueError).field, field);
    }
  }
  t.equal(engine.stats().rules, 0, 'nothing was applied');
  await engine.close();
});

engineTest('a thousand operations at once, and many calls', async (t) => {
  const engine = open();
  const many: Operation[] = [];
  for (let i = 0; i < 5000; i++) {
    many.push({
      op: 'set_remote',
      vnet: 7,
      ip: `10.1.${i >> 8}.${i & 255}`,
      mac: '90:b8:d0:00:00:02',
      ul3_ip: '172.16.0.1',
      ul3_port: 4789,
    });
  }
  const results = await engine.apply(many);
  t.equal(results.length, 5000);
  t.ok(results.every((result) => result.error === null));
  t.equal(engine.stats().remotes, 5000);
  const calls = Array.from({ length: 200 }, () =>
    engine.apply(many.slice(0, 3)),
  );
  t.equal((await Promise.all(calls)).length, 200);
  await engine.close();
});

engineTest('stats move, drops explain, flows are empty', async (t) => {
  const engine = open();
  await engine.apply([]);
  const before = engine.stats().progress;
  await engine.apply([]);
  t.ok(engine.stats().progress > before, 'the worker makes progress');
  const drops = engine.drops();
  t.ok(drops.length > 10, 'every reason is listed');
  t.ok(drops.every((drop) => drop.sentence.length > 10));
  t.deepEqual(await engine.flows(), { flows: [], cursor: null });
  t.deepEqual(await engine.flows({ vnet: 7, private_ip: '10.0.0.5' }), {
    flows: [],
    cursor: null,
  });
  const wrong = await rejection(engine.flows({ private_ip: 'x' }));
  t.match(String(wrong), /filter\.private_ip: expected an IPv4 address/);
  await engine.close();
});

engineTest('after close every call says so; close again is fine', async (t) => {
  const engine = open();
  const late = engine.apply([rule('10.0.0.0/24', '192.0.2.1')]);
  const closing = engine.close();
  t.throws(() => engine.stats(), EngineClosedError);
  t.throws(() => engine.drops(), EngineClosedError);
  t.ok((await rejection(engine.apply([]))) instanceof EngineClosedError);
  t.ok((await rejection(engine.flows())) instanceof EngineClosedError);
  await closing;
  await engine.close();
  const outcome = await late.then(
    () => 'applied',
    (error: Error) => error.name,
  );
  t.match(outcome, /^(applied|EngineClosedError)$/, 'no promise is left over');
});

engineTest('several engines live side by side', async (t) => {
  const engines = [open(), open(), open()];
  for (const [i, engine] of engines.entries()) {
    for (let n = 0; n <= i; n++) {
      await engine.apply([rule(`10.0.${n}.0/24`, '192.0.2.1')]);
    }
  }
  t.deepEqual(
    engines.map((engine) => engine.stats().rules),
    [1, 2, 3],
  );
  await Promise.all(engines.map((engine) => engine.close()));
});

engineTest('a taken port or device is an error, and frees all', async (t) => {
  const engine = open();
  const config = { vxlan_port: 20_000 + pid + opened, max_flows: 1024 };
  const io = { tun_name: `vxb${pid}n${opened}` };
  const handler = () => {};
  t.throws(() => VxlNat.open(config, io, handler), EngineIoError);
  const other = { ...config, vxlan_port: config.vxlan_port + 100 };
  t.throws(() => VxlNat.open(other, io, handler), /in use by another/);
  await engine.close();
  const again = VxlNat.open(config, io, handler);
  await again.close();
  t.pass('opened again after close');
});

engineTest('a process may end, or forget, without closing', async (t) => {
  const index = new URL('../../native/vxlnat/ts/index.js', import.meta.url);
  const body = (end: string) => `
    import { VxlNat } from '${index}';
    const open = (n) => VxlNat.open({ vxlan_port: ${41_000 + pid} + n,
      max_flows: 1024 }, { tun_name: 'vxc${pid}n' + n }, () => {});
    ${end}`;
  const run = (script: string) =>
    spawnSync(
      process.execPath,
      ['--expose-gc', '--input-type=module', '-e', script],
      { encoding: 'utf8', timeout: 20_000 },
    );
  const exits = run(body('open(1); process.exit(0);'));
  t.equal(exits.status, 0, `exit with an open engine: ${exits.stderr}`);
  const forgotten = run(
    body(`open(2); for (let i = 0; i < 20; i++) {
      await new Promise((r) => setTimeout(r, 10)); gc(); }
      try { open(2); } catch (error) { console.log(error.code); }
      process.exit(0);`),
  );
  t.equal(forgotten.status, 0, `forgotten: ${forgotten.stderr}`);
  t.equal(
    forgotten.stdout,
    'EngineIo\n',
    'garbage collection does not stop an engine: its port is still taken',
  );
  const threads = run(
    body(`import { Worker } from 'node:worker_threads';
      const source = \`(async () => {
        const { VxlNat } = await import('${index}');
        const { parentPort } = await import('node:worker_threads');
        const engine = VxlNat.open({ vxlan_port: ${44_000 + pid},
          max_flows: 1024 }, { tun_name: 'vxc${pid}n3' }, () => {});
        setInterval(() => { void engine.apply([]); }, 1);
        parentPort.postMessage('up');
      })()\`;
      for (let i = 0; i < 5; i++) {
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve) => worker.once('message', resolve));
        await worker.terminate();
      }
      console.log('survived');`),
  );
  t.equal(threads.stdout, 'survived\n', `terminated: ${threads.stderr}`);
  const links = execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' });
  t.notOk(links.includes(`vxc${pid}n`), 'no TUN device is left behind');
});
