// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The context of a real run: the terminal, the clock, the datacenter. */

import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Clients, createClients } from './clients.js';
import { type Config, readConfig } from './config.js';
import type { Context } from './context.js';
import { internalError } from './errors.js';
import { takeLock } from './lock.js';

const execute = promisify(execFile);

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
  });
  // An end of input is a no.
  const closed = new Promise<string>((resolve) => {
    terminal.once('close', () => resolve(''));
  });
  const answer = await Promise.race([terminal.question(question), closed]);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

async function run(program: string, args: string[]): Promise<void> {
  try {
    await execute(program, args);
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    const said = stderr.trim() || message;
    throw internalError(`\`${[program, ...args].join(' ')}\`: ${said}`);
  }
}

/** The datacenter, when it is first asked for: a standalone site has none. */
class Datacenter {
  #config: Config | null = null;
  #clients: Clients | null = null;

  get config(): Config {
    this.#config ??= readConfig(process.env['SDCADM_VXLNAT_CONFIG']);
    return this.#config;
  }

  get clients(): Clients {
    this.#clients ??= createClients(this.config.urls);
    return this.#clients;
  }

  close(): void {
    this.#clients?.close();
  }
}

/**
 * @returns the context, and what ends its connections; its `clients` and
 *   `channel` throw UsageError where the configuration is missing or wrong
 */
export async function openContext(): Promise<{
  ctx: Context;
  close: () => void;
}> {
  const datacenter = new Datacenter();
  const ui = (line: string) => void process.stdout.write(`${line}\n`);
  const ctx: Context = {
    get clients() {
      return datacenter.clients;
    },
    get channel() {
      return datacenter.config.channel;
    },
    ui,
    confirm,
    pause: (ms) => pause(ms),
    now: () => performance.now(),
    run,
    lock: () => takeLock(ui),
  };
  return { ctx, close: () => datacenter.close() };
}
