#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Run at each boot of a zone's machine, by its user-script: makes vxlnatd's
 * configuration from what the datacenter says of this machine. What is alike
 * in all zones comes from SAPI (`steps/manifest.ts`), addresses and devices
 * from the machine's NICs. A zone must boot without SAPI too: then what was
 * made before stays.
 */

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { HttpClient } from '#lib/http/client.js';
import { runMain } from '#lib/service/run.js';
import { MANIFEST } from './steps/manifest.js';
import type { SapiConfig } from './triton.js';

/** A NIC in the guest's metadata, `sdc:nics`. */
interface Nic {
  mac: string;
  ip: string;
  nic_tag: string;
}

/** The manifest, filled in. */
interface Zone {
  underlay_tag: string;
  external_tag: string;
  base: Record<string, unknown>;
  /** The operator's, over `base`. */
  own: Record<string, unknown>;
}

const FILE = '/etc/vxlnat/vxlnatd.json';
const RETRY_MS = 2000;
/** The network comes up beside this, and SAPI knows an instance a bit late. */
const FIRST_BOOT_S = 600;
const LATER_S = 30;

const USAGE = `
usage: configure [FILE [SECONDS]]

Makes vxlnatd's configuration FILE (${FILE}) from what SAPI, asked for
SECONDS (${FIRST_BOOT_S}; ${LATER_S} where there is a file), and mdata-get say of this machine.
`;

/** Triton's guest tools have it on the PATH. */
function metadata(key: string): string {
  return execFileSync('mdata-get', [key], { encoding: 'utf8' }).trim();
}

function deviceOf(mac: string): string {
  const found = readdirSync('/sys/class/net').find(
    (name) =>
      readFileSync(`/sys/class/net/${name}/address`, 'utf8').trim() ===
      mac.toLowerCase(),
  );
  if (found === undefined) throw new Error(`no device has the MAC ${mac}`);
  return found;
}

function nicWith(nics: Nic[], tag: string): { interface: string; ip: string } {
  const nic = nics.find((each) => each.nic_tag === tag);
  if (nic === undefined) throw new Error(`sdc:nics: none has the tag "${tag}"`);
  return { interface: deviceOf(nic.mac), ip: nic.ip };
}

/** @throws Error when nobody has answered in that time */
async function askSapi(uuid: string, seconds: number): Promise<SapiConfig> {
  const url = metadata('sapi-url');
  const sapi = new HttpClient({ url, timeoutMs: 10_000 });
  const end = performance.now() + seconds * 1000;
  try {
    for (;;) {
      try {
        return (await sapi.get<SapiConfig>(`/configs/${uuid}`)).body;
      } catch (error) {
        if (performance.now() >= end) throw error;
        await pause(RETRY_MS);
      }
    }
  } finally {
    sapi.close();
  }
}

/** A key may hold text or, as SAPI allows, an object. */
function filledIn({ manifests, metadata: values }: SapiConfig): Zone {
  const manifest = manifests.find(({ name }) => name === MANIFEST);
  if (manifest === undefined) throw new Error(`SAPI: no manifest ${MANIFEST}`);
  const text = manifest.template.replaceAll(
    /\{\{\{(\w+)\}\}\}/g,
    (_, key: string) => {
      const value = values[key];
      if (value === undefined) throw new Error(`SAPI: no metadata ${key}`);
      return typeof value === 'string' ? value : JSON.stringify(value);
    },
  );
  try {
    return JSON.parse(text) as Zone;
  } catch (error) {
    // The text may hold passwords, and the error quotes it.
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(`SAPI: ${MANIFEST}, filled in, is not JSON`);
  }
}

/** Only its owner and group read it: settings may hold passwords. */
function write(file: string, config: object): void {
  const text = `${JSON.stringify(config, null, 2)}\n`;
  writeFileSync(`${file}.new`, text, { mode: 0o640 });
  renameSync(`${file}.new`, file);
}

async function configure(file: string, patience?: string): Promise<void> {
  const first = !existsSync(file);
  const seconds = Number(patience ?? (first ? FIRST_BOOT_S : LATER_S));
  const uuid = metadata('sdc:uuid');
  const config = await askSapi(uuid, seconds).catch((error: Error) => {
    const said = `SAPI does not answer: ${error.message}`;
    if (first) throw new Error(said);
    process.stderr.write(`configure: ${said}; ${file} stays as it is\n`);
    return null;
  });
  if (config === null) return;
  const zone = filledIn(config);
  const nics = JSON.parse(metadata('sdc:nics')) as Nic[];
  write(file, {
    ...zone.base,
    state_directory: '/var/lib/vxlnat',
    xdp: { pins: '/run/vxlnat/bpf/zone' },
    ...zone.own,
    zone_uuid: uuid,
    underlay: nicWith(nics, zone.underlay_tag),
    external: nicWith(nics, zone.external_tag),
  });
}

await runMain({
  name: 'configure',
  usage: USAGE,
  allowPositionals: true,
  async main({ positionals: [file = FILE, patience] }) {
    await configure(file, patience);
  },
});
