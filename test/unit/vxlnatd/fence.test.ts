// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A zone that is cut off goes on announcing what others serve by now, or one
 * that is not withdraws what nobody else serves.
 */

import test, { type Test } from 'tape';
import type { NatZone } from '#lib/model/dataplane.js';
import { silentLogger } from '#lib/service/log.js';
import { manualClock } from '#test/manual-clock.js';
import {
  type Fence,
  fenceOf,
  OPEN,
} from '../../../services/vxlnatd/fence/fence.js';
import { Guard } from '../../../services/vxlnatd/fence/guard.js';
import {
  answerTo,
  questions,
  readMessage,
} from '../../../services/vxlnatd/fence/messages.js';
import { World } from '../../../services/vxlnatd/world.js';

const ALONE = {
  leased: false,
  position: 10,
  answers: [],
  asked: 2,
  heard: false,
};
const knows = { position: 11, serves: true, lost: [] };

test('with a lease nothing is withdrawn', (t) => {
  const answers = [{ ...knows, serves: false }];
  t.deepEqual(fenceOf({ ...ALONE, leased: true, answers }), OPEN);
  t.end();
});

test('a peer that heard later that we are down is believed', (t) => {
  const down = { ...knows, serves: false };
  t.ok(fenceOf({ ...ALONE, answers: [down] }).all);
  const older = { ...down, position: 9 };
  t.deepEqual(fenceOf({ ...ALONE, answers: [older] }), OPEN, 'not one before');
  const later = { ...knows, position: 12 };
  t.deepEqual(fenceOf({ ...ALONE, answers: [down, later] }), OPEN);
  t.end();
});

test('only what others serve by now is withdrawn', (t) => {
  const answers = [{ ...knows, lost: ['3.3.3.3'] }, knows];
  const fence = fenceOf({ ...ALONE, answers });
  t.notOk(fence.all);
  t.deepEqual([...fence.lost], ['3.3.3.3']);
  t.end();
});

test('fail static: nobody knows more, nobody withdraws', (t) => {
  const answers = [{ ...knows, position: 10 }];
  t.deepEqual(fenceOf({ ...ALONE, answers }), OPEN);
  t.deepEqual(fenceOf({ ...ALONE, asked: 0 }), OPEN, 'the only zone');
  t.end();
});

test('cut off from all it withdraws; with dead peers it does not', (t) => {
  t.ok(fenceOf(ALONE).all);
  t.deepEqual(fenceOf({ ...ALONE, heard: true }), OPEN);
  t.end();
});

function zone(n: number, state: NatZone['state']): NatZone {
  return {
    uuid: `zone${n}`,
    ul3_ip: `127.0.40.${n}`,
    ul3_port: 4789,
    external_ip: `9.9.9.${n}`,
    server_uuid: null,
    state,
    standby: false,
    weight: 1,
    ul3_served_by: null,
  };
}

/** Zone 1 as given with 3.3.3.2 and .3; zone 2 up with 3.3.3.4. */
function world(position: number, state: NatZone['state'] = 'up'): World {
  const made = new World();
  made.position = position;
  made.zones.set('zone1', zone(1, state));
  made.zones.set('zone2', zone(2, 'up'));
  ['zone1', 'zone1', 'zone2'].forEach((uuid, i) => {
    const ip = `3.3.3.${i + 2}`;
    const kind = 'snat' as const;
    const whose = { owner_uuid: null, network_uuid: 'n' };
    made.publics.set(ip, { ip, kind, zone_uuid: uuid, ...whose });
  });
  return made;
}

test('an answer says what was last heard of the asker', (t) => {
  const [question] = questions('zone1', ['3.3.3.2', '3.3.3.4', '3.3.3.9']);
  if (question === undefined) throw new Error('no question');
  const sent = Buffer.from(JSON.stringify(question));
  t.deepEqual(readMessage(sent), question, 'read as it was written');
  const known = { type: 'answer', zone: 'zone1', position: 5 };
  const lost = ['3.3.3.4'];
  t.deepEqual(answerTo(question, world(5)), { ...known, serves: true, lost });
  const down = answerTo(question, world(5, 'down'));
  t.deepEqual(down, { ...known, serves: false, lost });
  t.deepEqual(readMessage(Buffer.from(JSON.stringify(down))), down);
  const unknown = answerTo({ ...question, zone: 'zone7' }, world(5));
  t.notOk(unknown.serves, 'one that is not registered serves nothing');
  for (const bad of ['', '{', 'null', '7', '{"type":"ask"}', '[]']) {
    t.equal(readMessage(Buffer.from(bad)), null, `"${bad}" is nothing`);
  }
  const wrong = { ...down, position: '5' };
  t.equal(readMessage(Buffer.from(JSON.stringify(wrong))), null);
  const many = Array.from({ length: 1000 }, (_, i) => `203.100.${i >> 8}.${i}`);
  const all = questions('zone1', many);
  t.deepEqual(
    all.flatMap(({ ips }) => ips),
    many,
    'every address is asked',
  );
  const longest = Math.max(...all.map((one) => JSON.stringify(one).length));
  t.ok(longest < 1400, `in frames of at most ${longest} bytes`);
  t.end();
});

interface Side {
  fences: Fence[];
  leased: boolean;
  pass: () => void;
}

async function side(t: Test, n: number, port: number, of: World) {
  const clock = manualClock();
  const made: Side = {
    fences: [],
    leased: true,
    pass: () => clock.advance(500),
  };
  const guard = new Guard({
    zone: `zone${n}`,
    address: { ip: `127.0.40.${n}`, port },
    clock,
    log: silentLogger(),
    world: () => of,
    leased: () => made.leased,
    received: () => 0,
    onChange: (fence) => made.fences.push(fence),
  });
  await guard.start();
  t.teardown(() => guard.stop());
  return made;
}

/** Turns until a fence comes; bounded. */
async function fenceOfSide(one: Side): Promise<Fence | undefined> {
  for (let i = 0; i < 40 && one.fences.length === 0; i += 1) {
    one.pass();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return one.fences.at(-1);
}

const PORT = 20_000 + (process.pid % 20_000);

test('over the wire: told by a peer, and open again with a lease', async (t) => {
  const one = await side(t, 1, PORT, world(5));
  await side(t, 2, PORT, world(6, 'down'));
  one.pass();
  t.deepEqual(one.fences, [], 'not as long as there is a lease');
  one.leased = false;
  t.ok((await fenceOfSide(one))?.all, 'zone 2 knows that zone 1 is down');
  one.leased = true;
  one.pass();
  t.deepEqual(one.fences.at(-1), OPEN);
});

test('over the wire: nobody answers', async (t) => {
  const one = await side(t, 1, PORT + 1, world(5));
  one.leased = false;
  t.ok((await fenceOfSide(one))?.all);
});
