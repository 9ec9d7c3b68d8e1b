// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The resolver: one question for many misses, and no old answer is kept. */

import test from 'tape';
import { silentLogger } from '#lib/service/log.js';
import { FakeEngine } from '#test/fake-engine.js';
import type { Remote } from '../../../services/vxlnatd/desired.js';
import {
  type LookUp,
  Resolver,
} from '../../../services/vxlnatd/svp/resolver.js';

const log = silentLogger();

function remote(ip: string, ul3 = '192.168.12.1', mac = 'aa:00'): Remote {
  return { vnet_id: 1, ip, mac, ul3_ip: ul3, ul3_port: 4789 };
}

/** Lets every promise that can go on do so. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A server whose answers are given by hand. */
function manualServer() {
  const asked: {
    ip: string;
    answer: (remote: Remote | null) => void;
    fail: () => void;
  }[] = [];
  const lookUp: LookUp = (_vnet, ip) =>
    new Promise((resolve, reject) => {
      asked.push({
        ip,
        answer: resolve,
        fail: () => reject(new Error('no connection')),
      });
    });
  return { asked, lookUp };
}

test('many misses of one address are one question', async (t) => {
  const engine = new FakeEngine();
  const { asked, lookUp } = manualServer();
  const resolver = new Resolver({ engine, lookUp, log });
  for (let i = 0; i < 100; i++) resolver.want(1, '10.0.0.5');
  t.equal(asked.length, 1);
  asked[0]?.answer(remote('10.0.0.5'));
  await turn();
  t.equal(engine.remotes.get('1,10.0.0.5')?.ul3_ip, '192.168.12.1');
  t.equal(resolver.stats().waiting, 0);
  resolver.prefetch(1, '10.0.0.5');
  t.equal(asked.length, 1, 'what is known is not asked ahead');
});

test('what SVP does not know is told to the engine', async (t) => {
  const engine = new FakeEngine();
  const resolver = new Resolver({ engine, lookUp: async () => null, log });
  resolver.want(1, '10.0.0.5');
  await turn();
  t.deepEqual(engine.operations, [
    { op: 'remote_not_found', vnet: 1, ip: '10.0.0.5', retry_ms: 1000 },
  ]);
});

test('without an answer what is known stays', async (t) => {
  const engine = new FakeEngine();
  const { asked, lookUp } = manualServer();
  const resolver = new Resolver({ engine, lookUp, log });
  resolver.want(1, '10.0.0.5');
  asked[0]?.answer(remote('10.0.0.5'));
  await turn();
  resolver.refresh(1, '10.0.0.5');
  asked[1]?.fail();
  await turn();
  t.ok(engine.remotes.has('1,10.0.0.5'));
  t.equal(engine.operations.at(-1)?.op, 'set_remote', 'and is said again');
  t.equal(resolver.stats().failed, 1);
});

test('an answer asked before an event does not undo it', async (t) => {
  const engine = new FakeEngine();
  const { asked, lookUp } = manualServer();
  const resolver = new Resolver({ engine, lookUp, log });
  resolver.want(1, '10.0.0.5');
  resolver.event(1, '10.0.0.5', remote('10.0.0.5', '192.168.12.3'));
  await turn();
  t.equal(engine.remotes.get('1,10.0.0.5')?.ul3_ip, '192.168.12.3');
  asked[0]?.answer(remote('10.0.0.5', '192.168.12.1'));
  await turn();
  t.equal(engine.remotes.get('1,10.0.0.5')?.ul3_ip, '192.168.12.3');
  t.equal(asked.length, 2, 'and it is asked again');
});

test('an event for what nobody asked about is not kept', async (t) => {
  const engine = new FakeEngine();
  const resolver = new Resolver({ engine, lookUp: null, log });
  resolver.event(1, '10.0.0.9', remote('10.0.0.9'));
  await turn();
  t.equal(engine.remotes.size, 0);
});

test('an event that a mapping is gone removes it', async (t) => {
  const engine = new FakeEngine();
  const lookUp: LookUp = async (_vnet, ip) => remote(ip);
  const resolver = new Resolver({ engine, lookUp, log });
  resolver.want(1, '10.0.0.5');
  await turn();
  resolver.event(1, '10.0.0.5', null);
  await turn();
  t.equal(engine.remotes.size, 0);
});

test('a VL2 shootdown forgets the MAC and asks again', async (t) => {
  const engine = new FakeEngine();
  let ul3 = '192.168.12.1';
  const lookUp: LookUp = async (_vnet, ip) => remote(ip, ul3);
  const resolver = new Resolver({ engine, lookUp, log });
  resolver.want(1, '10.0.0.5');
  resolver.want(1, '10.0.0.6');
  await turn();
  ul3 = '192.168.12.4';
  await resolver.shootdownMac(1, 'aa:00');
  t.ok(engine.operations.some((o) => o.op === 'remove_remote_mac'));
  await turn();
  t.deepEqual(
    [...engine.remotes.values()].map((r) => r.ul3_ip),
    ['192.168.12.4', '192.168.12.4'],
  );
});

test('a VL3 shootdown looks up and rejects without an answer', async (t) => {
  const engine = new FakeEngine();
  let answer: () => Promise<Remote | null> = async () => remote('10.0.0.5');
  const resolver = new Resolver({ engine, lookUp: () => answer(), log });
  await resolver.shootdownIp(1, '10.0.0.5');
  t.equal(resolver.stats().known, 0, 'an unknown address is nothing to us');
  resolver.want(1, '10.0.0.5');
  await turn();
  answer = async () => {
    throw new Error('no connection');
  };
  await resolver
    .shootdownIp(1, '10.0.0.5')
    .then(() => t.fail('acknowledged'))
    .catch(() => t.pass('stays in the log'));
  answer = async () => null;
  await resolver.shootdownIp(1, '10.0.0.5');
  await turn();
  t.equal(engine.remotes.size, 0, 'gone when SVP says so');
});

test('a flood of misses is bounded', async (t) => {
  const engine = new FakeEngine();
  const { asked, lookUp } = manualServer();
  const limits = { parallel: 2, queue: 10, known: 3 };
  const resolver = new Resolver({ engine, lookUp, log, limits });
  for (let i = 0; i < 50; i++) resolver.want(1, `10.0.0.${i}`);
  t.equal(asked.length, 2);
  t.equal(resolver.stats().waiting, 10);
  t.equal(resolver.stats().overflowed, 40);
  for (let i = 0; i < 10; i++) {
    asked[i]?.answer(remote(`10.0.0.${i}`));
    await turn();
  }
  t.equal(resolver.stats().known, 3);
  t.equal(engine.remotes.size, 10, 'the engine has its own bound');
});

test('after missed changes everything known is asked again', async (t) => {
  const engine = new FakeEngine();
  let ul3 = '192.168.12.1';
  const lookUp: LookUp = async (_vnet, ip) => remote(ip, ul3);
  const resolver = new Resolver({ engine, lookUp, log });
  for (let i = 0; i < 5; i++) resolver.want(1, `10.0.0.${i}`);
  await turn();
  ul3 = '192.168.12.9';
  resolver.refreshAll();
  await turn();
  t.ok([...engine.remotes.values()].every((r) => r.ul3_ip === ul3));
});

test('what was known before a restart forwards and is asked again', async (t) => {
  const engine = new FakeEngine();
  const { asked, lookUp } = manualServer();
  const changes: number[] = [];
  const onKnown = () => changes.push(1);
  const resolver = new Resolver({ engine, lookUp, log, onKnown });
  resolver.restore([remote('10.0.0.5'), remote('10.0.0.6')]);
  await turn();
  t.equal(engine.remotes.size, 2, 'without asking anybody');
  t.equal(asked.length, 0);
  t.ok(changes.length > 0, 'and it is to be saved');
  resolver.refreshAll();
  asked[0]?.answer(remote('10.0.0.5', '192.168.12.2'));
  asked[1]?.answer(null);
  await turn();
  t.deepEqual(
    resolver.remotes().map(({ ip, ul3_ip }) => [ip, ul3_ip]),
    [['10.0.0.5', '192.168.12.2']],
  );
  t.equal(engine.remotes.size, 1);
});
