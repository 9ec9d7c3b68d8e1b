// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Placement decides otherwise than RFD 158 says. */

import test from 'tape';
import {
  chooseZone,
  type PlacementPolicy,
  type PlacementPublic,
  type PlacementZone,
  placeFabric,
} from '../../../services/napi-nat/placement.js';
import {
  planMove,
  planShare,
} from '../../../services/napi-nat/placement-moves.js';

const perOwner: PlacementPolicy = {
  sharing: 'per-owner',
  placement: 'spread',
  on_join: 'keep',
  pins: {},
  max_fabrics_per_public: 64,
};
const shared: PlacementPolicy = { ...perOwner, sharing: 'shared' };
const reserve: PlacementPolicy = { ...perOwner, placement: 'standby' };

function zone(
  uuid: string,
  fields: Partial<PlacementZone> = {},
): PlacementZone {
  return {
    uuid,
    server_uuid: uuid.replace('z', 'cn'),
    state: 'up',
    standby: false,
    weight: 1,
    deaf: false,
    created: Number(uuid.slice(1)),
    load: { fabrics: 0, addresses: 0 },
    ...fields,
  };
}

function place(
  ip: string,
  zone_uuid: string,
  fabrics = 1,
  owner: string | null = null,
): PlacementPublic {
  const load = { fabrics, addresses: fabrics * 256 };
  return { ip, zone_uuid, owner_uuid: owner, load };
}

test('RFD 158: vnets 1, 2, 3 go to zones 1, 2, 2', (t) => {
  const zones = [zone('z1'), zone('z2')];
  const publics: PlacementPublic[] = [];
  let next = 2;
  const add = (owner: string, addresses: number) => {
    const home = publics.filter((each) => each.owner_uuid === owner);
    const policy = perOwner;
    const found = placeFabric({ owner, zones, home, shared: [], policy });
    if (found === null) throw new Error('no zone');
    const ip = found.public_ip ?? `3.3.3.${next++}`;
    const load = { fabrics: 1, addresses };
    const known = publics.find((each) => each.ip === ip);
    if (known) known.load.fabrics += 1;
    else {
      publics.push({ ip, zone_uuid: found.zone_uuid, owner_uuid: owner, load });
    }
    const at = zones.find((each) => each.uuid === found.zone_uuid);
    if (at) {
      at.load = {
        fabrics: at.load.fabrics + 1,
        addresses: at.load.addresses + addresses,
      };
    }
    return `${ip} ${found.zone_uuid}`;
  };
  t.equal(add('one', 1024), '3.3.3.2 z1', '10.4.4.0/22');
  t.equal(add('one', 256), '3.3.3.2 z1', '10.5.5.0/24');
  t.equal(add('two', 256), '3.3.3.3 z2', '10.6.6.0/24');
  t.equal(add('two', 256), '3.3.3.3 z2', '10.7.7.0/24');
  t.equal(add('three', 256), '3.3.3.4 z2', 'the new user');
  t.end();
});

test('weights share the load', (t) => {
  const light = zone('z1', { load: { fabrics: 2, addresses: 512 } });
  const heavy = zone('z2', {
    weight: 4,
    load: { fabrics: 6, addresses: 1536 },
  });
  t.equal(chooseZone([light, heavy], perOwner)?.uuid, 'z2');
  t.end();
});

test('a reserve gets nothing while another zone serves', (t) => {
  const busy = zone('z1', { load: { fabrics: 9, addresses: 9 } });
  const held = zone('z2', { state: 'standby', standby: true });
  t.equal(chooseZone([busy, held], reserve)?.uuid, 'z1');
  const down = zone('z1', { state: 'down' });
  t.equal(chooseZone([down, held], reserve)?.uuid, 'z2');
  t.end();
});

test('draining and lost zones get no new work', (t) => {
  const draining = zone('z1', { state: 'draining' });
  const busy = zone('z2', { load: { fabrics: 9, addresses: 9 } });
  t.equal(chooseZone([draining, busy], perOwner)?.uuid, 'z2');
  const home = [place('3.3.3.2', 'z1', 1, 'a')];
  t.deepEqual(
    placeFabric({
      owner: 'a',
      zones: [draining, busy],
      home,
      shared: [],
      policy: perOwner,
    }),
    { zone_uuid: 'z2', public_ip: null },
    'even where the owner has an address there',
  );
  t.equal(chooseZone([zone('z1', { state: 'down' })], perOwner)?.uuid, 'z1');
  t.equal(chooseZone([], perOwner), null);
  t.end();
});

test('a shared public IP is filled to its limit and no further', (t) => {
  const zones = [zone('z1')];
  const policy = { ...shared, max_fabrics_per_public: 3 };
  const two = [place('3.3.3.2', 'z1', 2)];
  t.equal(
    placeFabric({ owner: 'a', zones, home: [], shared: two, policy })
      ?.public_ip,
    '3.3.3.2',
  );
  const three = [place('3.3.3.2', 'z1', 3)];
  t.equal(
    placeFabric({ owner: 'a', zones, home: three, shared: three, policy })
      ?.public_ip,
    null,
  );
  t.end();
});

test("the owner's own address comes before the least loaded zone", (t) => {
  const zones = [
    zone('z1', { load: { fabrics: 5, addresses: 9 } }),
    zone('z2'),
  ];
  const home = [place('3.3.3.2', 'z1', 5)];
  t.deepEqual(
    placeFabric({ owner: 'a', zones, home, shared: home, policy: shared }),
    { zone_uuid: 'z1', public_ip: '3.3.3.2' },
  );
  t.end();
});

test('the last zone keeps its work', (t) => {
  const publics = [place('3.3.3.2', 'z1')];
  const zones = [
    zone('z1'),
    zone('z2', { state: 'down' }),
    zone('z3', { state: 'new' }),
  ];
  t.equal(
    planMove({
      lost: 'z1',
      zones,
      publics,
      neighbours: new Set(['z2', 'z3']),
      policy: perOwner,
    }),
    null,
  );
  t.end();
});

test('the heir to a UL3 gets everything; strangers share', (t) => {
  const zones = [zone('z1'), zone('z2'), zone('z3')];
  const publics = [place('3.3.3.2', 'z1', 2), place('3.3.3.3', 'z1', 1)];
  const request = { lost: 'z1', zones, publics, policy: perOwner };
  t.deepEqual(planMove({ ...request, neighbours: new Set(['z1', 'z3']) }), {
    heir: 'z3',
    moves: [
      { ip: '3.3.3.2', to: 'z3' },
      { ip: '3.3.3.3', to: 'z3' },
    ],
  });
  t.deepEqual(planMove({ ...request, neighbours: new Set(['z1']) }), {
    heir: null,
    moves: [
      { ip: '3.3.3.2', to: 'z2' },
      { ip: '3.3.3.3', to: 'z3' },
    ],
  });
  t.end();
});

test('a pinned owner is served on its compute nodes, alone on its IPs', (t) => {
  const policy = { ...shared, pins: { a: ['cn2', 'cn3'] } };
  const busy = { fabrics: 9, addresses: 9 };
  const zones = [zone('z1'), zone('z2', { load: busy }), zone('z3')];
  const others = [place('3.3.3.9', 'z3')];
  const ask = (all: PlacementZone[], home: PlacementPublic[] = []) =>
    placeFabric({ owner: 'a', zones: all, home, shared: others, policy });
  t.deepEqual(ask(zones), { zone_uuid: 'z3', public_ip: null });
  const mine = [place('3.3.3.2', 'z2', 1, 'a'), others[0] as PlacementPublic];
  t.deepEqual(ask(zones, mine), { zone_uuid: 'z2', public_ip: '3.3.3.2' });
  const lost = zones.map((each) =>
    each.uuid === 'z1' ? each : { ...each, state: 'down' as const },
  );
  t.deepEqual(
    ask(lost, mine),
    { zone_uuid: 'z1', public_ip: null },
    'elsewhere rather than nowhere',
  );
  t.end();
});

test('work that moves stays on its compute nodes where it can', (t) => {
  const policy = { ...perOwner, pins: { a: ['cn1', 'cn3'] } };
  const heavy = zone('z3', { load: { fabrics: 9, addresses: 9 } });
  const publics = [place('3.3.3.2', 'z1', 1, 'a'), place('3.3.3.3', 'z1')];
  const neighbours = new Set<string>();
  const zones = [zone('z1'), zone('z2'), heavy];
  const request = { zones, publics, neighbours, policy };
  t.deepEqual(planMove({ ...request, lost: 'z1' })?.moves, [
    { ip: '3.3.3.2', to: 'z3' },
    { ip: '3.3.3.3', to: 'z2' },
  ]);
  t.end();
});

/** A zone that carries these public IPs. */
function carrying(uuid: string, publics: PlacementPublic[]): PlacementZone {
  const mine = publics.filter((each) => each.zone_uuid === uuid);
  const fabrics = mine.reduce((sum, each) => sum + each.load.fabrics, 0);
  return zone(uuid, { load: { fabrics, addresses: fabrics * 256 } });
}

test('a zone that joins gets its share, heaviest first, and no more', (t) => {
  const publics = [
    place('3.3.3.2', 'z1', 4),
    place('3.3.3.3', 'z1', 1),
    place('3.3.3.4', 'z1', 1),
    place('3.3.3.5', 'z2', 2),
    place('3.3.3.6', 'z2', 1),
  ];
  const zones = ['z1', 'z2', 'z3'].map((each) => carrying(each, publics));
  const moves = planShare({
    to: 'z3',
    zones,
    publics,
    policy: perOwner,
    most: 16,
  });
  t.deepEqual(moves, [{ ip: '3.3.3.2', to: 'z3' }], 'z1 2, z2 3, z3 4');
  const after = publics.map((each) =>
    each.ip === '3.3.3.2' ? { ...each, zone_uuid: 'z3' } : each,
  );
  const now = ['z1', 'z2', 'z3'].map((each) => carrying(each, after));
  t.deepEqual(
    planShare({
      to: 'z3',
      zones: now,
      publics: after,
      policy: perOwner,
      most: 16,
    }),
    [],
    'a second time there is nothing to do',
  );
  t.end();
});

test('only a zone that serves gets a share', (t) => {
  const publics = [place('3.3.3.2', 'z1', 1), place('3.3.3.3', 'z1', 1)];
  const from = carrying('z1', publics);
  for (const state of ['new', 'down', 'draining', 'standby'] as const) {
    const to = zone('z2', { state, standby: state === 'standby' });
    const zones = [from, to];
    const moves = planShare({
      to: 'z2',
      zones,
      publics,
      policy: reserve,
      most: 16,
    });
    t.deepEqual(moves, [], state);
  }
  t.end();
});

test('pinned work goes back to its compute node, and never away', (t) => {
  const policy = { ...perOwner, pins: { a: ['cn2'], b: ['cn1'] } };
  const publics = [
    place('3.3.3.2', 'z1', 1, 'a'),
    place('3.3.3.3', 'z1', 1, 'b'),
    place('3.3.3.4', 'z1', 1, 'b'),
    place('3.3.3.5', 'z1', 1, 'b'),
  ];
  const zones = ['z1', 'z2'].map((each) => carrying(each, publics));
  t.deepEqual(planShare({ to: 'z2', zones, publics, policy, most: 16 }), [
    { ip: '3.3.3.2', to: 'z2' },
  ]);
  t.end();
});
