// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** post-setup and create: a datacenter gets its zones, once. */

import test from 'tape';
import { Datacenter, IMAGE_1, IMAGE_2 } from '#test/triton/datacenter.js';
import { operate } from '#test/triton/operator.js';

type Item = Record<string, unknown>;

const uuidOf = (n: number) => `cccccccc-0000-4000-8000-00000000000${n}`;

test('post-setup makes service, image, zones and their registration', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  const run = await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A,CN-B']);
  t.equal(run.stderr, '');
  t.equal(run.status, 0);
  const service = dc.services.find(({ name }) => name === 'vxlnat');
  const params = service?.['params'] as Record<string, unknown>;
  t.deepEqual(
    params['networks'],
    [
      { name: 'admin' },
      { uuid: 'aaaaaaaa-0000-4000-8000-000000000001' },
      {
        uuid: 'aaaaaaaa-0000-4000-8000-000000000002',
        primary: true,
        allow_ip_spoofing: true,
      },
    ],
    'NICs on admin, underlay and external',
  );
  t.deepEqual(
    dc.instances.map(({ params }) => params),
    [
      { alias: 'vxlnat0', server_uuid: uuidOf(1) },
      { alias: 'vxlnat1', server_uuid: uuidOf(2) },
    ],
  );
  t.deepEqual(
    dc.zones.map(({ uuid, ul3_ip, external_ip, server_uuid }) => ({
      uuid,
      ul3_ip,
      external_ip,
      server_uuid,
    })),
    dc.vms.map(({ uuid, server_uuid }, i) => ({
      uuid,
      ul3_ip: `192.168.12.${6 + i}`,
      external_ip: `3.3.3.${6 + i}`,
      server_uuid,
    })),
    'zones are registered by the uuid of their machine',
  );
  t.deepEqual(run.lines.slice(0, 11), [
    '',
    'This will make the following changes:',
    `    download image ${IMAGE_2}`,
    '        (vxlnat@1.1.0)',
    '        from updates server using channel "release"',
    '    create "vxlnat" service in SAPI',
    `    create "vxlnat" service instance on server "${uuidOf(1)} (CN-A)"`,
    `        with image ${IMAGE_2} (vxlnat@1.1.0)`,
    `    create "vxlnat" service instance on server "${uuidOf(2)} (CN-B)"`,
    `        with image ${IMAGE_2} (vxlnat@1.1.0)`,
    '',
  ]);
  t.match(
    run.lines.at(-1) ?? '',
    /^Completed successfully \(elapsed \d+s\)\.$/,
  );
});

test('a second run has nothing to do', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  const line = ['post-setup', '-y', '-s', 'CN-A', '-s', 'CN-B,CN-A'];
  await operate(dc.url, line);
  t.equal(dc.instances.length, 2, 'a server named twice gets one zone');
  const before = dc.writes.length;
  const run = await operate(dc.url, line);
  t.deepEqual(run.lines, ['', 'Nothing to do.']);
  t.equal(run.status, 0);
  t.equal(dc.writes.length, before, 'nothing was written');
});

test('a newer image in the channel is not taken unasked', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  const newest = dc.updates.splice(1);
  await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A']);
  dc.updates.push(...newest);
  const again = await operate(dc.url, ['post-setup', '-s', 'CN-A']);
  t.deepEqual(again.lines, ['', 'Nothing to do.']);
  const asked = await operate(dc.url, [
    'post-setup',
    '-y',
    '-i',
    '1.1.0',
    '-s',
    'CN-A',
  ]);
  t.ok(
    asked.lines.includes(
      '    update service "vxlnat" params in SAPI: image_uuid',
    ),
  );
  const service = dc.services.find(({ name }) => name === 'vxlnat');
  const params = service?.['params'] as Record<string, unknown>;
  t.equal(params['image_uuid'], IMAGE_2);
  t.equal(dc.instances.length, 1, 'its zone was left as it is');
});

test('a manifest of an older version is replaced', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  const line = ['post-setup', '-y', '-s', 'CN-A'];
  await operate(dc.url, line);
  const service = dc.services.find(({ name }) => name === 'vxlnat');
  const uuids = () => dc.manifests.map(({ uuid }) => uuid);
  t.deepEqual(Object.values(service?.['manifests'] as object), uuids());
  const [old] = dc.manifests;
  t.equal(old?.['path'], '/etc/vxlnat/zone.json');
  Object.assign(old as object, { template: 'of last year' });
  const run = await operate(dc.url, line);
  t.ok(
    run.lines.includes('    update service "vxlnat" params in SAPI: manifests'),
  );
  t.equal(dc.manifests.length, 1, 'the old one is gone');
  t.match(String(dc.manifests[0]?.['template']), /\{\{\{NAPI_URL\}\}\}/);
  t.deepEqual(Object.values(service?.['manifests'] as object), uuids());
  const again = await operate(dc.url, line);
  t.deepEqual(again.lines, ['', 'Nothing to do.']);
});

test('a dry run and a no change nothing', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  const dry = await operate(dc.url, ['post-setup', '-yn', '-s', 'CN-A']);
  t.equal(dry.status, 0);
  t.ok(dry.lines.includes('Skipping execution (dry-run).'));
  const no = await operate(dc.url, ['post-setup', '-s', 'CN-A']);
  t.deepEqual(no.asked, ['Would you like to continue? [y/N] ']);
  t.equal(no.lines.at(-1), 'Aborting.');
  t.equal(no.status, 0, 'as with sdcadm');
  t.deepEqual(dc.writes, []);
});

// Each write of a whole post-setup: refused, or done and its answer lost.
const STEPS = [
  ['POST', '/images/:uuid', 1],
  ['POST', '/manifests', 1],
  ['POST', '/services', 1],
  ['POST', '/instances', 1],
  ['POST', '/nat_zones', 1],
  ['POST', '/instances', 2],
  ['POST', '/nat_zones', 2],
] as const;
for (const [method, path, n] of STEPS) {
  for (const how of ['failNext', 'loseNext'] as const) {
    const what = how === 'failNext' ? 'a failure' : 'a lost answer';
    test(`${what} of ${method} ${path} number ${n} can be run again`, async (t) => {
      const dc = await new Datacenter().withFabrics().start(t);
      dc[how](method, path, n);
      const line = ['post-setup', '-y', '-s', 'CN-A,CN-B'];
      const first = await operate(dc.url, line);
      t.equal(first.status, 1);
      t.match(
        first.stderr,
        /client error \(InternalError\): broken by the test/,
      );
      const second = await operate(dc.url, line);
      t.equal(second.stderr, '');
      t.equal(dc.images.length, 1);
      t.equal(dc.manifests.length, 1);
      t.equal(dc.services.filter(({ name }) => name === 'vxlnat').length, 1);
      t.equal(dc.instances.length, 2);
      t.deepEqual(
        dc.zones.map(({ uuid }) => uuid),
        dc.instances.map(({ uuid }) => uuid),
      );
      const third = await operate(dc.url, line);
      t.equal(third.lines.at(-1), 'Nothing to do.');
    });
  }
}

test('an instance whose machine failed is replaced', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A']);
  (dc.vms[0] as Record<string, unknown>)['state'] = 'failed';
  const failed = dc.instances[0]?.uuid;
  const run = await operate(dc.url, ['create', '-y', '-s', 'CN-A']);
  t.ok(
    run.lines.includes(
      `    remove failed "vxlnat" service instance ${failed} (vxlnat0)`,
    ),
  );
  t.equal(dc.instances.length, 1);
  t.notEqual(dc.instances[0]?.uuid, failed);
  t.deepEqual(
    dc.zones.map(({ uuid }) => uuid),
    [dc.instances[0]?.uuid],
    'the lost zone is forgotten',
  );
});

test('create adds zones with the next aliases', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A']);
  const run = await operate(dc.url, ['create', '-y', '--servers', 'CN-C,CN-B']);
  t.equal(run.status, 0, run.stderr);
  t.deepEqual(
    dc.instances.map(({ params }) => params),
    [
      { alias: 'vxlnat0', server_uuid: uuidOf(1) },
      { alias: 'vxlnat1', server_uuid: uuidOf(3) },
      { alias: 'vxlnat2', server_uuid: uuidOf(2) },
    ],
  );
});

test('the image that -i names', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  const line = ['post-setup', '-y', '-s', 'CN-A', '-i', IMAGE_1];
  await operate(dc.url, line);
  t.deepEqual(
    dc.images.map(({ uuid }) => uuid),
    [IMAGE_1],
  );
});

test('create takes another image for its zones alone', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A', '-i', IMAGE_1]);
  const run = await operate(dc.url, [
    ...['create', '-y', '-s', 'CN-B', '-i', 'latest', '-C', 'dev'],
  ]);
  t.equal(run.status, 0, run.stderr);
  t.ok(
    run.lines.includes('        from updates server using channel "dev"'),
    'it is downloaded first',
  );
  t.deepEqual(
    dc.instances.map(({ params }) => (params as Item)['image_uuid']),
    [undefined, IMAGE_2],
  );
  const params = dc.services.at(-1)?.['params'] as Item | undefined;
  t.equal(params?.['image_uuid'], IMAGE_1);
});
