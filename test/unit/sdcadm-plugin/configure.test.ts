// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What a zone's machine makes of SAPI's manifest and its NICs at boot. */

import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { loadConfig } from '#lib/service/config.js';
import { temporaryDirectory } from '#test/tmp.js';
import { Datacenter } from '#test/triton/datacenter.js';
import { operate } from '#test/triton/operator.js';
import {
  CONFIG_SCHEMA,
  type ConfigFile,
} from '../../../services/vxlnatd/config.js';

const CONFIGURE = fileURLToPath(
  new URL('../../../sdcadm-plugin/configure.js', import.meta.url),
);
/** The one device that every machine has. */
const LOOPBACK_MAC = '00:00:00:00:00:00';
const ALL_NICS = [
  { mac: LOOPBACK_MAC, ip: '10.99.99.40', nic_tag: 'admin' },
  { mac: LOOPBACK_MAC, ip: '192.168.12.6', nic_tag: 'sdc_underlay' },
  { mac: LOOPBACK_MAC, ip: '3.3.3.2', nic_tag: 'external' },
];

/** A datacenter after post-setup, with one zone. */
async function datacenter(t: Test) {
  const dc = await new Datacenter().withFabrics().start(t);
  await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A']);
  const [service] = dc.services.filter(({ name }) => name === 'vxlnat');
  const metadata = service?.['metadata'] as Record<string, unknown>;
  return { dc, metadata, uuid: dc.instances[0]?.uuid as string };
}

/** A guest whose mdata-get answers from a folder of files. */
function guest(t: Test, values: Record<string, string>) {
  const directory = temporaryDirectory(t);
  for (const [key, value] of Object.entries(values)) {
    writeFileSync(join(directory, key), value);
  }
  const program = join(directory, 'mdata-get');
  writeFileSync(program, `#!/bin/sh\nexec cat "${directory}/$1"\n`);
  chmodSync(program, 0o755);
  const file = join(directory, 'vxlnatd.json');
  const configure = () =>
    new Promise<{ status: number; stderr: string }>((resolve) => {
      execFile(
        process.execPath,
        [CONFIGURE, file, '0'],
        {
          env: { ...process.env, PATH: `${directory}:${process.env['PATH']}` },
        },
        (error, _stdout, stderr) =>
          resolve({ status: Number(error?.code ?? 0), stderr }),
      );
    });
  return { file, configure };
}

function guestOf(t: Test, sapi: string, uuid: string, nics = ALL_NICS) {
  return guest(t, {
    'sapi-url': sapi,
    'sdc:uuid': uuid,
    'sdc:nics': JSON.stringify(nics),
  });
}

test('what post-setup put into SAPI and the NICs make a configuration', async (t) => {
  const { dc, metadata, uuid } = await datacenter(t);
  t.equal(metadata['sapi-url'], dc.url, 'VMAPI hands it on to the machine');
  const { file, configure } = guestOf(t, dc.url, uuid);
  const { status, stderr } = await configure();
  t.equal(status, 0, stderr);
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    napi: { url: dc.url },
    svp: { host: '127.0.0.1' },
    state_directory: '/var/lib/vxlnat',
    xdp: { pins: '/run/vxlnat/bpf/zone' },
    zone_uuid: uuid,
    underlay: { interface: 'lo', ip: '192.168.12.6' },
    external: { interface: 'lo', ip: '3.3.3.2' },
  });
  t.equal(statSync(file).mode & 0o777, 0o640, 'it may hold passwords');
  t.doesNotThrow(
    () => loadConfig<ConfigFile>(file, CONFIG_SCHEMA),
    'vxlnatd takes it',
  );
});

test('the operator has the last word, and it outlives post-setup', async (t) => {
  const { dc, metadata, uuid } = await datacenter(t);
  const bgp = { local_as: 65158, neighbors: [{ ip: '3.3.3.1', as: 65000 }] };
  metadata['VXLNATD_CONFIG'] = JSON.stringify({ announce: 'bgp', bgp });
  const again = await operate(dc.url, ['post-setup', '-y', '-s', 'CN-A']);
  t.deepEqual(again.lines, ['', 'Nothing to do.']);
  const { file, configure } = guestOf(t, dc.url, uuid);
  await configure();
  const made = () => loadConfig<ConfigFile>(file, CONFIG_SCHEMA);
  t.deepEqual([made().announce, made().bgp], ['bgp', bgp]);
  metadata['VXLNATD_CONFIG'] = { announce: 'none' };
  await configure();
  t.equal(made().announce, 'none', 'an object does too');
  metadata['VXLNATD_CONFIG'] = '{"password": "hunter2"';
  const { status, stderr } = await configure();
  t.equal(status, 1);
  t.match(stderr, /SAPI: vxlnatd, filled in, is not JSON/);
  t.notOk(stderr.includes('hunter2'));
  t.equal(made().announce, 'none', 'what was there stays');
});

test('without SAPI a zone boots with what it has', async (t) => {
  const { dc, uuid } = await datacenter(t);
  const { file, configure } = guestOf(t, 'http://127.0.0.1:1', uuid);
  const first = await configure();
  t.equal(first.status, 1);
  t.match(first.stderr, /SAPI does not answer: .*ECONNREFUSED/);
  t.notOk(existsSync(file));
  writeFileSync(file, '{}\n');
  const later = await configure();
  t.equal(later.status, 0);
  t.match(later.stderr, /SAPI does not answer: .*; .*vxlnatd\.json stays/);
  t.equal(readFileSync(file, 'utf8'), '{}\n');
  t.equal(dc.instances.length, 1);
});

test('a NIC that is not there is named, and nothing is written', async (t) => {
  const { dc, uuid } = await datacenter(t);
  const nics = ALL_NICS.slice(2);
  const { file, configure } = guestOf(t, dc.url, uuid, nics);
  const { status, stderr } = await configure();
  t.equal(status, 1);
  t.match(stderr, /sdc:nics: none has the tag "sdc_underlay"/);
  t.notOk(existsSync(file));
});
