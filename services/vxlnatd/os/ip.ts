// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Runs iproute2's `ip`: a batch of changes in one process, and questions. Those
 * with few answers are asked in JSON; a million routes come as lines, which are
 * read in turns. A function argument, so tests need no privileges.
 */

import { spawn } from 'node:child_process';
import { throughTurns } from '../leisurely.js';

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
  const text = (await ask(run, ['-j', ...args])).trim();
  return text === '' ? [] : (JSON.parse(text) as unknown[]);
}

async function ask(run: RunIp, args: string[]): Promise<string> {
  const result = await run(args);
  if (result.status === 0) return result.stdout;
  throw new Error(`ip ${args.join(' ')}: ${result.stderr.trim()}`);
}

/** Lines read in one turn: some milliseconds. */
const TURN = 10_000;

/** The first word of each line that counts, in turns. */
function* firstWords(
  text: string,
  counts: (line: string) => boolean,
): Generator<void, Set<string>> {
  const words = new Set<string>();
  let read = 0;
  for (let at = 0, end = 0; at < text.length; at = end + 1) {
    end = text.indexOf('\n', at);
    if (end < 0) end = text.length;
    const line = text.slice(at, end);
    const word = line.split(' ', 1)[0] ?? '';
    if (word !== '' && counts(line)) words.add(word);
    read += 1;
    if (read % TURN === 0) yield;
  }
  return words;
}

/**
 * Asks `ip` for addresses, each the first word of a line.
 * @param counts whether a line is one of those
 * @throws an Error naming the command
 */
export async function askIpAddresses(
  run: RunIp,
  args: string[],
  counts: (line: string) => boolean = () => true,
): Promise<Set<string>> {
  return throughTurns(firstWords(await ask(run, args), counts));
}
