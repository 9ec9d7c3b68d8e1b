// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A service as the process an operator would start: its configuration written
 * to a file, its "listening" record awaited for the ports it chose.
 */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ServiceProcess {
  pid: number;
  /** Base URL of its HTTP server. */
  url: string;
  /** The whole "listening" record. */
  listening: Record<string, { host: string; port: number }>;
  /** Everything it has written so far. */
  said(): string;
  /** Ends it with a signal and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * Starts `dist/services/<program>/main.js -f CONFIG`.
 * @param t the test at whose end the process is ended
 * @param directory where the configuration file goes
 */
export async function startService(
  t: { teardown(end: () => unknown): unknown },
  program: string,
  config: object,
  directory: string,
): Promise<ServiceProcess> {
  const file = join(directory, `${program}.json`);
  writeFileSync(file, JSON.stringify(config));
  const main = new URL(`../../services/${program}/main.js`, import.meta.url);
  const child = spawn(process.execPath, [main.pathname, '-f', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gone = new Promise<void>((resolve) =>
    child.once('exit', () => resolve()),
  );
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    await gone;
  };
  t.teardown(() => stop('SIGKILL'));
  const { listening, said } = await hear([child.stdout, child.stderr], gone);
  const { host, port } = listening['http'] as { host: string; port: number };
  return {
    pid: child.pid as number,
    url: `http://${host}:${port}`,
    listening,
    said,
    stop,
  };
}

/** Its words, and the record that says where it listens. */
async function hear(
  outputs: NodeJS.ReadableStream[],
  gone: Promise<void>,
): Promise<Pick<ServiceProcess, 'listening' | 'said'>> {
  let words = '';
  const listening = await new Promise<ServiceProcess['listening']>(
    (resolve, reject) => {
      for (const output of outputs) {
        createInterface({ input: output }).on('line', (line) => {
          words += `${line}\n`;
          if (line.includes('"msg":"listening"')) resolve(JSON.parse(line));
        });
      }
      void gone.then(() =>
        reject(new Error(`it ended before it listened:\n${words}`)),
      );
    },
  );
  return { listening, said: () => words };
}
