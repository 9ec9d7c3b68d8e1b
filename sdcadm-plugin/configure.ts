#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Run at each boot of a zone's machine, by its user-script: makes vxlnatd's
 * configuration from what the datacenter says of this machine. The base comes
 * from SAPI (`vxlnatd-config`), addresses and devices from its NICs.
 *
 *   configure [FILE]
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/** A NIC in the guest's metadata, `sdc:nics`. */
interface Nic {
  mac: string;
  ip: string;
  nic_tag: string;
}

/** What `add-service.ts` puts into the service's metadata. */
interface Base {
  underlay_tag: string;
  external_tag: string;
  config: Record<string, unknown>;
}

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

const file = process.argv[2] ?? '/etc/vxlnat/vxlnatd.json';
const base = JSON.parse(metadata('vxlnatd-config')) as Base;
const nics = JSON.parse(metadata('sdc:nics')) as Nic[];
const config = {
  ...base.config,
  zone_uuid: metadata('sdc:uuid'),
  underlay: nicWith(nics, base.underlay_tag),
  external: nicWith(nics, base.external_tag),
  state_directory: '/var/lib/vxlnat',
  xdp: { pins: '/run/vxlnat/bpf/zone' },
};
writeFileSync(`${file}.new`, `${JSON.stringify(config, null, 2)}\n`);
renameSync(`${file}.new`, file);
