// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Admin routes that look into the running engine: stories and copies of
 * packets as they pass, and the story of a packet that is only thought of.
 */

import type { Clock } from '#lib/clock.js';
import { missingParameter, ServiceError } from '#lib/errors.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { Engine, QuestionDto, TapReadDto, TapSpecDto } from '../engine.js';
import { Fields, flowMatch, MATCH_FIELDS } from '../query.js';
import { HOT_MOST, type Hottest } from './hottest.js';
import { POINTS, pcapngHeader, pcapngPackets } from './pcapng.js';
import { tapReads } from './stream.js';

const DIRECTIONS = ['out', 'in'] as const;
const TAP_FIELDS = [
  ...MATCH_FIELDS,
  'direction',
  'drop',
  'count',
  'seconds',
] as const;
const SNAP_MAX = 65_535;
const COUNT_DEFAULT = 100;
const SECONDS_DEFAULT = 60;
const DAY_S = 86_400;
/** Bytes that the engine keeps between two reads. */
const STORY_ROOM = 1 << 20;
const COPY_ROOM = 8 << 20;

function tapSpec(fields: Fields, engine: Engine): TapSpecDto {
  const reasons = engine.drops().map((drop) => drop.name);
  return {
    filter: flowMatch(fields),
    direction: fields.word('direction', DIRECTIONS),
    drop: fields.word('drop', reasons),
    points: [],
    snap: SNAP_MAX,
    packets: fields.integer('count', 1, 2 ** 32 - 1) ?? COUNT_DEFAULT,
    lifetime_ms:
      (fields.integer('seconds', 1, DAY_S) ?? SECONDS_DEFAULT) * 1000,
    room: STORY_ROOM,
  };
}

/** Each story with the time of day, and a last line when some were lost. */
function storyLines(read: TapReadDto, clock: Clock): string {
  const offset = clock.now() - read.now_ms;
  const lines = Buffer.from(read.data)
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { time_ms, ...story } = JSON.parse(line) as { time_ms: number };
      const time = new Date(time_ms + offset).toISOString();
      return `${JSON.stringify({ time, ...story })}\n`;
    });
  if (read.done && read.lost > 0) lines.push(`{"lost":${read.lost}}\n`);
  return lines.join('');
}

function trace(engine: Engine, clock: Clock, request: Request): Reply {
  const fields = new Fields(request.query, TAP_FIELDS);
  const spec = tapSpec(fields, engine);
  fields.check();
  async function* lines(signal: AbortSignal) {
    for await (const read of tapReads(engine, clock, spec, signal)) {
      yield storyLines(read, clock);
    }
  }
  return {
    status: 200,
    stream: { type: 'application/x-ndjson', open: lines },
  };
}

function points(fields: Fields): TapSpecDto['points'] {
  const wanted = (fields.text('point') ?? 'drop').split(',');
  const known = POINTS.filter((point) => wanted.includes(point));
  if (known.length === 0 || known.length !== new Set(wanted).size) {
    fields.errors.push({
      field: 'point',
      code: 'Invalid',
      message: `must be some of ${POINTS.join(',')}`,
    });
  }
  return known;
}

function pcap(engine: Engine, clock: Clock, request: Request): Reply {
  const fields = new Fields(request.query, [...TAP_FIELDS, 'point', 'snap']);
  const spec: TapSpecDto = {
    ...tapSpec(fields, engine),
    points: points(fields),
    snap: fields.integer('snap', 1, SNAP_MAX) ?? SNAP_MAX,
    room: COPY_ROOM,
  };
  fields.check();
  async function* bytes(signal: AbortSignal) {
    yield pcapngHeader(spec.snap);
    const reasons = engine.drops();
    for await (const read of tapReads(engine, clock, spec, signal)) {
      yield pcapngPackets(read.data, clock.now() - read.now_ms, reasons);
    }
  }
  return {
    status: 200,
    stream: { type: 'application/x-pcapng', open: bytes },
  };
}

/** TCP flags in the letters of tcpdump, such as `SA`. */
function tcpFlags(fields: Fields): number {
  const text = fields.text('flags') ?? 'S';
  const letters = 'FSRPAUEW';
  const bits = [...text].map((letter) => letters.indexOf(letter));
  if (bits.includes(-1)) {
    fields.errors.push({
      field: 'flags',
      code: 'Invalid',
      message: `must be letters of ${letters}`,
    });
    return 0;
  }
  return bits.reduce((sum, bit) => sum | (1 << bit), 0);
}

function question(request: Request): QuestionDto {
  const fields = new Fields(request.query, [
    'vnet',
    'src',
    'dst',
    'sport',
    'dport',
    'proto',
    'flags',
    'icmp_type',
    'ttl',
    'size',
  ]);
  const vnet = fields.vnet('vnet');
  const proto = fields.integer('proto', 0, 255);
  const asked: QuestionDto = {
    direction: fields.text('vnet') === null ? 'in' : 'out',
    vnet: vnet ?? 0,
    src: fields.ip('src') ?? '',
    dst: fields.ip('dst') ?? '',
    sport: fields.integer('sport', 0, 65_535) ?? 0,
    dport: fields.integer('dport', 0, 65_535) ?? 0,
    proto: proto ?? 0,
    tcp_flags: tcpFlags(fields),
    icmp_type: fields.integer('icmp_type', 0, 255) ?? (vnet === null ? 0 : 8),
    ttl: fields.integer('ttl', 0, 255) ?? 64,
    size: fields.integer('size', 20, 9000) ?? 64,
  };
  for (const name of ['src', 'dst', 'proto']) {
    if (fields.text(name) === null) fields.errors.push(missingParameter(name));
  }
  fields.check();
  return asked;
}

async function explain(engine: Engine, request: Request): Promise<Reply> {
  const asked = question(request);
  let answer: string;
  try {
    answer = await engine.explain(asked);
  } catch (error) {
    if ((error as { code?: string }).code !== 'InvalidValue') throw error;
    throw new ServiceError(422, {
      code: 'InvalidParameters',
      message: (error as Error).message,
    });
  }
  // The clock and the number of a packet that never was mean nothing.
  const { time_ms, packet, ...story } = JSON.parse(answer);
  return { status: 200, body: story };
}

const HOT_DEFAULT = 10;

async function hot(hottest: Hottest, request: Request): Promise<Reply> {
  const fields = new Fields(request.query, ['most']);
  const most = fields.integer('most', 1, HOT_MOST) ?? HOT_DEFAULT;
  fields.check();
  return { status: 200, body: await hottest.list(most) };
}

/** Routes over an engine; `hottest` is shared with others. */
export function lookRoutes(
  engine: Engine,
  clock: Clock,
  hottest: Hottest,
): Route[] {
  const get = (name: string, handler: Route['handler']): Route => ({
    method: 'GET',
    path: `/${name}`,
    name,
    handler,
  });
  return [
    get('trace', (request) => trace(engine, clock, request)),
    get('pcap', (request) => pcap(engine, clock, request)),
    get('counts', async () => ({ status: 200, body: await engine.counts() })),
    get('hot', (request) => hot(hottest, request)),
    get('explain', (request) => explain(engine, request)),
  ];
}
