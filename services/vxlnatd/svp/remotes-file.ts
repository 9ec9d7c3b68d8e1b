// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What SVP has answered, on disk beside the rules: without it a zone that
 * starts while no control plane answers would know its rules and not where
 * anybody lives (RFD 158 leaves that look-up to vxlnatd). It is a cache: a file
 * that cannot be used is left out, and answers replace what it said.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { parseMac } from '#lib/net/mac.js';
import { isVnet } from '#lib/net/vnet.js';
import type { Remote } from '../desired.js';
import { writeDurably } from '../durable.js';

const NAME = 'remotes.json';
const VERSION = 1;

function isRemote(value: unknown): value is Remote {
  const remote = value as Partial<Remote> | null;
  return (
    isVnet(remote?.vnet_id) &&
    parseIpv4(String(remote?.ip)) !== null &&
    parseMac(String(remote?.mac)) !== null &&
    parseIpv4(String(remote?.ul3_ip)) !== null &&
    Number.isInteger(remote?.ul3_port)
  );
}

/** Writes the remotes to `directory`; a crash leaves the old file or this. */
export function saveRemotes(
  directory: string,
  remotes: Remote[],
): Promise<void> {
  const text = JSON.stringify({ version: VERSION, remotes });
  return writeDurably(directory, NAME, `${text}\n`);
}

/**
 * Reads them back.
 * @returns none when there is no file
 * @throws an Error naming the file when it is damaged
 */
export async function loadRemotes(directory: string): Promise<Remote[]> {
  const file = join(directory, NAME);
  try {
    const found = JSON.parse(await readFile(file, 'utf8')) as {
      version?: unknown;
      remotes?: unknown;
    };
    const { remotes } = found;
    if (found.version !== VERSION || !Array.isArray(remotes)) {
      throw new Error(`not remotes of version ${VERSION}`);
    }
    if (!remotes.every(isRemote)) throw new Error('damaged');
    return remotes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new Error(`${file}: ${(error as Error).message}`);
  }
}
