// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The world on disk: what a zone forwards by when it starts and the control
 * plane does not answer. Written aside, flushed, renamed, so a crash leaves
 * the old one or the new one. A file that is damaged (its digest does not fit
 * its rules) is refused: forwarding by half a rule table is worse than none.
 */

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Dataplane } from '#lib/model/dataplane.js';
import { dataplaneText, readDataplaneText } from '#lib/model/dataplane-text.js';
import { rulesDigest } from '#lib/model/rules-digest.js';
import { type World, worldOf } from './desired.js';
import { writeDurably } from './durable.js';

/** The file's format; another version is not read. */
const VERSION = 2;

export interface Snapshots {
  /**
   * The stored world, or null when there is none.
   * @throws an Error naming the file when it is damaged or another zone's
   */
  load(): Promise<World | null>;
  save(world: World): Promise<void>;
}

/** The snapshot's form of a world; what `worldOf` reads. */
export function dataplaneOf(world: World): Dataplane {
  const fabrics = [...world.fabrics.values()];
  const entries = [...world.one_to_ones.values()];
  return {
    position: world.position,
    digest: rulesDigest(fabrics, entries),
    fabrics,
    one_to_ones: entries,
    publics: [...world.publics.values()],
    zones: [...world.zones.values()],
  };
}

async function read(file: string, zone: string): Promise<Dataplane> {
  const found = await readDataplaneText(createReadStream(file));
  if (found['version'] !== VERSION) {
    throw new Error(`${file}: not a snapshot of version ${VERSION}`);
  }
  if (found['zone_uuid'] !== zone) {
    throw new Error(`${file}: of zone ${found['zone_uuid']}, not ${zone}`);
  }
  const dataplane = found as unknown as Dataplane;
  const digest = rulesDigest(dataplane.fabrics, dataplane.one_to_ones);
  if (digest !== dataplane.digest) {
    throw new Error(
      `${file}: damaged: digest ${dataplane.digest}, rules ${digest}`,
    );
  }
  return dataplane;
}

/**
 * Snapshots in `directory`, in one file.
 * @param zone the zone's UUID: another zone's snapshot is not ours to serve
 */
export function fileSnapshots(directory: string, zone: string): Snapshots {
  const name = 'dataplane.json';
  const file = join(directory, name);
  return {
    async load() {
      try {
        return worldOf(await read(file, zone));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        const { message } = error as Error;
        throw new Error(
          message.startsWith(file) ? message : `${file}: ${message}`,
        );
      }
    },
    save(world) {
      const more = { version: VERSION, zone_uuid: zone };
      const { fabrics, one_to_ones, publics, zones, ...head } =
        dataplaneOf(world);
      const pages = {
        ...head,
        fabrics: [fabrics],
        one_to_ones: [one_to_ones],
        publics: [publics],
        zones: [zones],
      };
      const text = dataplaneText(pages, more);
      return writeDurably(directory, name, text);
    },
  };
}
