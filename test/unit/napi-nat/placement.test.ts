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
  planMove,
} from '../../../services/napi-nat/placement.js';

const perOwner: PlacementPolicy = {
  sharing: 'per-owner',
  placement: 'spread',
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
    state: 'up',
    standby: false,
    weight: 1,
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
    const found = placeFabric({ zones, home, shared: [], policy: perOwner });
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
    placeFabric({ zones, home: [], shared: two, policy })?.public_ip,
    '3.3.3.2',
  );
  const three = [place('3.3.3.2', 'z1', 3)];
  t.equal(
    placeFabric({ zones, home: three, shared: three, policy })?.public_ip,
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
  t.deepEqual(placeFabric({ zones, home, shared: home, policy: shared }), {
    zone_uuid: 'z1',
    public_ip: '3.3.3.2',
  });
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
