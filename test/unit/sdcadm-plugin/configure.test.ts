// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What a zone's machine makes of its metadata at boot. */

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { loadConfig } from '#lib/service/config.js';
import { temporaryDirectory } from '#test/tmp.js';
import {
  CONFIG_SCHEMA,
  type ConfigFile,
} from '../../../services/vxlnatd/config.js';

const CONFIGURE = fileURLToPath(
  new URL('../../../sdcadm-plugin/configure.js', import.meta.url),
);
const ZONE = 'aaaaaaaa-0000-4000-8000-000000000009';
/** The one device that every machine has. */
const LOOPBACK_MAC = '00:00:00:00:00:00';
const BASE = {
  underlay_tag: 'sdc_underlay',
  external_tag: 'external',
  config: { napi: { url: 'http://napi.coal.example.com' } },
};

/** A guest whose mdata-get answers from a folder of files. */
function guest(t: Test, nics: object[]) {
  const directory = temporaryDirectory(t);
  const values = {
    'vxlnatd-config': JSON.stringify(BASE),
    'sdc:nics': JSON.stringify(nics),
    'sdc:uuid': ZONE,
  };
  for (const [key, value] of Object.entries(values)) {
    writeFileSync(join(directory, key), value);
  }
  const program = join(directory, 'mdata-get');
  writeFileSync(program, `#!/bin/sh\nexec cat "${directory}/$1"\n`);
  chmodSync(program, 0o755);
  const file = join(directory, 'vxlnatd.json');
  const done = spawnSync(process.execPath, [CONFIGURE, file], {
    env: { ...process.env, PATH: `${directory}:${process.env['PATH']}` },
    encoding: 'utf8',
  });
  return { file, done };
}

test('addresses and devices come from the NICs', (t) => {
  const { file, done } = guest(t, [
    { mac: LOOPBACK_MAC, ip: '10.99.99.40', nic_tag: 'admin' },
    { mac: LOOPBACK_MAC, ip: '192.168.12.6', nic_tag: 'sdc_underlay' },
    { mac: LOOPBACK_MAC, ip: '3.3.3.2', nic_tag: 'external' },
  ]);
  t.equal(done.status, 0, done.stderr);
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    napi: { url: 'http://napi.coal.example.com' },
    zone_uuid: ZONE,
    underlay: { interface: 'lo', ip: '192.168.12.6' },
    external: { interface: 'lo', ip: '3.3.3.2' },
    state_directory: '/var/lib/vxlnat',
    xdp: { pins: '/run/vxlnat/bpf/zone' },
  });
  t.doesNotThrow(
    () => loadConfig<ConfigFile>(file, CONFIG_SCHEMA),
    'vxlnatd takes it',
  );
  t.end();
});

test('a NIC that is not there is named, and nothing is written', (t) => {
  const { file, done } = guest(t, [
    { mac: LOOPBACK_MAC, ip: '3.3.3.2', nic_tag: 'external' },
  ]);
  t.equal(done.status, 1);
  t.match(done.stderr, /sdc:nics: none has the tag "sdc_underlay"/);
  t.notOk(existsSync(file));
  t.end();
});
