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
import { dataplaneText, readDataplaneText } from '#lib/model/dataplane-text.js';
import { writeDurably } from './durable.js';
import { dataplaneOf, World } from './world.js';

/** The file's format; another version is not read. */
const VERSION = 2;

/** Changefeed resources of a snapshot's lists, and where items have their id. */
const RESOURCES = {
  fabrics: ['network', 'network_uuid'],
  one_to_ones: ['aip', 'aip_uuid'],
  publics: ['nat_public', 'ip'],
  zones: ['nat_zone', 'uuid'],
} as const;

export interface Snapshots {
  /**
   * The stored world, or null when there is none.
   * @throws an Error naming the file when it is damaged or another zone's
   */
  load(): Promise<World | null>;
  save(world: World): Promise<void>;
}

/**
 * Reads a data plane as it comes.
 * @returns the world, and what stood in front of its lists
 * @throws SyntaxError when it is cut short or no such text
 */
export async function readWorld(
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ world: World; head: Record<string, unknown> }> {
  const world = new World();
  const head = await readDataplaneText(pieces, (list, item) => {
    const [resource, id] = RESOURCES[list];
    world.put(resource, String(item[id]), item, null);
  });
  world.position = Number(head['position']);
  return { world, head };
}

async function read(file: string, zone: string): Promise<World> {
  const { world, head } = await readWorld(createReadStream(file));
  if (head['version'] !== VERSION) {
    throw new Error(`${file}: not a snapshot of version ${VERSION}`);
  }
  if (head['zone_uuid'] !== zone) {
    throw new Error(`${file}: of zone ${head['zone_uuid']}, not ${zone}`);
  }
  if (head['digest'] !== world.digest()) {
    throw new Error(
      `${file}: damaged: digest ${head['digest']}, rules ${world.digest()}`,
    );
  }
  return world;
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
        return await read(file, zone);
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
      // As of now, however long the writing takes.
      const { fabrics, one_to_ones, publics, zones, ...head } =
        dataplaneOf(world);
      const pages = {
        ...head,
        fabrics: [fabrics],
        one_to_ones: [one_to_ones],
        publics: [publics],
        zones: [zones],
      };
      return writeDurably(directory, name, dataplaneText(pages, more));
    },
  };
}
