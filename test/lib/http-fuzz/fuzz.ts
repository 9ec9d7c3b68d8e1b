// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A fuzz run over HTTP, the same for every service: each call with each of its
 * fields spoiled, attacks of the service's own, then attacks by chance. An answer is below 500, an error has
 * its code and message, and whoever was refused has changed nothing.
 *
 * SEED=... repeats a run, RUNS=... makes it as many times as long.
 */

import type { Test } from 'tape';
import { type Rng, seededRng } from '../rng.js';
import {
  type Attack,
  badBody,
  badField,
  badFraming,
  type Call,
  oddRequest,
  onTheWire,
} from './attacks.js';
import { exchange, type RawAnswer } from './raw.js';

export type { Attack, Call } from './attacks.js';
export type { RawAnswer } from './raw.js';

/** A service with things in it. */
export interface Target {
  port: number;
  calls: readonly Call[];
  /** Everything that a request could change, as text. */
  digest(): Promise<string>;
  /** Attacks that only somebody who knows the service thinks of. */
  more?(rng: Rng): Attack[];
  /** Headers that make a request an honest one's, such as a signature. */
  sign?(method: string, url: string): Record<string, string>;
}

export interface FuzzOptions {
  /** A fresh target; one for each run. */
  start(): Promise<Target>;
  /** Attacks by chance in one run, besides those on each field. */
  attacks: number;
}

/** The seed of `make test`: it finds the same each time. */
const SEED = 20_260_711;
/** Attacks under way at once. */
const LANES = 16;

/** Runs and asserts; the seed is printed. */
export async function fuzzHttp(t: Test, options: FuzzOptions): Promise<void> {
  const seed = Number(process.env['SEED'] ?? SEED) >>> 0;
  const runs = Number(process.env['RUNS'] ?? 1);
  for (let run = 0; run < runs; run += 1) {
    t.comment(`SEED=${seed + run}`);
    const rng = seededRng(seed + run);
    const target = await options.start();
    const attacks = planned(rng, target, options);
    const { complaints, done } = await attack(target, attacks);
    t.comment(`${attacks.length} attacks, ${done} of them done`);
    for (const each of complaints.slice(0, 20)) t.fail(each);
    t.equal(complaints.length, 0, `run ${run}: nobody got through`);
  }
}

function planned(rng: Rng, target: Target, options: FuzzOptions): Attack[] {
  const { calls } = target;
  const fields = calls.flatMap((call) =>
    call.fields.map((field) => badField(rng, call, field)),
  );
  const writing = calls.filter(({ method }) => !/^(GET|HEAD)$/.test(method));
  const byChance = Array.from({ length: options.attacks }, () => {
    const call = rng.pick(calls);
    const kind = rng.float();
    if (kind < 0.4 && call.fields.length > 0) {
      return badField(rng, call, rng.pick(call.fields));
    }
    if (kind < 0.6) return badBody(rng, rng.pick(writing));
    if (kind < 0.75) return badFraming(rng, call);
    return oddRequest(rng, call);
  });
  const own = target.more?.(rng) ?? [];
  return rng.shuffle([...fields, ...own, ...byChance]);
}

interface Outcome {
  attack: Attack;
  answer: RawAnswer;
}

async function send(target: Target, attack: Attack): Promise<Outcome> {
  const signature = target.sign?.(attack.method, attack.url) ?? {};
  const headers = { ...signature, ...attack.headers };
  const bytes = onTheWire({ ...attack, headers });
  const half = attack.rest !== undefined;
  return { attack, answer: await exchange(target.port, bytes, half) };
}

function isRefused({ answer }: Outcome): boolean {
  return answer.status === 0 || answer.status >= 400;
}

/**
 * Several at once; where one of them was done, nobody knows who changed what,
 * and those that were refused have to show it alone.
 */
async function attack(
  target: Target,
  attacks: readonly Attack[],
): Promise<{ complaints: string[]; done: number }> {
  const complaints: string[] = [];
  let done = 0;
  let digest = await target.digest();
  for (let i = 0; i < attacks.length; i += LANES) {
    const lanes = attacks.slice(i, i + LANES);
    const outcomes = await Promise.all(lanes.map((each) => send(target, each)));
    complaints.push(...outcomes.flatMap(wrongOf));
    done += outcomes.filter((each) => !isRefused(each)).length;
    const before = digest;
    digest = await target.digest();
    if (digest === before) continue;
    for (const { attack: refused } of outcomes.filter(isRefused)) {
      const outcome = await send(target, refused);
      const after = await target.digest();
      if (after !== digest && isRefused(outcome)) {
        complaints.push(`${told(outcome)}: refused, and done`);
      }
      digest = after;
    }
    if (outcomes.every(isRefused)) {
      const all = outcomes.map(told).join('\n');
      complaints.push(`one of these was refused, and done:\n${all}`);
    }
  }
  return { complaints, done };
}

/** What is wrong with an answer. */
function wrongOf(outcome: Outcome): string[] {
  const { attack: made, answer } = outcome;
  if (!made.may && !isRefused(outcome)) return [`${told(outcome)}: done`];
  const judged = made.judge?.(answer) ?? null;
  if (judged !== null) return [`${told(outcome)}: ${judged}`];
  if (answer.status >= 500 && !allowed(outcome)) return [told(outcome)];
  const isJson = answer.headers['content-type'] === 'application/json';
  if (answer.status < 400 || !isJson || made.method === 'HEAD') return [];
  return hasWords(answer.body) ? [] : [`${told(outcome)}: no code or message`];
}

/** What has no garbage to collect says that it is not implemented. */
function allowed({ attack: { url }, answer }: Outcome): boolean {
  return answer.status === 501 && url.includes('/manage/gc');
}

function hasWords(body: string): boolean {
  try {
    const { code, message } = JSON.parse(body);
    return typeof code === 'string' && typeof message === 'string';
  } catch {
    return false;
  }
}

function told({ attack: made, answer }: Outcome): string {
  const { method, url, what, headers, body } = made;
  const sent = body === undefined ? '' : ` ${body.toString().slice(0, 200)}`;
  const request = `${method} ${url.slice(0, 200)} ${JSON.stringify(headers).slice(0, 300)}${sent}`;
  return `${what}: ${request}: ${answer.status} ${answer.body.slice(0, 200)}`;
}
