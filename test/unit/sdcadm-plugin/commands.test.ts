// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** status, remove, convert, and commands in the form that sdcadm registers. */

import test from 'tape';
import { Datacenter } from '#test/triton/datacenter.js';
import { operate } from '#test/triton/operator.js';
import { COMMANDS } from '../../../sdcadm-plugin/cli.js';

const NETWORK = 'ffffffff-0000-4000-8000-000000000001';
const OWNER = 'ffffffff-0000-4000-8000-0000000000aa';

function fabric(uuid = NETWORK, change: object = {}) {
  return {
    uuid,
    name: 'default',
    nic_tag: 'sdc_overlay',
    fabric: true,
    owner_uuid: OWNER,
    subnet: '10.4.4.0/22',
    gateway: '10.4.4.1',
    internet_nat: true,
    ...change,
  };
}

test('status: a table, and JSON', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A,CN-B']);
  const [first, second] = dc.instances.map(({ uuid }) => uuid);
  dc.zones = dc.zones.slice(0, 1);
  Object.assign(dc.zones[0] as object, {
    state: 'up',
    status: { in_sync: true },
  });
  dc.zones.push({
    uuid: NETWORK,
    ul3_ip: '192.168.12.99',
    server_uuid: null,
    state: 'down',
  });
  const { lines } = await operate(dc.url, ['status']);
  t.deepEqual(
    lines.map((line) => line.split(/\s{2,}/)),
    [
      ['UUID', 'ALIAS', 'SERVER', 'VM', 'ZONE', 'UL3', 'IN SYNC'],
      [first, 'vxlnat0', 'CN-A', 'running', 'up', '192.168.12.6', 'yes'],
      [second, 'vxlnat1', 'CN-B', 'running', '-', '-', '-'],
      [NETWORK, '-', '-', '-', 'down', '192.168.12.99', '-'],
    ],
  );
  const json = await operate(dc.url, ['status', '--json']);
  const rows = JSON.parse(json.lines.join('\n')) as { zone: unknown }[];
  t.deepEqual(
    rows.map(({ zone }) => zone),
    ['up', null, 'down'],
  );
});

test('remove: the work moves first, then the machine goes', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A,CN-B']);
  const gone = dc.instances[0]?.uuid;
  const from = dc.writes.length;
  const run = await operate(dc.url, ['remove', '-y', 'vxlnat0']);
  t.equal(run.status, 0, run.stderr);
  t.deepEqual(
    dc.writes.slice(from).map(({ call }) => call),
    ['DELETE /nat_zones/:uuid', 'DELETE /instances/:uuid'],
  );
  t.notOk(dc.zones.some(({ uuid }) => uuid === gone));
  const rest = await operate(dc.url, ['remove', '-y', '--service']);
  t.equal(rest.status, 0, rest.stderr);
  t.deepEqual(dc.instances, []);
  t.notOk(dc.services.some(({ name }) => name === 'vxlnat'));
  t.deepEqual(dc.manifests, []);
  const again = await operate(dc.url, ['remove', '-y', '--service']);
  t.equal(again.lines.at(-1), 'Nothing to do.');
});

test('remove: a refusal of napi-nat leaves the machine', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A']);
  dc.failNext('DELETE', '/nat_zones/:uuid');
  const run = await operate(dc.url, ['remove', '-y', '-s', 'CN-A']);
  t.equal(run.status, 1);
  t.equal(dc.instances.length, 1);
  t.equal(dc.vms[0]?.['state'], 'running');
});

for (const how of ['failNext', 'loseNext'] as const) {
  for (const path of ['/nat_zones/:uuid', '/instances/:uuid'] as const) {
    test(`remove: ${how} of DELETE ${path} can be run again`, async (t) => {
      const dc = await new Datacenter().withFabrics().start(t);
      await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A,CN-B']);
      dc[how]('DELETE', path);
      const line = ['remove', '-y', 'vxlnat0', 'vxlnat1'];
      const first = await operate(dc.url, line);
      t.equal(first.status, 1);
      t.ok(dc.instances.length > 0, 'the second is there');
      const second = await operate(dc.url, line);
      t.equal(second.status, 0, second.stderr);
      t.deepEqual([dc.instances, dc.zones], [[], []]);
    });
  }
}

test('remove: a zone that SAPI does not know', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  dc.zones.push({ uuid: NETWORK, ul3_ip: '192.168.12.99', server_uuid: null });
  const run = await operate(dc.url, ['remove', '-y', NETWORK]);
  t.equal(run.status, 0, run.stderr);
  t.deepEqual(dc.zones, []);
});

test('convert: waits for the job, network by network', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  const other = 'ffffffff-0000-4000-8000-000000000002';
  dc.networks.push(
    fabric(),
    fabric(other, { nat_reform_public: '3.3.3.2' }),
    fabric('ffffffff-0000-4000-8000-000000000003', { internet_nat: false }),
  );
  const run = await operate(dc.url, ['convert', '-y', '--owner', OWNER], {
    onPause: () => {
      const [job] = dc.jobs;
      if (job !== undefined) job['execution'] = 'succeeded';
      const network = dc.networks.find(({ uuid }) => uuid === NETWORK);
      if (network !== undefined) network['nat_reform_public'] = '3.3.3.3';
    },
  });
  t.equal(run.status, 0, run.stderr);
  t.deepEqual(dc.writes, [
    { call: 'PUT /networks/:uuid', body: { nat_reform_public: '' } },
  ]);
  t.ok(run.lines.includes('    allocate: zone chosen'), 'progress');
  t.ok(run.lines.includes(`Converted network ${NETWORK}: public IP 3.3.3.3`));
  const again = await operate(dc.url, ['convert', '-y', NETWORK, other]);
  t.equal(again.lines.at(-1), 'Nothing to do.');
});

test('convert: whatever fails half-way can be run again', async (t) => {
  for (const how of ['failNext', 'loseNext'] as const) {
    for (const [method, path] of [
      ['PUT', '/networks/:uuid'],
      ['GET', '/jobs/:uuid'],
    ] as const) {
      const dc = await new Datacenter().withFabrics().start(t);
      dc.networks.push(fabric());
      dc[how](method, path);
      const line = ['convert', '-y', NETWORK];
      const first = await operate(dc.url, line);
      t.equal(first.status, 1, `${how} ${method} ${path}`);
      const second = await operate(dc.url, line, {
        onPause: () => {
          for (const job of dc.jobs) job['execution'] = 'succeeded';
          Object.assign(dc.networks.at(-1) as object, {
            nat_reform_public: '3.3.3.3',
          });
        },
      });
      t.equal(second.status, 0, second.stderr);
      t.equal(dc.jobs.length, 1, 'one job, whoever asks');
    }
  }
});

test('convert: a failed job is told with its reason', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  dc.networks.push(fabric());
  const run = await operate(dc.url, ['convert', '-y', NETWORK], {
    onPause: () =>
      Object.assign(dc.jobs[0] as object, {
        execution: 'failed',
        log: [{ at: '', step: 'sync', message: 'no zone is up' }],
      }),
  });
  t.equal(run.status, 1);
  t.match(run.stderr, /job \S+ failed: no zone is up/);
});

test('convert: refuses what cannot be converted', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  dc.networks.push(fabric(NETWORK, { internet_nat: false }));
  const missing = NETWORK.replace('0001', '0009');
  for (const [argv, says] of [
    [['convert'], 'must name networks, or "--owner", and not both'],
    [['convert', '--owner', OWNER, NETWORK], 'and not both'],
    [['convert', NETWORK], 'is not a fabric network with a gateway'],
    [['convert', missing], `Cannot find network "${missing}"`],
  ] as const) {
    const run = await operate(dc.url, [...argv]);
    t.equal(run.status, 2);
    t.ok(run.stderr.includes(says), run.stderr);
  }
  t.deepEqual(dc.writes, []);
});

test('commands have the form that sdcadm registers', async (t) => {
  for (const [name, command] of Object.entries(COMMANDS)) {
    t.equal(typeof command, 'function', name);
    t.equal(command.length, 4, 'subcmd, opts, args, cb');
    t.ok(command.options.every(({ names, help }) => names[0] && help));
    t.ok(command.help.includes('{{options}}'));
    t.equal(command.logToFile, true);
  }
  process.env['SDCADM_VXLNAT_CONFIG'] = '/nonexistent/sdcadm-vxlnat.json';
  const error = await new Promise<unknown>((resolve) => {
    COMMANDS['status']?.('status', {}, [], resolve);
  });
  t.equal(
    (error as Error).message,
    '/nonexistent/sdcadm-vxlnat.json: cannot be read: no such file',
    'errors go to the callback',
  );
});
