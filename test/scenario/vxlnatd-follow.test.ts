// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A whole vxlnatd with a fake engine against what napi-nat shows it: the real
 * changefeed publisher, HTTP server and SVP server over a journal in memory.
 * Guards what an operator relies on: a zone follows, misses nothing, keeps
 * forwarding without the control plane, and starts without it.
 */

import { join } from 'node:path';
import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { type Mac, parseMac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import { ZONES } from '#test/addresses.js';
import { FakeEngine } from '#test/fake-engine.js';
import { MiniNapi } from '#test/mini-napi.js';
import { temporaryDirectory } from '#test/tmp.js';
import { until } from '#test/until.js';
import { App } from '../../services/vxlnatd/app.js';
import { type Config, completeConfig } from '../../services/vxlnatd/config.js';

const ME = ZONES[1];
const OTHER = ZONES[2];
const log = silentLogger();
const clock = systemClock();

/** RFD 158's set-up: two fabrics, one public IP here, one there. */
async function setUp(t: Test): Promise<MiniNapi> {
  const napi = new MiniNapi();
  napi.zone(ME);
  napi.zone(OTHER);
  napi.place('3.3.3.4', ME.uuid);
  napi.place('3.3.3.5', OTHER.uuid);
  napi.fabric(1, 4, '3.3.3.4');
  napi.fabric(2, 6, '3.3.3.5');
  await napi.start();
  t.teardown(() => napi.stop());
  return napi;
}

function configOf(napi: MiniNapi, directory: string): Config {
  return completeConfig({
    zone_uuid: ME.uuid,
    napi: { url: `http://127.0.0.1:${napi.port}` },
    svp: { host: '127.0.0.1', port: napi.svpPort },
    underlay: { interface: 'und0', ip: ME.ul3 },
    external: { interface: 'ext0', ip: '3.3.3.14' },
    manage_os: false,
    state_directory: directory,
    admin: { host: '127.0.0.1', port: 0 },
    heartbeat: { interval_ms: 20 },
    startup_grace_ms: 200,
  });
}

async function startZone(t: Test, config: Config) {
  const engine = new FakeEngine();
  const app = new App(config, null, {
    openEngine: async (_config, _io, onEvents) => {
      engine.emit = onEvents;
      return engine;
    },
    runIp: async () => ({ status: 1, stdout: '', stderr: 'not managed' }),
    clock,
    log,
    random: Math.random,
    seed: '0'.repeat(32),
  });
  t.teardown(() => app.stop());
  await app.start();
  const { applied } = app.reconciler;
  const inSync = (napi: MiniNapi) => {
    const status = app.reconciler.status();
    const { position, digest } = napi.dataplane();
    return status.position === position && status.digest === digest;
  };
  return { app, engine, applied, inSync };
}

test('a zone bootstraps, follows, and reports what it has', async (t) => {
  const napi = await setUp(t);
  const zone = await startZone(t, configOf(napi, temporaryDirectory(t)));
  await until('bootstrap', () => zone.inSync(napi));
  t.deepEqual([...zone.applied.announced], ['3.3.3.4']);
  t.deepEqual([...zone.applied.routed].sort(), ['3.3.3.4', '3.3.3.5']);
  t.equal(zone.engine.rules.size, 2, 'rules of all zones');
  t.ok(zone.engine.announcements.includes('ext0 3.3.3.4'));
  t.ok(zone.engine.announcements.includes(`und0 ${ME.ul3}`));
  napi.place('3.3.3.6', ME.uuid);
  napi.aip('aip-1', 1, '10.0.4.9', '3.3.3.6');
  await until('the AIP', () => zone.engine.entries.size === 1);
  await until('in sync', () => zone.inSync(napi));
  t.deepEqual([...zone.applied.announced].sort(), ['3.3.3.4', '3.3.3.6']);
  const { position, digest } = napi.dataplane();
  await until('a heartbeat that says so', () => {
    const beat = napi.beats.at(-1);
    return beat?.position === position && beat.digest === digest;
  });
  t.deepEqual(napi.beats.at(-1)?.announced.sort(), ['3.3.3.4', '3.3.3.6']);
  napi.aip('aip-1', 2, '10.0.6.9', '3.3.3.6');
  await until('the remap', () => zone.engine.entries.has('2,10.0.6.9'));
  t.equal(zone.engine.entries.size, 1, 'never two owners of one public IP');
  napi.detach('aip-1');
  await until('the detach', () => zone.engine.entries.size === 0);
  const answer = await fetch(
    `http://127.0.0.1:${zone.app.address.port}/health`,
  );
  t.equal(answer.status, 200, 'ready');
});

test('a failover moves addresses and the UL3, and back', async (t) => {
  const napi = await setUp(t);
  const zone = await startZone(t, configOf(napi, temporaryDirectory(t)));
  await until('bootstrap', () => zone.inSync(napi));
  napi.zone(OTHER, ME.uuid);
  napi.place('3.3.3.5', ME.uuid);
  await until('the take-over', () => zone.inSync(napi));
  t.deepEqual([...zone.engine.ul3s].sort(), [ME.ul3, OTHER.ul3]);
  t.ok(zone.engine.announcements.includes(`und0 ${OTHER.ul3}`));
  t.ok(zone.engine.announcements.includes('ext0 3.3.3.5'));
  napi.zone(OTHER);
  napi.place('3.3.3.5', OTHER.uuid);
  await until('the return', () => zone.inSync(napi));
  t.deepEqual([...zone.engine.ul3s], [ME.ul3]);
  t.deepEqual([...zone.applied.announced], ['3.3.3.4']);
});

test('misses are answered, and shootdowns and events honoured', async (t) => {
  const napi = await setUp(t);
  const zone = await startZone(t, configOf(napi, temporaryDirectory(t)));
  await until('bootstrap', () => zone.inSync(napi));
  napi.mapping(1, '10.0.4.9', '192.168.12.1');
  zone.engine.emit([{ event: 'remote_miss', vnet: 1, ip: '10.0.4.9' }]);
  const ul3 = () => zone.engine.remotes.get('1,10.0.4.9')?.ul3_ip;
  await until('SVP answer', () => ul3() === '192.168.12.1');
  napi.mapping(1, '10.0.4.9', '192.168.12.2');
  await until('the event', () => ul3() === '192.168.12.2');
  napi.mappings.set('1,10.0.4.9', {
    mac: parseMac('90:b8:d0:00:00:77') as Mac,
    ip: parseIpv4('192.168.12.3') as Ipv4,
    port: 4789,
  });
  napi.shootdowns = [
    {
      type: 'vl2',
      id: '00000000-0000-4000-8000-000000000001',
      mac: parseMac('90:b8:d0:00:00:99') as Mac,
      vnet: 1,
    },
  ];
  await until('the shootdown', () => ul3() === '192.168.12.3');
  await until('acknowledged', () => napi.shootdowns.length === 0);
  napi.mapping(1, '10.0.4.9', null);
  await until('gone', () => ul3() === undefined);
  zone.engine.emit([{ event: 'remote_miss', vnet: 1, ip: '10.0.4.77' }]);
  await until('not found', () =>
    zone.engine.operations.some(
      (o) => o.op === 'remote_not_found' && o.ip === '10.0.4.77',
    ),
  );
  t.pass('all of it');
});

test('a 1:1 entry is asked for before its first packet', async (t) => {
  const napi = await setUp(t);
  napi.mapping(1, '10.0.4.9', '192.168.12.1');
  const zone = await startZone(t, configOf(napi, temporaryDirectory(t)));
  await until('bootstrap', () => zone.inSync(napi));
  napi.place('3.3.3.6', ME.uuid);
  napi.aip('aip-1', 1, '10.0.4.9', '3.3.3.6');
  await until('prefetch', () => zone.engine.remotes.has('1,10.0.4.9'));
  t.pass('the remote is there');
});

test('without napi-nat everything stays, and then catches up', async (t) => {
  const napi = await setUp(t);
  const zone = await startZone(t, configOf(napi, temporaryDirectory(t)));
  await until('bootstrap', () => zone.inSync(napi));
  const before = zone.engine.operations.length;
  await napi.stop();
  await until('noticed', () => zone.app.control?.connected() === false);
  t.equal(zone.engine.operations.length, before, 'nothing was taken away');
  t.deepEqual([...zone.applied.announced], ['3.3.3.4']);
  const health = await fetch(
    `http://127.0.0.1:${zone.app.address.port}/health`,
  );
  t.equal(health.status, 200, 'still ready');
  napi.fabric(3, 8, '3.3.3.4');
  await napi.start(napi.port, napi.svpPort);
  await until('caught up', () => zone.inSync(napi));
  t.equal(zone.engine.rules.size, 3);
  t.equal(
    zone.app.control?.follower.status().bootstraps,
    1,
    'resumed, not bootstrapped',
  );
});

test('changes that the journal has forgotten are a bootstrap', async (t) => {
  const napi = await setUp(t);
  const zone = await startZone(t, configOf(napi, temporaryDirectory(t)));
  await until('bootstrap', () => zone.inSync(napi));
  await napi.stop();
  for (let third = 10; third < 20; third++) napi.fabric(3, third, '3.3.3.4');
  await napi.journal.compact(napi.journal.position());
  await napi.start(napi.port, napi.svpPort);
  await until('caught up', () => zone.inSync(napi));
  t.equal(zone.engine.rules.size, 12);
  t.equal(zone.app.control?.follower.status().bootstraps, 2);
});

test('a full comparison repairs what events did not say', async (t) => {
  const napi = await setUp(t);
  const zone = await startZone(t, configOf(napi, temporaryDirectory(t)));
  await until('bootstrap', () => zone.inSync(napi));
  napi.silently((state) => {
    state.fabrics = state.fabrics.slice(1);
  });
  await zone.app.reload();
  t.ok(zone.inSync(napi));
  t.equal(zone.engine.rules.size, 1);
  t.equal(zone.app.control?.follower.status().drifts, 1);
});

test('a zone starts and serves from disk without napi-nat', async (t) => {
  const napi = await setUp(t);
  const directory = join(temporaryDirectory(t), 'state');
  const config = configOf(napi, directory);
  const first = await startZone(t, config);
  await until('bootstrap', () => first.inSync(napi));
  await first.app.stop();
  t.ok(first.engine.closed);
  t.equal(first.applied.announced.size, 0, 'withdrawn by an orderly stop');
  await napi.stop();
  const second = await startZone(t, config);
  await until('rules', () => second.engine.rules.size === 2);
  await until('addresses', () => second.applied.announced.has('3.3.3.4'));
  t.ok(second.engine.announcements.includes('ext0 3.3.3.4'));
  const health = await fetch(
    `http://127.0.0.1:${second.app.address.port}/health`,
  );
  t.equal(health.status, 200);
});

test('a returning zone takes nothing back', async (t) => {
  const napi = await setUp(t);
  const config = configOf(napi, join(temporaryDirectory(t), 'state'));
  const first = await startZone(t, config);
  await until('bootstrap', () => first.inSync(napi));
  await first.app.stop();
  napi.zone(ME, OTHER.uuid);
  napi.place('3.3.3.4', OTHER.uuid);
  const second = await startZone(t, config);
  await until('bootstrap', () => second.inSync(napi));
  t.equal(second.applied.announced.size, 0);
  t.deepEqual(second.engine.announcements, [], 'not one gratuitous ARP');
});
