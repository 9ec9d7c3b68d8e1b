// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Runs iproute2's `ip`: a batch of changes in one process, and questions that
 * are answered in JSON. A function argument, so tests need no privileges.
 */

import { spawn } from 'node:child_process';

/** How one run of `ip` ended. */
export interface IpResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs `ip` with arguments and, for a batch, its standard input. */
export type RunIp = (args: string[], input?: string) => Promise<IpResult>;

/** A run that takes longer is killed: a thousand routes are 15 ms of work. */
const TIMEOUT_MS = 30_000;

/**
 * The system's `ip`. Never throws: one that cannot be started has status 127
 * and says so on stderr.
 */
export const runIp: RunIp = (args, input = '') =>
  new Promise((resolve) => {
    const child = spawn('ip', args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    // The child may end before it has read everything; its status says why.
    child.stdin.on('error', () => {});
    child.on('error', (error) => {
      resolve({ status: 127, stdout, stderr: `ip: ${error.message}` });
    });
    child.on('close', (code, signal) => {
      if (signal !== null) stderr += `ip: killed by ${signal}`;
      resolve({ status: code ?? 1, stdout, stderr });
    });
    child.stdin.end(input);
  });

/**
 * Asks a question with `ip -j`.
 * @returns the parsed answer; an empty one is an empty list
 * @throws an Error naming the command
 */
export async function askIp(run: RunIp, args: string[]): Promise<unknown[]> {
  const result = await run(['-j', ...args]);
  if (result.status !== 0) {
    throw new Error(`ip ${args.join(' ')}: ${result.stderr.trim()}`);
  }
  const text = result.stdout.trim();
  return text === '' ? [] : (JSON.parse(text) as unknown[]);
}
