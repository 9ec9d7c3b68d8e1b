// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Options of rules: the words of the file, the steps, and the arithmetic. */

import test from 'tape';
import type { FabricRule } from '#lib/model/dataplane.js';
import { rulesDigest } from '#lib/model/rules-digest.js';
import { planAll } from '#test/plan-all.js';
import {
  forward,
  portsOf,
  reverse,
} from '../../../services/vxlnatd/deterministic.js';
import { operationOf } from '../../../services/vxlnatd/operation.js';
import {
  isEngineStep,
  nothingApplied,
} from '../../../services/vxlnatd/plan.js';
import { parseProtoFile } from '../../../services/vxlnatd/proto-file.js';

const MAP = 'map 1 0 90:b8:d0:6b:3b:5f 10.4.4.1/22 3.3.3.2';
const ENGINE = { low: 1024, high: 65535 };

function ruleOf(words: string): FabricRule {
  const desired = parseProtoFile('f', `${MAP} ${words}`);
  return desired.rules.get('1,10.4.4.0/22') as FabricRule;
}

test('the options of a map line', (t) => {
  t.equal(ruleOf('').options, undefined, 'none is none');
  t.deepEqual(
    ruleOf(
      'pool=198.51.100.9,3.3.3.7 mode=endpoint-independent ports=2000-9999 ' +
        'slice=1/4 exempt=169.254.0.0/16,10.0.0.0/8 mss=1406 timer.udp=30 ' +
        'timer.quarantine=0 host.flows=100 host.rate=20 block=256',
    ).options,
    {
      more_public_ips: ['198.51.100.9', '3.3.3.7'],
      mapping: 'endpoint-independent',
      port_low: 2000,
      port_high: 9999,
      slice: 1,
      slices: 4,
      exempt: ['169.254.0.0/16', '10.0.0.0/8'],
      mss: 1406,
      timers: { udp: 30_000, quarantine: 0 },
      host: { flows: 100, per_second: 20 },
      block_size: 256,
    },
  );
  const desired = parseProtoFile('f', `${MAP} pool=3.3.3.7`);
  t.deepEqual([...desired.announced], ['3.3.3.2', '3.3.3.7'], 'all announced');
  t.end();
});

const FAULTS: [string, string][] = [
  ['colour=red', 'unknown option "colour"'],
  ['toString=1', 'unknown option "toString"'],
  ['host.colour=1', 'unknown option "host.colour"'],
  ['timer.fragment=1', 'unknown option "timer.fragment"'],
  ['mode=best', 'mode "best" is not one of'],
  ['pool=3.3.3', 'pool "3.3.3" is not'],
  ['ports=5', 'ports "5" is not of the form A-B'],
  ['ports=9-5', 'ports "5" is not a whole number from 9'],
  ['slice=4/4', 'slice "4" is not a whole number from 0 to 3'],
  ['exempt=10.0.0.1/8', 'exempt "10.0.0.1/8" is not a prefix'],
  ['mss=40', 'mss "40" is not'],
  ['block=100', 'block "100" is not 64'],
  ['timer.udp=0', 'timer.udp "0" is not'],
  ['mss=1400 mss=1401', 'option "mss" is given twice'],
];

for (const [words, expected] of FAULTS) {
  test(`fault: ${words}`, (t) => {
    try {
      ruleOf(words);
      t.fail('accepted');
    } catch (error) {
      t.ok((error as Error).message.includes(expected), String(error));
    }
    t.end();
  });
}

test('limits and drains become operations, and go again', (t) => {
  const text = `${MAP}\nlimit 1 flows=500 rate=9\ndrain 3.3.3.2`;
  const desired = parseProtoFile('f', text);
  const ops = planAll(desired, nothingApplied())
    .filter(isEngineStep)
    .map(operationOf);
  t.deepEqual(ops.slice(0, 2), [
    { op: 'set_vnet_limits', vnet: 1, flows: 500, opening: 0, per_second: 9 },
    { op: 'set_drain', public_ip: '3.3.3.2', draining: true },
  ]);
  const applied = {
    ...nothingApplied(),
    limits: new Map(desired.limits),
    drains: new Set(desired.drains),
  };
  const back = planAll(parseProtoFile('f', ''), applied);
  t.deepEqual(back.filter(isEngineStep).map(operationOf), [
    { op: 'set_vnet_limits', vnet: 1, flows: 0, opening: 0, per_second: 0 },
    { op: 'set_drain', public_ip: '3.3.3.2', draining: false },
  ]);
  t.throws(() => parseProtoFile('f', 'limit 1'), /limit VNET/);
  t.throws(() => parseProtoFile('f', 'limit 1 x=2'), /unknown limit "x"/);
  t.end();
});

test('a changed option is a change of the rule and of the digest', (t) => {
  const plain = ruleOf('');
  const clamped = ruleOf('mss=1400');
  t.notEqual(rulesDigest([plain], []), rulesDigest([clamped], []));
  const applied = nothingApplied();
  applied.rules.set('1,10.4.4.0/22', plain);
  const steps = planAll(parseProtoFile('f', `${MAP} mss=1400`), applied);
  const [op] = steps.filter(isEngineStep).map(operationOf);
  t.equal(op?.op, 'set_rule');
  t.deepEqual(op?.op === 'set_rule' && op.options, { mss: 1400 });
  t.end();
});

/** One table with native/vxlnat/test/mapping_test.cc. */
const ROWS: [number, number, number, number, number, number, number, number][] =
  [
    [28, 1, 1024, 65535, 0, 0, 1024, 5055],
    [28, 1, 1024, 65535, 15, 0, 61504, 65535],
    [24, 2, 1024, 65535, 127, 0, 65032, 65535],
    [24, 2, 1024, 65535, 128, 1, 1024, 1527],
    [24, 3, 1024, 65535, 171, 1, 64774, 65523],
    [22, 1, 2000, 5000, 1023, 0, 4046, 4047],
    [32, 1, 1024, 65535, 0, 0, 1024, 65535],
  ];

test('a deterministic rule, forward and back', (t) => {
  const pool = ['3.3.3.2', '3.3.3.3', '3.3.3.4'];
  for (const [bits, size, low, high, n, place, from, to] of ROWS) {
    const rule: FabricRule = {
      ...ruleOf('mode=deterministic'),
      subnet: `10.4.4.0/${bits}`,
      options: {
        mapping: 'deterministic',
        more_public_ips: pool.slice(1, size),
        port_low: low,
        port_high: high,
      },
    };
    const host = `10.4.${4 + (n >> 8)}.${n & 255}`;
    const mapped = forward(rule, host, ENGINE);
    t.deepEqual(mapped?.public_ips, [pool[place]]);
    t.deepEqual([mapped?.port_low, mapped?.port_high], [from, to], host);
    for (const port of [from, to]) {
      const back = reverse(rule, pool[place] as string, port, ENGINE);
      t.equal(back?.private_ip, host);
    }
  }
  const words = 'mode=deterministic pool=3.3.3.3,3.3.3.4';
  const odd = { ...ruleOf(words), subnet: '10.4.4.0/24' };
  t.equal(reverse(odd, '3.3.3.2', 65524, ENGINE), null, 'what division left');
  t.equal(reverse(odd, '3.3.3.4', 65000, ENGINE), null, 'no such host');
  t.equal(reverse(odd, '9.9.9.9', 2000, ENGINE), null);
  t.equal(forward(odd, '10.9.9.9', ENGINE), null);
  t.end();
});

test('other rules say which addresses and ports may be', (t) => {
  const rule = ruleOf('pool=3.3.3.7 ports=2000-2999 slice=1/3');
  t.deepEqual(portsOf(rule, ENGINE), { low: 2333, high: 2665 });
  t.deepEqual(forward(rule, '10.4.4.9', ENGINE)?.public_ips, [
    '3.3.3.2',
    '3.3.3.7',
  ]);
  t.equal(reverse(rule, '3.3.3.7', 2400, ENGINE)?.private_ip, null);
  t.equal(reverse(rule, '3.3.3.7', 3000, ENGINE), null);
  t.end();
});
