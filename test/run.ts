// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Runs every test file as a process of its own and closes with exactly one
 * line, `N passed, N failed`.
 *
 *   node dist/test/run.js [--native COMMAND] [--only TEXT]
 *
 * Files run three at a time, the native engine's tests being one of them, those
 * that take longest first. System tests run only as root, since they make
 * network namespaces; those of routing protocols run beside everything else.
 * The native engine's tests are one command: its `ok`/`not ok` lines count when
 * it prints any, else its exit status does. A file that crashes, runs out of
 * time, or asserts nothing is a failure.
 */

import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tally } from './tally.js';

interface Job {
  name: string;
  command: string;
  args: string[];
  limitMs: number;
  /** Whether a command without TAP passes by its exit status. */
  byStatus: boolean;
}

interface Outcome {
  name: string;
  passed: number;
  failed: number;
  /** What to show at the end; empty when all passed. */
  report: string;
}

/** Ends what hangs; no file comes near it, however busy the machine. */
const FILE_LIMIT_MS = 600_000;
const NATIVE_LIMIT_MS = 1_800_000;
/** For two cores: a file that waits leaves its own to the third. */
const AT_ONCE = 3;
const OUTPUT_LIMIT = 4 * 1024 * 1024;
const HERE = dirname(fileURLToPath(import.meta.url));

function jobsIn(folder: string, only: string): Job[] {
  const root = join(HERE, folder);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(folder, name))
    .filter((name) => name.includes(only))
    .sort()
    .map((name) => ({
      name,
      command: process.execPath,
      args: [join(HERE, name)],
      limitMs: FILE_LIMIT_MS,
      byStatus: false,
    }));
}

function run(job: Job, groups: Set<number>): Promise<Outcome> {
  return new Promise((resolve) => {
    let output = '';
    let timedOut = false;
    const started = Date.now();
    const child = spawn(job.command, job.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const take = (chunk: Buffer) => {
      if (output.length < OUTPUT_LIMIT) output += chunk.toString('utf8');
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    const timer = setTimeout(() => {
      timedOut = true;
      endGroup(child.pid);
    }, job.limitMs);
    child.on('error', (error) => {
      output += `${error.message}\n`;
    });
    if (child.pid !== undefined) groups.add(child.pid);
    // Before 'close', which waits for whoever still holds the test's output.
    child.on('exit', () => endGroup(child.pid));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (child.pid !== undefined) groups.delete(child.pid);
      const trouble = timedOut
        ? `ran longer than ${job.limitMs / 1000} s`
        : signal !== null
          ? `ended by ${signal}`
          : code !== 0
            ? `exit status ${code}`
            : '';
      resolve(conclude(job, output, trouble, Date.now() - started));
    });
  });
}

/** The test's whole process group: what it started must not outlive it. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group ended by itself in between.
  }
}

function conclude(
  job: Job,
  output: string,
  trouble: string,
  ms: number,
): Outcome {
  const counts = tally(output);
  let { passed, failed } = counts;
  let why = trouble;
  if (passed + failed === 0) {
    if (trouble === '' && job.byStatus) passed = 1;
    else {
      failed = 1;
      why = trouble === '' ? 'no test ran' : trouble;
    }
  } else if (trouble !== '' && failed === 0) {
    failed = 1;
  } else if (trouble === '' && counts.planned > passed + failed) {
    failed += 1;
    why = `planned ${counts.planned} assertions, made ${passed + failed - 1}`;
  }
  const verdict = failed === 0 ? 'ok  ' : 'FAIL';
  process.stdout.write(
    `${verdict} ${job.name} (${passed} passed` +
      `${failed > 0 ? `, ${failed} failed` : ''}, ${ms} ms)` +
      `${why === '' ? '' : `: ${why}`}\n`,
  );
  const report =
    failed === 0
      ? ''
      : `\n--- ${job.name}${why === '' ? '' : `: ${why}`}\n${failures(output)}`;
  return { name: job.name, passed, failed, report };
}

/** The failing assertions, or the last lines of a file that has none. */
function failures(output: string): string {
  const lines = output.trimEnd().split('\n');
  const shown = new Set<number>();
  lines.forEach((line, i) => {
    if (!/^\s*not ok\b/.test(line)) return;
    for (let j = i; j < Math.min(i + 40, lines.length); j += 1) {
      shown.add(j);
      if (/^\s*\.\.\.\s*$/.test(lines[j] as string)) break;
    }
  });
  const text =
    shown.size > 0
      ? lines.filter((_line, i) => shown.has(i))
      : lines.slice(-60);
  return `${text.slice(0, 400).join('\n')}\n`;
}

async function runAll(
  jobs: Job[],
  atOnce: number,
  groups: Set<number>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = [...jobs];
  async function worker(): Promise<void> {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      outcomes.push(await run(job, groups));
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker));
  return outcomes;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { native: { type: 'string' }, only: { type: 'string' } },
  });
  const only = values.only ?? '';
  const native: Job[] =
    values.native === undefined
      ? []
      : [
          {
            name: 'native engine',
            command: '/bin/sh',
            args: ['-c', values.native],
            limitMs: NATIVE_LIMIT_MS,
            byStatus: true,
          },
        ];
  const isRoot = process.getuid?.() === 0;
  const system = jobsIn('system', only);
  const others = ['scenario', 'sim', 'property', 'bridge', 'unit'];
  // They mostly wait for the timers of routing protocols.
  const isRouting = ({ name }: Job) => name.includes('/bgp-');
  const asRoot = isRoot ? system : [];
  const groups = new Set<number>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      for (const pid of groups) endGroup(pid);
      process.exit(1);
    });
  }
  const beside = runAll(asRoot.filter(isRouting), 1, groups);
  const jobs = [
    ...native,
    ...asRoot.filter((job) => !isRouting(job)),
    ...others.flatMap((folder) => jobsIn(folder, only)),
  ];
  const outcomes = [
    ...(await runAll(jobs, AT_ONCE, groups)),
    ...(await beside),
  ];
  if (!isRoot && system.length > 0) {
    process.stdout.write(`skip ${system.length} system tests: not root\n`);
  }
  for (const { report } of outcomes) process.stdout.write(report);
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  let failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
  if (passed + failed === 0) {
    process.stdout.write('no test was found\n');
    failed = 1;
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
