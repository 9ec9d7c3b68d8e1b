// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The BGP speaker against a BIRD that is made up: what it is told, in which
 * order, and what follows when it refuses, dies or says something else.
 */

import test from 'tape';
import { silentLogger } from '#lib/service/log.js';
import { manualClock } from '#test/manual-clock.js';
import { Speaker } from '../../../services/vxlnatd/announce/bgp.js';
import { bgpKernel } from '../../../services/vxlnatd/announce/bgp-kernel.js';
import {
  completeBgp,
  shownBgp,
} from '../../../services/vxlnatd/announce/bgp-settings.js';
import {
  type Bird,
  BirdSilent,
} from '../../../services/vxlnatd/announce/bird.js';
import {
  birdConfig,
  medAt,
  type Served,
  servedIn,
  WORST_MED,
} from '../../../services/vxlnatd/announce/bird-config.js';
import type { Kernel } from '../../../services/vxlnatd/os/kernel.js';

const CONFIG = completeBgp({
  local_as: 65158,
  neighbors: [
    { ip: '198.51.100.1', as: 65000, password: 'secret' },
    { ip: '198.51.100.2', as: 65000, multihop: 2 },
  ],
});

/** Answers as BIRD does, by the configuration that it was given. */
class FakeBird implements Bird {
  alive = false;
  file = '';
  refuses = '';
  /** Addresses that its export filter holds back, as an operator might. */
  held = '';
  established = true;
  readonly said: string[] = [];

  async ask(command: string): Promise<string> {
    if (!this.alive) throw new BirdSilent('birdc: no control socket');
    if (command === 'down') {
      this.said.push('down');
      this.alive = false;
    }
    const routes = servedIn(this.file).filter(({ ip }) => ip !== this.held);
    const info = this.established ? 'Established' : 'Active   Socket: refused';
    if (command.startsWith('show protocols')) {
      return CONFIG.neighbors
        .map(({ ip }) => `up_${ip.replaceAll('.', '_')}`)
        .map((name) => `${name} BGP --- up 2026-11-21 16:21:00.575  ${info}\n`)
        .join('');
    }
    if (command.endsWith(' count')) {
      return `${routes.length} of 9 routes for 9 networks in table master4\n`;
    }
    if (command.startsWith('show route export')) {
      return routes
        .map(({ ip }) => `${ip}/32   blackhole [served 1] * (200)\n`)
        .join('');
    }
    if (command === 'show bfd sessions') {
      return '198.51.100.1  ext0  Up  2026-11-21  0.050  0.150\n';
    }
    return '';
  }

  async start(recover: boolean): Promise<void> {
    this.said.push(recover ? 'recover' : 'start');
    this.alive = true;
  }

  async read(): Promise<string> {
    return this.file;
  }

  async load(text: string): Promise<void> {
    if (!this.alive) throw new BirdSilent('birdc: no control socket');
    if (this.refuses !== '') throw new Error(this.refuses);
    this.said.push('load');
    this.file = text;
  }

  async write(text: string): Promise<void> {
    this.file = text;
  }

  announced(): string[] {
    return servedIn(this.file).map(
      ({ ip, med, leaving }) => `${ip} ${med}${leaving ? ' leaving' : ''}`,
    );
  }
}

function setUp() {
  const bird = new FakeBird();
  const clock = manualClock();
  const world = { settled: true, position: 10, elsewhere: new Set<string>() };
  const speaker = new Speaker({
    config: CONFIG,
    externalIp: '198.51.100.11',
    bird,
    placement: {
      settled: () => world.settled,
      position: () => world.position,
      elsewhere: (ip) => world.elsewhere.has(ip),
    },
    clock,
    log: silentLogger(),
  });
  return { bird, clock, world, speaker };
}

test('what is announced is read back from the configuration', (t) => {
  const served: Served[] = [
    { ip: '3.3.3.2', med: null, leaving: false },
    { ip: '3.3.3.3', med: 4_294_967_284, leaving: false },
    { ip: '3.3.3.4', med: WORST_MED, leaving: true },
    { ip: '3.3.3.5', med: null, leaving: true },
  ];
  const text = birdConfig(CONFIG, '198.51.100.11', served);
  t.deepEqual(servedIn(text), served);
  t.ok(text.includes('password "secret";'));
  t.ok(text.includes('multihop 2;') && text.includes('  direct;'));
  t.notOk(JSON.stringify(shownBgp(CONFIG)).includes('secret'), 'not shown');
  t.end();
});

test('a MED falls with the position and is always one', (t) => {
  t.ok(medAt(7) > medAt(8), 'who comes later wins');
  t.ok(medAt(0) <= WORST_MED && medAt(2 ** 40) >= 0);
  t.ok(medAt(1) < WORST_MED, 'against one that leaves, too');
  t.end();
});

test('BIRD is started when nobody answers', async (t) => {
  const { bird, speaker } = setUp();
  await speaker.prepare();
  t.deepEqual(bird.said, ['start']);
  t.equal(await speaker.announce(['3.3.3.2']), null);
  t.deepEqual(bird.announced(), [`3.3.3.2 ${medAt(10)}`]);
  t.equal(await speaker.announce(['3.3.3.2']), null);
  t.deepEqual(bird.said, ['start', 'load'], 'the same is not loaded again');
});

test('an address that moves is kept for a while, others go', async (t) => {
  const { bird, clock, world, speaker } = setUp();
  await speaker.prepare();
  await speaker.announce(['3.3.3.2', '3.3.3.3']);
  world.elsewhere.add('3.3.3.2');
  t.equal(await speaker.withdraw(['3.3.3.2', '3.3.3.3']), null);
  t.deepEqual(bird.announced(), [`3.3.3.2 ${WORST_MED} leaving`]);
  await clock.advanceAsync(CONFIG.drain_ms);
  await speaker.look();
  t.deepEqual(bird.announced(), []);
});

test('one that comes back while it leaves is taken anew', async (t) => {
  const { bird, clock, world, speaker } = setUp();
  await speaker.prepare();
  await speaker.announce(['3.3.3.2']);
  world.elsewhere.add('3.3.3.2');
  await speaker.withdraw(['3.3.3.2']);
  world.elsewhere.clear();
  world.position = 12;
  await speaker.announce(['3.3.3.2']);
  await clock.advanceAsync(10_000);
  t.deepEqual(bird.announced(), [`3.3.3.2 ${medAt(12)}`], 'it stays');
});

test('a start holds what its predecessor announced', async (t) => {
  const { bird, clock, world, speaker } = setUp();
  bird.alive = true;
  bird.file = birdConfig(CONFIG, '198.51.100.11', [
    { ip: '3.3.3.2', med: 5, leaving: false },
    { ip: '3.3.3.3', med: 6, leaving: false },
    { ip: '3.3.3.4', med: 7, leaving: true },
  ]);
  world.settled = false;
  await speaker.prepare();
  await clock.advanceAsync(60_000);
  t.deepEqual(bird.announced(), ['3.3.3.2 5', '3.3.3.3 6'], 'nobody has said');
  world.settled = true;
  await speaker.announce(['3.3.3.2']);
  await clock.advanceAsync(5000);
  t.deepEqual(bird.announced(), ['3.3.3.2 5'], 'as it was; the other goes');
  t.equal(bird.said.includes('start'), false);
});

test('a dead BIRD announces nothing for a predecessor', async (t) => {
  const { bird, speaker } = setUp();
  bird.file = birdConfig(CONFIG, null, [
    { ip: '3.3.3.2', med: 5, leaving: false },
  ]);
  await speaker.prepare();
  t.deepEqual(bird.announced(), []);
});

test('a refused configuration fails the step and is tried again', async (t) => {
  const { bird, speaker } = setUp();
  await speaker.prepare();
  bird.refuses = 'bird.conf.new:9:1 syntax error';
  t.equal(await speaker.announce(['3.3.3.2']), bird.refuses);
  bird.refuses = '';
  t.equal(await speaker.announce(['3.3.3.2']), null);
  t.deepEqual(bird.announced(), [`3.3.3.2 ${medAt(10)}`]);
});

test('what BIRD does not export is a failure', async (t) => {
  const { bird, clock, speaker } = setUp();
  await speaker.prepare();
  bird.held = '3.3.3.2';
  const outcome = speaker.announce(['3.3.3.2']);
  await clock.advanceAsync(3000);
  t.equal(await outcome, '3.3.3.2 is not sent to 198.51.100.1');
  bird.held = '';
  t.equal(await speaker.announce(['3.3.3.2']), null);
});

test('a configuration of somebody else is replaced', async (t) => {
  const { bird, speaker } = setUp();
  await speaker.prepare();
  await speaker.announce(['3.3.3.2', '3.3.3.3']);
  bird.file = birdConfig(CONFIG, null, [
    { ip: '3.3.3.2', med: 5, leaving: false },
  ]);
  await speaker.look();
  const med = medAt(10);
  t.deepEqual(bird.announced(), [`3.3.3.2 ${med}`, `3.3.3.3 ${med}`]);
});

test('a BIRD that dies is started to recover', async (t) => {
  const { bird, clock, speaker } = setUp();
  await speaker.prepare();
  await speaker.announce(['3.3.3.2']);
  bird.alive = false;
  const looked = speaker.look();
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advanceAsync(150);
  t.deepEqual(bird.said, ['start', 'load'], 'BFD runs out upstream first');
  await clock.advanceAsync(50);
  await looked;
  t.deepEqual(bird.said, ['start', 'load', 'recover']);
  t.equal(speaker.status().restarts, 1);
  t.deepEqual(bird.announced(), [`3.3.3.2 ${medAt(10)}`]);
});

test('the state of sessions is told', async (t) => {
  const { bird, speaker } = setUp();
  bird.established = false;
  await speaker.prepare();
  const [first] = speaker.status().neighbors;
  t.equal(first?.state, 'Active Socket: refused');
  bird.established = true;
  await speaker.announce(['3.3.3.2']);
  await speaker.look();
  const common = {
    as: 65000,
    state: 'Established',
    established: true,
    since: '2026-11-21 16:21:00.575',
    last_error: 'Socket: refused',
    exported: 1,
  };
  const { neighbors } = speaker.status();
  t.deepEqual(neighbors, [
    { ...common, ip: '198.51.100.1', bfd: 'Up' },
    { ...common, ip: '198.51.100.2', bfd: 'none' },
  ]);
});

test('what failed last is told, and who is sent what', async (t) => {
  const { bird, clock, world, speaker } = setUp();
  await speaker.prepare();
  t.equal(speaker.status().last_error, null);
  await speaker.announce(['3.3.3.2', '3.3.3.3']);
  world.elsewhere.add('3.3.3.3');
  await speaker.withdraw(['3.3.3.3']);
  bird.held = '3.3.3.2';
  const to = ['198.51.100.1', '198.51.100.2'];
  t.deepEqual(await speaker.prefixes(), [
    { ip: '3.3.3.2', med: medAt(10), state: 'announced', sent_to: [] },
    { ip: '3.3.3.3', med: WORST_MED, state: 'leaving', sent_to: to },
  ]);
  const outcome = speaker.announce(['3.3.3.4']);
  await clock.advanceAsync(3000);
  await outcome;
  const told = speaker.status().last_error;
  t.equal(told?.message, '3.3.3.2 is not sent to 198.51.100.1');
  t.ok(Date.parse(told?.time ?? '') <= clock.now(), told?.time);
});

test('a session may go down while it is looked at', async (t) => {
  const { bird, speaker } = setUp();
  await speaker.prepare();
  const ask = bird.ask.bind(bird);
  bird.ask = async (command) => {
    if (!command.startsWith('show route export')) return ask(command);
    throw new Error('birdc: BIRD 2.0.12 ready.\nNo valid tables');
  };
  await speaker.look();
  const { answers, last_error, neighbors } = speaker.status();
  t.ok(answers, 'BIRD answers');
  t.equal(last_error, null);
  t.deepEqual([...new Set(neighbors.map((each) => each.exported))], [0]);
});

test('a BIRD that may not be asked is not started again', async (t) => {
  const { bird, clock, speaker } = setUp();
  await speaker.prepare();
  bird.ask = () => Promise.reject(new Error('birdc: Permission denied'));
  await speaker.look();
  await clock.advanceAsync(3000);
  t.deepEqual(bird.said, ['start']);
  const { answers, last_error, neighbors } = speaker.status();
  t.notOk(answers);
  t.equal(last_error?.message, 'birdc: Permission denied');
  t.notOk(neighbors.some(({ established }) => established));
  t.deepEqual(await speaker.prefixes(), []);
});

test('an end withdraws, waits, and ends BIRD; a hand-over does not', async (t) => {
  const { bird, clock, speaker } = setUp();
  await speaker.prepare();
  await speaker.announce(['3.3.3.2']);
  let left = false;
  const leaving = speaker.leave().then(() => {
    left = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advanceAsync(CONFIG.drain_ms - 1);
  t.deepEqual(bird.announced(), []);
  t.notOk(left, 'what comes is still translated');
  await clock.advanceAsync(1);
  await leaving;
  await speaker.close(true);
  t.notOk(bird.said.includes('down'));
  await speaker.close(false);
  t.ok(bird.said.includes('down'));
});

test('the kernel routes first, and what has no route stays silent', async (t) => {
  const { bird, speaker } = setUp();
  const order: string[] = [];
  const inner: Kernel = {
    prepare: async () => {},
    observe: async () => null,
    run: async (steps) => {
      order.push(bird.announced().join());
      return steps.map(({ kind, ip }) =>
        kind === 'route' && ip === '3.3.3.9' ? 'no route' : null,
      );
    },
    close: () => {},
  };
  const kernel = bgpKernel(inner, speaker);
  await kernel.prepare();
  const outcomes = await kernel.run([
    { kind: 'route', ip: '3.3.3.2' },
    { kind: 'route', ip: '3.3.3.9' },
    { kind: 'announce', ip: '3.3.3.2' },
    { kind: 'announce', ip: '3.3.3.9' },
  ]);
  t.deepEqual(outcomes, [null, 'no route', null, 'its route is not in place']);
  t.deepEqual(bird.announced(), [`3.3.3.2 ${medAt(10)}`]);
  await kernel.run([
    { kind: 'withdraw', ip: '3.3.3.2' },
    { kind: 'unroute', ip: '3.3.3.2' },
  ]);
  t.deepEqual(order, ['', ''], 'before the kernel, and after it');
});
