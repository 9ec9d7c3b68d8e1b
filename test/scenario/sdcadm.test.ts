// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * sdcadm-vxlnat and napi-nat have each a test double of the other; what one
 * says and the other understands would break here: zones are registered,
 * shown, emptied and removed, and a legacy fabric is converted.
 */

import test, { type Test } from 'tape';
import { addFabric, startWorld, uuidOf } from '#test/nat-world.js';
import { Datacenter } from '#test/triton/datacenter.js';
import { operate } from '#test/triton/operator.js';
import { legacy, OLD_ZONE, routerOf } from './conversion-world.js';

const OWNER = uuidOf(1, 1);

/** A datacenter whose NAPI is a napi-nat, and an operator of it. */
async function site(t: Test, napi: string) {
  const dc = await new Datacenter().withFabrics().start(t);
  const run = (...argv: string[]) =>
    operate(dc.url, argv, {
      urls: { napi },
      onPause: () => new Promise((resolve) => setTimeout(resolve, 50)),
    });
  return { dc, run };
}

interface Zone {
  uuid: string;
  ul3_ip: string;
  external_ip: string;
  server_uuid: string;
}

test('zones come, are known, and go', async (t) => {
  const world = await startWorld(t);
  const { dc, run } = await site(t, world.url);
  // Its networks are napi-nat's own, as fabrics' post-setup has made them.
  const underlay = await world.must('POST', '/networks', {
    name: 'underlay',
    nic_tag: 'sdc_underlay',
    vlan_id: 0,
    subnet: '192.168.12.0/24',
    provision_start_ip: '192.168.12.1',
    provision_end_ip: '192.168.12.200',
  });
  const external = await world.must<{ uuid: string }[]>(
    'GET',
    '/networks?name=external',
  );
  Object.assign(
    (dc.application['metadata'] as Record<string, object>)[
      'fabric_cfg'
    ] as object,
    {
      sdc_underlay_pool: underlay['uuid'],
      sdc_nat_pool: external[0]?.uuid,
    },
  );
  const line = ['post-setup', '-y', '-s', 'CN-A,CN-B'];
  const first = await run(...line);
  t.equal(first.status, 0, first.stderr);
  const zones = await world.must<Zone[]>('GET', '/nat_zones');
  const known = ({ uuid, ul3_ip, external_ip, server_uuid }: Zone) =>
    [uuid, ul3_ip, external_ip, server_uuid].join(' ');
  t.deepEqual(
    zones.map(known).sort(),
    dc.vms
      .map(({ uuid, server_uuid }, i) =>
        [uuid, `192.168.12.${6 + i}`, `3.3.3.${6 + i}`, server_uuid].join(' '),
      )
      .sort(),
  );
  t.equal((await run(...line)).lines.at(-1), 'Nothing to do.');
  const status = await run('status');
  t.equal(status.status, 0, status.stderr);
  t.equal(status.lines.length, 3, 'a line for each zone');
  const one = await run('remove', '-y', 'vxlnat0');
  t.equal(one.status, 0, one.stderr);
  t.equal((await world.must<Zone[]>('GET', '/nat_zones')).length, 1);
  await addFabric(world, OWNER, 2, '10.4.4.0/24');
  const last = await run('remove', '-y', '--service');
  t.equal(last.status, 1);
  t.match(last.stderr, /napi client error \(InUse\): zone \S+ is the last one/);
  t.equal(dc.instances.length, 1, 'the last zone serves and stays');
});

test('a legacy fabric is converted and told about', async (t) => {
  const it = await legacy(t, '52');
  const { world, fabric, zone, sapi } = it;
  const { run } = await site(t, world.url);
  const done = await run('convert', '-y', fabric.uuid);
  t.equal(done.status, 0, done.stderr);
  const now = await world.must('GET', `/networks/${fabric.uuid}`);
  const address = now['nat_reform_public'];
  const said = `Converted network ${fabric.uuid}: public IP ${address}`;
  t.ok(done.lines.includes(said), done.lines.join('\n'));
  t.ok(done.lines.some((each) => each.startsWith('    settle: ')));
  t.equal((await routerOf(world, fabric.vnet_id)).cn_uuid, zone.uuid);
  t.deepEqual(sapi.deleted, [`/instances/${OLD_ZONE}`]);
  const again = await run('convert', '-y', '--owner', OWNER);
  t.equal(again.lines.at(-1), 'Nothing to do.', again.stderr);
});
