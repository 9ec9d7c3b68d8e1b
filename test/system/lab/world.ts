// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A zone of the daemon with its configuration, and two hosts that talk. */

import type { ChildProcess } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { FIXED, SERVER, SNAT } from './edge.js';
import { lines } from './lab.js';
import { ended, rules, Zone } from './zone.js';

export type Path = 'xdp' | 'af_xdp' | 'tun';

/** Two sockets in use, asked for a sign of life. */
export class Talk {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = lines(child)[Symbol.asyncIterator]();
  }

  /** The addresses that the server saw, or why the connection ended. */
  async ask(): Promise<{ tcp: string; udp: string }> {
    this.#child.stdin?.write('\n');
    const { value } = await this.#lines.next();
    return JSON.parse(value ?? '{}');
  }
}

/** What a test works with. */
export interface World {
  lab: Zone;
  /** A folder of its own. */
  folder: string;
  /** The daemon's configuration. */
  config: string;
  start: () => Promise<ChildProcess>;
  /** A host behind SNAT, and one with its own address. */
  talks: () => [Talk, Talk];
  /** What is pinned. */
  pinned: () => string[];
}

/**
 * The zone, with a server in the Internet; the daemon is not started yet.
 * @param more configuration besides devices, path and pins
 */
export async function setUpWorld(
  t: Test,
  io: Path,
  more: object = {},
): Promise<World> {
  const lab = new Zone(t, 'vxr');
  lab.publicVia('link');
  lab.likeNetworkCards();
  const pins = lab.mountPins();
  const folder = temporaryDirectory(t);
  const [file, config] = [join(folder, 'rules'), join(folder, 'config')];
  writeFileSync(file, rules());
  writeFileSync(
    config,
    JSON.stringify({
      underlay: { interface: 'und0' },
      external: { interface: 'ext0' },
      io,
      xdp: { pins },
      engine: { max_flows: 4096 },
      ...more,
    }),
  );
  await lab.serve('wan');
  const talk = (ip: string) =>
    new Talk(lab.start('cn', 'peer.js', 'keep', SERVER, ip));
  return {
    lab,
    folder,
    config,
    start: () => lab.daemon('-c', config, '-f', file),
    talks: () => [talk(SNAT.private), talk(FIXED.private)],
    // The kernel keeps files of its own there.
    pinned: () => readdirSync(pins).filter((name) => !name.endsWith('.debug')),
  };
}

/** Ends the daemon and waits for it. */
export async function end(
  child: ChildProcess,
  signal: NodeJS.Signals,
): Promise<void> {
  const over = ended(child);
  child.kill(signal);
  await over;
}
