// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * How long an established flow is without answers while the daemon ends and
 * the next one starts: an orderly end (SIGTERM), a crash (SIGKILL), and a
 * hand-over (SIGUSR2). Whether the flow kept its public port is told beside it.
 */

import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { missing, type Row, row } from '../report.js';
import * as plan from './addresses.js';
import { say } from './figures.js';
import {
  cleanUpAtExit,
  daemonFiles,
  NotAvailable,
  PATHS,
  type Path,
  startDaemon,
} from './gateway.js';
import { Lab, lines, sh } from './lab.js';

const ROUNDS = 5;
const SETTINGS = { flows: 1 << 16, udpSeconds: 600 };
const PULSE = fileURLToPath(new URL('pulse.js', import.meta.url));
const ENDS = {
  term: 'SIGTERM',
  kill: 'SIGKILL',
  handover: 'SIGUSR2',
} as const;

interface Told {
  longest: number;
  since: number;
  seen: string;
}

/** The flow, asked how it does. */
class Pulse {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = lines(child);
  }

  async tell(): Promise<Told> {
    this.#child.stdin?.write('\n');
    return JSON.parse((await this.#lines.next()).value);
  }

  /** The longest silence since the last time, once answers come again. */
  async settled(): Promise<Told> {
    let longest = 0;
    for (let i = 0; i < 50; i++) {
      await sleep(200);
      const told = await this.tell();
      longest = Math.max(longest, told.longest);
      if (told.since < 50 && told.seen !== '') return { ...told, longest };
    }
    throw new Error('restart: no answers any more');
  }
}

async function measure(path: Path, directory: string): Promise<Row[]> {
  const lab = new Lab(`rs${path.slice(0, 1)}`);
  lab.up();
  try {
    // As from a network card: with its checksum finished.
    lab.in('cn', 'ethtool -K u0 tx off; ethtool -K vx1 tx off');
    lab.in('inet', 'ethtool -K e0 tx off');
    const pins = join(directory, 'pins');
    const files = daemonFiles(directory, lab, path, SETTINGS, pins);
    let daemon = await startDaemon(lab, files);
    const server = lab.start('inet', process.execPath, PULSE, 'serve');
    await lines(server).next();
    const words = [PULSE, 'ask', plan.SERVER, '10.4.1.1'];
    const pulse = new Pulse(lab.start('cn', process.execPath, ...words));
    const rows: Row[] = [];
    for (const [name, signal] of Object.entries(ENDS)) {
      const gaps: number[] = [];
      let kept = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const before = await pulse.settled();
        const over = once(daemon, 'exit');
        daemon.kill(signal);
        await over;
        daemon = await startDaemon(lab, files);
        const after = await pulse.settled();
        gaps.push(after.longest);
        if (after.seen === before.seen) kept++;
      }
      const made = row(`restart.gap.${name}.${path}`, 'ms', gaps);
      const port = `the public port was kept ${kept} of ${ROUNDS} times`;
      say(made.id, path, `${made.value.toFixed(0)} ms, ${port}`);
      rows.push(made);
    }
    return rows;
  } finally {
    lab.down();
  }
}

/** Rows `restart.gap.END.PATH`. */
export async function benchRestart(): Promise<Row[]> {
  cleanUpAtExit();
  const directory = mkdtempSync(join(tmpdir(), 'vxlnat-bench-'));
  const pins = join(directory, 'pins');
  mkdirSync(pins);
  sh(`mount -t bpf bpf ${pins}`);
  const rows: Row[] = [];
  try {
    for (const path of PATHS) {
      try {
        rows.push(...(await measure(path, directory)));
      } catch (error) {
        if (!(error instanceof NotAvailable) || path === 'tun') throw error;
        rows.push(missing(path, error.message));
      }
    }
    return rows;
  } finally {
    spawnSync('umount', [pins]);
    rmSync(directory, { recursive: true });
  }
}
