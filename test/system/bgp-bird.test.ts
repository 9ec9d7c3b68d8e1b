// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatd's hand on a real BIRD (bird-driver.ts), and what is said when BIRD is
 * missing, too old, hangs or may not be asked, or its directory or
 * configuration is bad. One namespace; no packet leaves it.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { completeBgp } from '../../services/vxlnatd/announce/bgp-settings.js';
import { birdConfig } from '../../services/vxlnatd/announce/bird-config.js';
import { lines } from './lab/lab.js';

const skip = process.getuid?.() !== 0 && 'needs root';
const DRIVER = fileURLToPath(new URL('bird-driver.js', import.meta.url));
const NAMESPACE = `vxi${process.pid}`;

function sh(script: string): string {
  return execFileSync('sh', ['-ec', script], { encoding: 'utf8' });
}

interface Answer {
  said?: string;
  error?: string;
  silent?: boolean;
}

/** A BIRD directory, and a driver of it for each environment. */
class Hand {
  readonly directory: string;
  readonly #children: ChildProcess[] = [];

  constructor(t: Test) {
    t.teardown(() => this.#down());
    this.directory = join(temporaryDirectory(t), 'bird');
    sh(`ip netns add ${NAMESPACE}; ip -n ${NAMESPACE} link set lo up`);
  }

  /** What vxlnatd would write for two addresses. */
  config(changes: object = {}): string {
    const config = completeBgp({
      local_as: 65158,
      neighbors: [{ ip: '127.0.0.2', as: 65000, password: 'change-me' }],
      directory: this.directory,
      ...changes,
    });
    const med = null;
    return birdConfig(config, '127.0.0.1', [
      { ip: '3.3.3.2', med, leaving: false },
      { ip: '3.3.3.5', med, leaving: false },
    ]);
  }

  /** Has a driver obey one order. */
  async order(
    order: [string, ...unknown[]],
    env: Record<string, string> = {},
    wrap: string[] = [],
  ): Promise<Answer> {
    const command = [...wrap, process.execPath, DRIVER, this.directory];
    const child = spawn('ip', ['netns', 'exec', NAMESPACE, ...command], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    const said = lines(child)[Symbol.asyncIterator]();
    child.stdin.end(`${JSON.stringify(order)}\n`);
    const { value } = await said.next();
    await once(child, 'close');
    return JSON.parse(value);
  }

  /** A folder that stands before all others in the search for programs. */
  programs(scripts: Record<string, string>): string {
    const folder = join(this.directory, '..', 'programs');
    mkdirSync(folder, { recursive: true });
    for (const [name, script] of Object.entries(scripts)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    return `${folder}:${process.env['PATH']}`;
  }

  pid(): number {
    return Number(sh(`cat ${this.directory}/bird.pid`));
  }

  #down(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    sh(`f=${this.directory}/bird.pid
      test ! -e $f || kill -9 $(cat $f) 2>/dev/null || true
      umount ${this.directory} 2>/dev/null || true
      ip netns del ${NAMESPACE}`);
  }
}

test('BIRD takes what is written, and refuses what is bad', {
  skip,
}, async (t) => {
  const hand = new Hand(t);
  const good = hand.config();
  t.deepEqual(await hand.order(['write', good]), { said: '' }, 'written');
  const started = await hand.order(['start', false]);
  t.deepEqual(started, { said: '' }, 'started');
  const mode = statSync(join(hand.directory, 'bird.conf')).mode & 0o777;
  t.equal(mode, 0o600, 'only its owner reads the passwords');
  const other = hand.config({ hold_seconds: 30 });
  t.deepEqual(await hand.order(['load', other]), { said: '' }, 'loaded');
  const bad = other.replace('protocol device { }', 'protocol nonsense { }');
  const refused = await hand.order(['load', bad]);
  t.match(
    refused.error ?? '',
    /bird\.conf\.new:\d+:\d+ syntax error/,
    'refused',
  );
  t.deepEqual(await hand.order(['read']), { said: other }, 'the old is kept');
  const shown = await hand.order(['ask', 'show route protocol served']);
  t.match(shown.said ?? '', /3\.3\.3\.2\/32[\s\S]*3\.3\.3\.5\/32/, 'served');
  const early = await hand.order(['write', bad]);
  t.match(early.error ?? '', /bird\.conf\.new:\d+:\d+ syntax error/);
  t.deepEqual(await hand.order(['read']), { said: other }, 'without BIRD too');
  const log = sh(`cat ${hand.directory}/bird.log`);
  t.notOk(log.includes('change-me'), 'no password in its log');
  for (const { error } of [refused, early]) {
    t.notOk(error?.includes('change-me'), 'nor in what is said of it');
  }
});

test('BIRD that is missing or too old is said to be so', {
  skip,
}, async (t) => {
  const hand = new Hand(t);
  const nothing = ['/usr/bin/env', 'PATH=/nowhere'];
  const written = await hand.order(['write', hand.config()], {}, nothing);
  t.equal(written.error, 'bird: not found; Debian has it in the package bird2');
  const asked = await hand.order(['ask', 'show status'], {}, nothing);
  t.equal(asked.error, 'birdc: not found; Debian has it in the package bird2');
  t.notOk(asked.silent, 'which is no reason to start it');
  const PATH = hand.programs({ bird: 'echo "BIRD version 1.6.8" >&2' });
  const old = await hand.order(['write', hand.config()], { PATH });
  t.match(old.error ?? '', /BIRD version 1\.6\.8; version 2 or later/);
});

test('BIRD that hangs is replaced, one that may not be asked is not', {
  skip,
}, async (t) => {
  const hand = new Hand(t);
  const gone = await hand.order(['ask', 'show status']);
  t.ok(gone.silent, gone.error);
  await hand.order(['write', hand.config()]);
  await hand.order(['start', false]);
  const nobody = [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
  ];
  sh(`chmod 755 ${hand.directory} ${hand.directory}/..`);
  const denied = await hand.order(['ask', 'show status'], {}, nobody);
  t.match(denied.error ?? '', /Permission denied/);
  t.notOk(denied.silent);
  const first = hand.pid();
  process.kill(first, 'SIGSTOP');
  const hung = await hand.order(['ask', 'show status']);
  t.deepEqual(hung, { error: 'birdc: no answer', silent: true });
  t.deepEqual(await hand.order(['start', true]), { said: '' });
  t.notEqual(hand.pid(), first, 'another one runs');
  const status = await hand.order(['ask', 'show status']);
  t.match(status.said ?? '', /Daemon is up|recovery/);
});

test('a directory that cannot be written is named', { skip }, async (t) => {
  const hand = new Hand(t);
  await hand.order(['write', hand.config()]);
  await hand.order(['start', false]);
  sh(`mount --bind ${hand.directory} ${hand.directory}
    mount -o remount,bind,ro ${hand.directory}`);
  const refused = await hand.order(['load', hand.config({ hold_seconds: 30 })]);
  t.match(refused.error ?? '', /EROFS.*bird\.conf\.new/);
  const shown = await hand.order(['ask', 'show status']);
  t.match(shown.said ?? '', /Daemon is up/, 'BIRD goes on as it was');
});
