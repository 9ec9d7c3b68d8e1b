// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Two AIPs get one address, an AIP is not where its fabric's router is, or a
 * mapping outlives its NIC, when requests meet in the store.
 */

import { randomUUID } from 'node:crypto';
import test from 'tape';
import { ServiceError } from '#lib/errors.js';
import { readDataplane } from '#test/dataplane.js';
import { natStore, putFabric, putNic, putZone } from '#test/nat-store.js';
import { createAip } from '../../../services/napi-nat/aip/create.js';
import { getAip } from '../../../services/napi-nat/aip/find.js';
import { deleteAip, detachAip } from '../../../services/napi-nat/aip/remove.js';
import { updateAip } from '../../../services/napi-nat/aip/update.js';
import { commit, merge } from '../../../services/napi-nat/commit.js';
import type { NapiContext } from '../../../services/napi-nat/context.js';
import { failZone } from '../../../services/napi-nat/failover.js';
import { detachForNic } from '../../../services/napi-nat/nat-reform/hooks.js';
import { createSerial } from '../../../services/napi-nat/nat-reform/serial.js';
import {
  NIC_BUCKET,
  type NicRecord,
} from '../../../services/napi-nat/nic/record.js';

/** What a promise came to: a status, or 200. */
async function status(job: Promise<unknown>): Promise<number> {
  try {
    await job;
    return 200;
  } catch (error) {
    if (error instanceof ServiceError) return error.status;
    throw error;
  }
}

function count(statuses: number[], wanted: number): number {
  return statuses.filter((each) => each === wanted).length;
}

function deleteNic(ctx: NapiContext, nic: NicRecord): Promise<unknown> {
  return commit(ctx, async () => {
    const row = {
      operation: 'delete' as const,
      bucket: NIC_BUCKET,
      key: String(nic.mac),
    };
    const own = { requests: [row], events: [] };
    return { changes: merge(own, await detachForNic(ctx, nic)), result: null };
  });
}

test('260 at once from 200 addresses: no duplicate, exact end', async (t) => {
  const ctx = await natStore(t, '3.0.0.201');
  const owner_uuid = randomUUID();
  const made: string[] = [];
  const statuses = await Promise.all(
    Array.from({ length: 260 }, () =>
      status(
        createAip(ctx, { owner_uuid }).then((aip) => void made.push(aip.ip)),
      ),
    ),
  );
  t.equal(count(statuses, 200), 200);
  t.equal(count(statuses, 507), 60, 'the others: SubnetFull');
  t.equal(new Set(made).size, 200);
});

test('two processes on one store still never share an address', async (t) => {
  const ctx = await natStore(t);
  const other = { ...ctx, placing: createSerial() };
  const owner_uuid = randomUUID();
  const made = await Promise.all(
    Array.from({ length: 60 }, (_, n) =>
      createAip(n % 2 ? ctx : other, { owner_uuid }),
    ),
  );
  t.equal(new Set(made.map((aip) => aip.ip)).size, 60);
});

test('an AIP follows its router through a failover', async (t) => {
  const ctx = await natStore(t);
  const lost = await putZone(ctx, 6);
  const owner_uuid = randomUUID();
  const fabric = await putFabric(ctx, 1, owner_uuid);
  const survivor = await putZone(ctx, 7);
  const other = { ...ctx, placing: createSerial() };
  const jobs = Array.from({ length: 40 }, async (_, n) => {
    const instance = randomUUID();
    const ip = `10.4.4.${n + 10}`;
    await putNic(ctx, fabric, { mac: n + 1, ip, instance });
    await createAip(n % 2 ? ctx : other, { owner_uuid, instance });
  });
  await Promise.all([...jobs, failZone(ctx, lost)]);
  const { publics, one_to_ones } = await readDataplane(ctx);
  t.equal(one_to_ones.length, 40);
  t.deepEqual(
    publics.filter((each) => each.zone_uuid !== survivor),
    [],
    'every one is where the router is',
  );
});

test('a NIC that goes while it is assigned leaves no mapping', async (t) => {
  const ctx = await natStore(t);
  await putZone(ctx, 6);
  const owner_uuid = randomUUID();
  const fabric = await putFabric(ctx, 1, owner_uuid);
  let both = 0;
  for (let n = 0; n < 60; n++) {
    const instance = randomUUID();
    const ip = '10.4.4.9';
    const nic = await putNic(ctx, fabric, { mac: 77, ip, instance });
    const aip = await createAip(ctx, { owner_uuid });
    const assign = status(updateAip(ctx, aip.uuid, { instance }));
    for (let i = 0; i < n % 6; i++) await new Promise(setImmediate);
    await Promise.all([assign, deleteNic(ctx, nic)]);
    if ((await assign) === 200) both += 1;
    const after = (await getAip(ctx, aip.uuid)).value;
    if (after.target !== undefined) t.fail(`round ${n} left ${after.target}`);
    await deleteAip(ctx, aip.uuid, { really: false });
  }
  t.pass(`the assignment came first in ${both} of 60 rounds`);
});

test('detach and delete at once do not resurrect', async (t) => {
  const ctx = await natStore(t);
  await putZone(ctx, 6);
  const owner_uuid = randomUUID();
  const fabric = await putFabric(ctx, 1, owner_uuid);
  const instance = randomUUID();
  await putNic(ctx, fabric, { mac: 5, ip: '10.4.4.9', instance });
  const { uuid } = await createAip(ctx, { owner_uuid, instance });
  const statuses = await Promise.all([
    status(detachAip(ctx, uuid, owner_uuid)),
    status(deleteAip(ctx, uuid, { really: true })),
    status(updateAip(ctx, uuid, { description: 'x' })),
    status(deleteAip(ctx, uuid, { really: true })),
  ]);
  t.ok(count(statuses, 200) >= 1);
  t.equal(await status(getAip(ctx, uuid)), 404);
  const { publics } = await readDataplane(ctx);
  t.deepEqual(
    publics.map((each) => each.kind),
    ['snat'],
  );
});
