// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * BIRD as a process beside us: started when nobody answers on its control
 * socket, asked through `birdc`. It puts itself into the background and
 * outlives vxlnatd, so a restart of vxlnatd breaks no BGP session.
 */

import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Nobody answers on the control socket: BIRD is to be started. */
export class BirdSilent extends Error {}

/** What the speaker needs of BIRD; tests have their own. */
export interface Bird {
  /**
   * Gives one command.
   * @returns what BIRD said
   * @throws BirdSilent, or an Error with what BIRD said or why it could not be
   *   asked
   */
  ask(command: string): Promise<string>;
  /**
   * Starts it with the configuration that is in place. One that is there but
   * does not answer is ended first.
   * @param recover whether upstream kept our routes (RFC 4724)
   * @throws an Error with what BIRD said, or that it is missing or too old
   */
  start(recover: boolean): Promise<void>;
  /** The configuration in place; empty when there is none. */
  read(): Promise<string>;
  /**
   * Has BIRD check a configuration, puts it in place and loads it.
   * @throws an Error naming the line at fault; the old one is still in place
   */
  load(text: string): Promise<void>;
  /**
   * Checks a configuration and puts it in place for a BIRD that is not running
   * yet.
   * @throws as `load`
   */
  write(text: string): Promise<void>;
}

/** BIRD answers at once; one that does not is as good as dead. */
const TIMEOUT_MS = 5000;
/** How often, and after how long each time, a killed one is looked for. */
const END_TRIES = 100;
const END_MS = 20;
/** A line for each address, and there may be many. */
const ANSWER_BYTES = 64 << 20;
/** The first version that speaks the configuration that we write. */
const OLDEST = 2;
/** What birdc says of a socket behind which nobody is. */
const SILENT = /control socket .*: (No such file|Connection refused)|closed/;

function run(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: ANSWER_BYTES };
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout + stderr);
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (missing) {
        const where = 'not found; Debian has it in the package bird2';
        return reject(new Error(`${command}: ${where}`));
      }
      const said = (stdout + stderr).trim() || error.message;
      const silent = error.killed === true || SILENT.test(said);
      const why = `${command}: ${error.killed ? 'no answer' : said}`;
      reject(silent ? new BirdSilent(why) : new Error(why));
    });
  });
}

/** @throws an Error when BIRD is missing or too old */
async function checkVersion(): Promise<void> {
  const said = await run('bird', ['--version']);
  const version = /version (\d+)\S*/.exec(said);
  if (Number(version?.[1] ?? 0) >= OLDEST) return;
  throw new Error(
    `bird: ${said.trim()}; version ${OLDEST} or later is needed: ` +
      'Debian has it in the package bird2',
  );
}

/** The content of a file; empty when there is none. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * Kills a BIRD that hangs, and waits until it is gone: it would keep its
 * successor from the socket.
 * @param pidFile may be old, so the process is looked at
 */
async function endHung(pidFile: string, socket: string): Promise<void> {
  const pid = Number(await textOf(pidFile));
  if (!(pid > 1)) return;
  const about = (file: string) =>
    textOf(`/proc/${pid}/${file}`).catch(() => '');
  if (!(await about('cmdline')).split('\0').includes(socket)) return;
  process.kill(pid, 'SIGKILL');
  for (let tries = 0; tries < END_TRIES; tries++) {
    // Its command line is gone before its socket is; a zombie has neither.
    if (/^$|\) [ZX] /.test(await about('stat'))) return;
    await sleep(END_MS);
  }
}

/** The BIRD whose files are in a directory of ours. */
export function systemBird(directory: string): Bird {
  const file = (name: string) => join(directory, name);
  const [config, fresh] = [file('bird.conf'), file('bird.conf.new')];
  const [socket, pid] = [file('bird.ctl'), file('bird.pid')];
  const ask = (command: string) => run('birdc', ['-s', socket, command]);
  async function writeFresh(text: string): Promise<void> {
    await mkdir(directory, { recursive: true });
    // It may hold passwords.
    await writeFile(fresh, text, { mode: 0o600 });
  }
  return {
    ask,
    async start(recover) {
      await endHung(pid, socket);
      const mode = recover ? ['-R'] : [];
      await run('bird', ['-c', config, '-s', socket, '-P', pid, ...mode]);
    },
    read: () => textOf(config),
    async load(text) {
      await writeFresh(text);
      await ask(`configure check "${fresh}"`);
      await rename(fresh, config);
      await ask('configure');
    },
    async write(text) {
      await checkVersion();
      await writeFresh(text);
      await run('bird', ['-p', '-c', fresh]);
      await rename(fresh, config);
    },
  };
}
