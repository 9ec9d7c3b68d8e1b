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

/** What the speaker needs of BIRD; tests have their own. */
export interface Bird {
  /**
   * Gives one command.
   * @returns what BIRD said
   * @throws an Error with what BIRD said, or why it could not be asked
   */
  ask(command: string): Promise<string>;
  /**
   * Starts it with the configuration that is in place.
   * @param recover whether upstream kept our routes (RFC 4724)
   */
  start(recover: boolean): Promise<void>;
  /** The configuration in place; empty when there is none. */
  read(): Promise<string>;
  /**
   * Has BIRD check a configuration, puts it in place and loads it.
   * @throws an Error naming the line at fault; the old one is still in place
   */
  load(text: string): Promise<void>;
  /** Puts a configuration in place for a BIRD that is not running yet. */
  write(text: string): Promise<void>;
}

/** BIRD answers at once; one that does not is as good as dead. */
const TIMEOUT_MS = 5000;
/** A line for each address, and there may be many. */
const ANSWER_BYTES = 64 << 20;

function run(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: ANSWER_BYTES };
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const said = missing
        ? 'not found; Debian has it in the package bird2'
        : (stdout + stderr).trim() || error.message;
      reject(new Error(`${command}: ${said}`));
    });
  });
}

/** The BIRD whose files are in a directory of ours. */
export function systemBird(directory: string): Bird {
  const file = (name: string) => join(directory, name);
  const [config, fresh] = [file('bird.conf'), file('bird.conf.new')];
  const ask = (command: string) =>
    run('birdc', ['-s', file('bird.ctl'), command]);
  async function writeFresh(text: string): Promise<void> {
    await mkdir(directory, { recursive: true });
    // It may hold passwords.
    await writeFile(fresh, text, { mode: 0o600 });
  }
  return {
    ask,
    async start(recover) {
      const files = ['-c', config, '-s', file('bird.ctl')];
      const mode = recover ? ['-R'] : [];
      await run('bird', [...files, '-P', file('bird.pid'), ...mode]);
    },
    async read() {
      try {
        return await readFile(config, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
        throw error;
      }
    },
    async load(text) {
      await writeFresh(text);
      await ask(`configure check "${fresh}"`);
      await rename(fresh, config);
      await ask('configure');
    },
    async write(text) {
      await writeFresh(text);
      await rename(fresh, config);
    },
  };
}
