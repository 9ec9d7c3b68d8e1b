// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Following and remembering: a start from disk announces nothing that may have
 * moved, drift is repaired, damaged snapshots are refused.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import type { Dataplane } from '#lib/model/dataplane.js';
import { rulesDigest } from '#lib/model/rules-digest.js';
import { silentLogger } from '#lib/service/log.js';
import { Follower } from '../../../services/vxlnatd/follow.js';
import { fileSnapshots } from '../../../services/vxlnatd/snapshot.js';
import {
  dataplaneOf,
  untouched,
  World,
  worldOf,
} from '../../../services/vxlnatd/world.js';

const ZONE = '11111111-1111-4111-8111-111111111111';

function dataplane(position: number, publicIp = '3.3.3.2'): Dataplane {
  const fabrics = [
    {
      network_uuid: 'net-1',
      owner_uuid: 'owner',
      vnet_id: 1,
      vlan_id: 0,
      subnet: '10.4.4.0/22',
      gateway: '10.4.4.1',
      router_mac: '90:b8:d0:00:00:01',
      nat_reform_public: publicIp,
    },
  ];
  return {
    position,
    digest: rulesDigest(fabrics, []),
    fabrics,
    one_to_ones: [],
    publics: [
      {
        ip: publicIp,
        kind: 'snat',
        zone_uuid: ZONE,
        owner_uuid: null,
        network_uuid: 'p',
      },
    ],
    zones: [],
  };
}

function setUp(answers: Dataplane[]) {
  const timers: (() => void)[] = [];
  const mappings: unknown[] = [];
  const seen = { changes: 0, bootstraps: 0, asked: 0 };
  const follower = new Follower({
    self: { zone_uuid: ZONE, ul3_ip: '192.168.12.6' },
    fetchWorld: async () => {
      seen.asked += 1;
      const answer = answers.shift();
      if (answer === undefined) throw new Error('no answer');
      return { world: worldOf(answer), digest: answer.digest };
    },
    clock: {
      now: () => 0,
      monotonic: () => 0,
      after: (_ms, fn) => {
        timers.push(fn);
        return { cancel: () => timers.splice(timers.indexOf(fn), 1) };
      },
      every: () => ({ cancel: () => {} }),
    },
    log: silentLogger(),
    graceMs: 2000,
    onChange: () => {
      seen.changes += 1;
    },
    onMapping: (...mapping) => mappings.push(mapping),
    onBootstrap: () => {
      seen.bootstraps += 1;
    },
  });
  return { follower, timers, mappings, seen };
}

test('rules from disk are served at once, addresses after the grace', (t) => {
  const { follower, timers } = setUp([]);
  follower.start(worldOf(dataplane(5)));
  t.equal(follower.desired().rules.size, 1);
  t.equal([...follower.desired().announced].length, 0);
  t.equal(follower.desired().claims.size, 0);
  timers[0]?.();
  t.deepEqual([...follower.desired().announced], ['3.3.3.2']);
  t.deepEqual([...follower.desired().claims], ['192.168.12.6']);
  t.end();
});

test('the control plane has the last word about addresses', async (t) => {
  const moved = dataplane(9);
  for (const address of moved.publics) address.zone_uuid = 'other';
  const { follower, timers } = setUp([moved]);
  follower.start(worldOf(dataplane(5)));
  await follower.bootstrap();
  t.equal(timers.length, 0, 'the grace time is over');
  t.equal([...follower.desired().announced].length, 0);
  t.equal(follower.position(), 9);
});

test('a fenced zone announces nothing and forwards nothing', async (t) => {
  const { follower } = setUp([dataplane(5)]);
  await follower.bootstrap();
  t.deepEqual([...follower.desired().ul3s], ['192.168.12.6']);
  follower.setFence({ all: true, lost: new Set() });
  const shut = follower.desired();
  t.deepEqual(
    [[...shut.announced].length, shut.claims.size, shut.ul3s.size],
    [0, 0, 0],
  );
  t.equal(shut.rules.size, 1, 'rules stay, and flows with them');
  follower.setFence({ all: false, lost: new Set(['3.3.3.2']) });
  const some = follower.desired();
  t.deepEqual(
    [[...some.announced].length, some.ul3s.size],
    [0, 1],
    'not that one',
  );
});

test('a fence touches what it withdraws, and nothing else', async (t) => {
  const other = {
    ip: '3.3.3.7',
    kind: 'aip' as const,
    zone_uuid: 'other',
    owner_uuid: null,
    network_uuid: 'p',
  };
  const { follower } = setUp([
    { ...dataplane(5), publics: [...dataplane(5).publics, other] },
  ]);
  await follower.bootstrap();
  t.equal(follower.touched(), null, 'a bootstrap may have changed anything');
  const touched = () => [...(follower.touched()?.ips ?? ['anything'])];
  follower.setFence({ all: true, lost: new Set() });
  t.deepEqual(touched(), ['3.3.3.2'], 'shut');
  follower.setFence({ all: false, lost: new Set(['3.3.3.9']) });
  t.deepEqual(touched(), ['3.3.3.9', '3.3.3.2'], 'open but for one');
  follower.setFence({ all: false, lost: new Set() });
  t.deepEqual(touched(), ['3.3.3.9'], 'open');
});

test('a comparison takes placement without a look at everything', async (t) => {
  const moved = dataplane(5);
  for (const address of moved.publics) address.zone_uuid = 'other';
  const { follower, seen } = setUp([dataplane(5), dataplane(5), moved]);
  await follower.bootstrap();
  follower.touched();
  await follower.compare();
  t.deepEqual(follower.touched(), untouched(), 'nothing new');
  await follower.compare();
  t.deepEqual([...(follower.touched()?.ips ?? [])], ['3.3.3.2']);
  t.equal([...follower.desired().announced].length, 0);
  t.equal(seen.bootstraps, 1);
});

test('drift at the same position is found and repaired', async (t) => {
  const { follower, seen } = setUp([dataplane(5), dataplane(5, '3.3.3.9')]);
  await follower.bootstrap();
  await follower.compare();
  t.equal(follower.status().drifts, 1);
  t.equal(
    follower.desired().rules.get('1,10.4.4.0/22')?.nat_reform_public,
    '3.3.3.9',
  );
  t.equal(seen.bootstraps, 2);
});

test('nothing is compared while a bootstrap is under way', async (t) => {
  const { follower, seen } = setUp([dataplane(5), dataplane(6)]);
  const first = follower.bootstrap();
  await follower.compare();
  await first;
  t.equal(seen.asked, 1);
  await follower.compare();
  t.equal(seen.asked, 2);
  t.equal(follower.position(), 6);
});

test('a control plane restored from a backup is believed', async (t) => {
  const { follower } = setUp([dataplane(50), dataplane(7), dataplane(7)]);
  await follower.bootstrap();
  await follower.compare();
  t.equal(follower.position(), 7);
  follower.change({ seq: 8, resource: 'network', id: 'net-1', object: null });
  t.equal(follower.desired().rules.size, 0, 'and followed from there');
});

test('mappings reach the resolver once', (t) => {
  const { follower, mappings } = setUp([]);
  const object = {
    vnet_id: 1,
    ip: '10.0.0.5',
    mac: 'aa',
    cn_uuid: 'c',
    ul3_ip: '192.168.12.1',
    ul3_port: 4789,
  };
  const change = {
    seq: 3,
    resource: 'ul3_mapping',
    id: '1,10.0.0.5',
    object,
  };
  follower.change(change);
  follower.change(change);
  follower.change({ ...change, seq: 4, object: null });
  t.deepEqual(mappings, [
    [
      1,
      '10.0.0.5',
      {
        vnet_id: 1,
        ip: '10.0.0.5',
        mac: 'aa',
        ul3_ip: '192.168.12.1',
        ul3_port: 4789,
      },
    ],
    [1, '10.0.0.5', null],
  ]);
  t.end();
});

test('a snapshot comes back as it was', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'vxlnatd-snapshot-'));
  const snapshots = fileSnapshots(join(directory, 'state'), ZONE);
  t.equal(await snapshots.load(), null, 'none yet');
  const world = worldOf(dataplane(5));
  await snapshots.save(world);
  await snapshots.save(world);
  const back = (await snapshots.load()) ?? new World();
  t.deepEqual(dataplaneOf(back), dataplaneOf(world));
  rmSync(directory, { recursive: true });
});

test('a damaged snapshot is refused, and says why', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'vxlnatd-snapshot-'));
  const file = join(directory, 'dataplane.json');
  const snapshots = fileSnapshots(directory, ZONE);
  await snapshots.save(worldOf(dataplane(5)));
  const whole = readFileSync(file, 'utf8');
  const faults: [string, string, RegExp][] = [
    ['cut off', whole.slice(0, -20), /JSON|cut short/],
    ['changed', whole.replace('10.4.4.1', '10.4.4.2'), /damaged: digest/],
    ['of another zone', whole.replace(ZONE, 'other'), /of zone other/],
    ['of another version', whole.replace('"version":2', '"version":9'), /vers/],
    ['empty', '', /cut short/],
  ];
  for (const [what, text, expected] of faults) {
    writeFileSync(file, text);
    await snapshots
      .load()
      .then(() => t.fail(`${what}: accepted`))
      .catch((error: Error) => {
        t.ok(expected.test(error.message), `${what}: ${error.message}`);
        t.ok(error.message.startsWith(file), 'names the file');
      });
  }
  rmSync(directory, { recursive: true });
});
