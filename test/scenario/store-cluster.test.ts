// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: of several processes on one PostgreSQL two lead at once, a
 * listener misses or repeats an event, or what a dead or paused leader decided
 * is lost or comes too late.
 */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import type { Store } from '#lib/store/types.js';
import { freshAddress } from '#test/postgres.js';

const WAIT_MS = 60_000;

interface Said {
  opened?: number;
  heard?: number[];
  leads?: boolean;
  acked?: string;
  position?: number;
  freezing?: string;
  late?: string;
  failed?: string;
}

/** A process and all that it has said. */
class Contender {
  readonly said: Said[] = [];
  readonly #child;
  readonly #gone: Promise<void>;
  #wake: (() => void)[] = [];

  constructor(t: Test, address: { url: string; schema: string }, name: string) {
    const program = new URL('./store-contender.js', import.meta.url).pathname;
    const args = [program, address.url, address.schema, name];
    this.#child = spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const child = this.#child;
    this.#gone = new Promise((resolve) => child.once('exit', () => resolve()));
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.said.push(JSON.parse(line) as Said);
      for (const wake of this.#wake.splice(0)) wake();
    });
    t.teardown(() => this.kill());
  }

  tell(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
  }

  /** Waits until one thing said is so. */
  async until(what: string, is: (said: Said) => boolean): Promise<Said> {
    const end = Date.now() + WAIT_MS;
    for (;;) {
      const found = this.said.find(is);
      if (found !== undefined) return found;
      if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        setTimeout(resolve, 500);
      });
    }
  }

  acked(): string[] {
    return this.said.flatMap(({ acked }) => acked ?? []);
  }

  heard(): number[] {
    return this.said.flatMap(({ heard }) => heard ?? []);
  }
}

async function start(
  t: Test,
  count: number,
): Promise<{ store: Store; all: Contender[] }> {
  const address = await freshAddress();
  const all = Array.from(
    { length: count },
    (_, i) => new Contender(t, address, `n${i}`),
  );
  for (const one of all) {
    await one.until('opened', ({ opened }) => opened !== undefined);
  }
  const store = await openPostgresStore(address, { clock: systemClock() });
  t.teardown(() => store.close());
  return { store, all };
}

/** The first that says it leads and has written `many` since. */
function leaderOf(all: Contender[], many: number): Promise<Contender> {
  return Promise.any(
    all.map(async (one) => {
      await one.until('leading', () => one.acked().length >= many);
      return one;
    }),
  );
}

/** Checks what is in the store against what was said. */
async function checkAll(
  t: Test,
  store: Store,
  all: Contender[],
  alive: Contender[],
): Promise<void> {
  const acked = all.flatMap((one) => one.acked());
  t.equal(new Set(acked).size, acked.length, 'no address was given twice');
  const entries = await store.journal.read(0, 1_000_000);
  t.deepEqual(
    entries.map(({ seq }) => seq),
    entries.map((_, i) => i + 1),
    'the journal has no gap',
  );
  const ids = entries.map(({ id }) => id);
  t.equal(new Set(ids).size, ids.length, 'and each address once');
  t.deepEqual(
    acked.filter((ip) => !ids.includes(ip)),
    [],
    'an acknowledged event is in it',
  );
  const found = await store.findObjects('ips', '(ip=*)', { noLimit: true });
  t.deepEqual(
    found.objects.map(({ key }) => key).sort(),
    [...ids].sort(),
    'objects and events are of the same commits',
  );
  const last = entries.length;
  for (const one of alive) {
    await one.until('all events', () => one.heard().includes(last));
    const { opened = 0 } = one.said[0] as Said;
    const heard = one.heard().filter((seq) => seq <= last);
    t.deepEqual(
      heard,
      Array.from({ length: last - opened }, (_, i) => opened + i + 1),
      'a listener heard every event once and in order',
    );
  }
}

/** Stops all that lives, at a moment between two batches or within one. */
async function quiesce(alive: Contender[]): Promise<void> {
  for (const one of alive) one.tell('quiet');
  await Promise.all(
    alive.map((one) => one.until('quiet', (said) => 'quiet' in said)),
  );
}

test('kill -9 of the leader under load: another goes on', async (t) => {
  const { store, all } = await start(t, 3);
  const first = await leaderOf(all, 20);
  const died = Date.now();
  await first.kill();
  const rest = all.filter((one) => one !== first);
  const second = await leaderOf(rest, 20);
  t.comment(`the next leader had written after ${Date.now() - died} ms`);
  await second.kill();
  const last = rest.filter((one) => one !== second);
  await leaderOf(last, 20);
  await quiesce(last);
  await checkAll(t, store, all, last);
});

test('what a paused leader decided is refused when it wakes', async (t) => {
  const { store, all } = await start(t, 2);
  const first = await leaderOf(all, 5);
  first.tell('freeze');
  await first.until('freezing', ({ freezing }) => freezing !== undefined);
  const rest = all.filter((one) => one !== first);
  await leaderOf(rest, 5);
  first.signal('SIGCONT');
  const { late } = await first.until('late', (said) => 'late' in said);
  t.equal(late, 'EtagConflictError', 'its late batch');
  await quiesce(all);
  await checkAll(t, store, all, all);
});

test('a leader stopped at any moment holds nobody up', async (t) => {
  const { store, all } = await start(t, 2);
  const first = await leaderOf(all, 20);
  first.signal('SIGSTOP');
  const rest = all.filter((one) => one !== first);
  await leaderOf(rest, 20);
  first.signal('SIGCONT');
  await quiesce(all);
  await checkAll(t, store, all, all);
});
