// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Two napi-nat on one PostgreSQL: one deletes what the other begins to use.
 * What would break: both succeed, and a NIC, a pool or a network is left on
 * something that is gone.
 */

import test, { type Test } from 'tape';
import { type NatWorld, startWorld, uuidOf } from '#test/nat-world.js';
import { freshAddress } from '#test/postgres.js';

type Body = Record<string, unknown>;
const OWNER = uuidOf(1, 1);
const ROUNDS = 12;

async function pair(t: Test): Promise<[NatWorld, NatWorld]> {
  const store = { postgres: await freshAddress() };
  const start = () => startWorld(t, { nat_reform: false, config: { store } });
  return [await start(), await start()];
}

function networkOf(n: number, more: object = {}): Body {
  return {
    name: `net${n}`,
    uuid: uuidOf(5, n),
    nic_tag: 'external',
    vlan_id: 7,
    subnet: `10.${n}.0.0/24`,
    provision_start_ip: `10.${n}.0.10`,
    provision_end_ip: `10.${n}.0.250`,
    ...more,
  };
}

/** Which of the two came first, of many rounds. */
function outcomes(t: Test, removed: number[]): void {
  const counted = [204, 422].map(
    (status) => removed.filter((each) => each === status).length,
  );
  t.comment(`deleted ${counted[0]} times, refused ${counted[1]} times`);
  t.equal((counted[0] ?? 0) + (counted[1] ?? 0), ROUNDS, 'no other answer');
}

test('no NIC and no pool is left on a network that is gone', async (t) => {
  const [one, two] = await pair(t);
  const removed: number[] = [];
  const wrong: string[] = [];
  for (let n = 0; n < ROUNDS; n += 1) {
    const network = uuidOf(5, n);
    await one.must('POST', '/networks', networkOf(n));
    const nic = {
      belongs_to_uuid: uuidOf(2, n),
      belongs_to_type: 'zone',
      owner_uuid: OWNER,
    };
    const pool = { name: `pool${n}`, networks: [network] };
    const [gone] = await Promise.all([
      one.call('DELETE', `/networks/${network}`),
      n % 2 === 0
        ? two.call('POST', `/networks/${network}/nics`, nic)
        : two.call('POST', '/network_pools', pool),
    ]);
    removed.push(gone.status);
    const there = (await two.call('GET', `/networks/${network}`)).status;
    const nics = await two.must<Body[]>('GET', `/nics?network_uuid=${network}`);
    const pools = await two.must<Body[]>(
      'GET',
      `/network_pools?networks=${network}`,
    );
    const users = nics.length + pools.length;
    if (there === 200 ? gone.status !== 422 : users > 0) {
      wrong.push(`${n}: ${gone.status}, ${there}, ${users} users`);
    }
  }
  t.deepEqual(wrong, []);
  outcomes(t, removed);
});

test('no network is left on a NIC tag or a VLAN that is gone', async (t) => {
  const [one, two] = await pair(t);
  const removed: number[] = [];
  const wrong: string[] = [];
  const vlans = `/fabrics/${OWNER}/vlans`;
  await one.must('POST', vlans, { vlan_id: 99 });
  for (let n = 0; n < ROUNDS; n += 1) {
    const fabric = n % 2 === 0;
    const base = fabric ? `${vlans}/${n + 2}` : `/nic_tags/tag${n}`;
    await (fabric
      ? one.must('POST', vlans, { vlan_id: n + 2 })
      : one.must('POST', '/nic_tags', { name: `tag${n}` }));
    const body = networkOf(n, { nic_tag: `tag${n}` });
    const [gone] = await Promise.all([
      one.call('DELETE', base),
      two.call('POST', fabric ? `${base}/networks` : '/networks', body),
    ]);
    removed.push(gone.status);
    const there = (await two.call('GET', base)).status;
    const network = await two.call('GET', `/networks/${uuidOf(5, n)}`);
    if ((there === 200) !== (network.status === 200)) {
      wrong.push(`${base}: ${gone.status}, ${there}, ${network.status}`);
    }
  }
  t.deepEqual(wrong, []);
  outcomes(t, removed);
});
