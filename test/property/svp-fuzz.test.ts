// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: bytes from anybody on the network that crash the SVP
 * server, make it hold memory, or pass as something else than was sent.
 * Random damage to valid streams, cut at random; `FUZZ_MS` for longer runs,
 * `SEED` to repeat one.
 */

import test from 'tape';
import { ipv4 } from '#lib/net/ipv4.js';
import { mac } from '#lib/net/mac.js';
import { decodeMessage, encodeMessage } from '#lib/svp/codec.js';
import { createFramer } from '#lib/svp/framer.js';
import {
  type LogRecord,
  SVP_HEADER_BYTES,
  type SvpMessage,
  SvpProtocolError,
} from '#lib/svp/messages.js';
import { type Rng, seededRng, seedOfRun } from '#test/rng.js';

const MAX_BODY = 2048;
const budget = Number(process.env['FUZZ_MS'] ?? 1500);
const seed = seedOfRun();

function uuid(rng: Rng): string {
  const hex = Array.from({ length: 32 }, () => rng.below(16).toString(16));
  return hex
    .join('')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function record(rng: Rng): LogRecord {
  const id = uuid(rng);
  const vnet = rng.below(1 << 24);
  if (rng.below(2) === 0) {
    return { type: 'vl2', id, mac: mac(rng.below(2 ** 32)), vnet };
  }
  const ip = ipv4(rng.below(2 ** 32));
  return { type: 'vl3', id, ip, vlan: rng.below(4095), vnet };
}

function message(rng: Rng): SvpMessage {
  const ip = ipv4(rng.below(2 ** 32));
  const address = mac(rng.below(2 ** 32));
  const vnet = rng.below(1 << 24);
  const many = rng.below(20);
  const all: SvpMessage[] = [
    { op: 'ping' },
    { op: 'vl2_req', mac: address, vnet },
    { op: 'vl3_req', ip, l3type: 1 + rng.below(2), vnet },
    { op: 'vl3_ack', status: 0, mac: address, ip, port: rng.below(65_536) },
    { op: 'log_req', count: rng.below(2000), ip },
    { op: 'log_rm', ids: Array.from({ length: many }, () => uuid(rng)) },
    {
      op: 'log_ack',
      status: 0,
      records: Array.from({ length: many }, () => record(rng)),
    },
  ];
  return all[rng.below(all.length)] as SvpMessage;
}

/** Flips, cuts, repeats or inserts */
function damage(rng: Rng, bytes: Buffer): Buffer {
  const at = rng.below(bytes.length);
  const n = 1 + rng.below(40);
  switch (rng.below(4)) {
    case 0: {
      const copy = Buffer.from(bytes);
      copy.writeUInt8(copy.readUInt8(at) ^ (1 << rng.below(8)), at);
      return copy;
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + n)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at + n), bytes.subarray(at)]);
    default: {
      const noise = Buffer.from(
        Array.from({ length: n }, () => rng.below(256)),
      );
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    }
  }
}

/** The same text for the same message, whatever the order of its fields. */
function text(one: SvpMessage): string {
  return JSON.stringify(Object.entries(one).sort());
}

/** Feeds a stream in random pieces. */
function feed(rng: Rng, stream: Buffer) {
  const framer = createFramer(MAX_BODY);
  const seen: SvpMessage[] = [];
  let most = 0;
  let problem: SvpProtocolError | null = null;
  try {
    for (let at = 0; at < stream.length; ) {
      const piece = stream.subarray(at, at + 1 + rng.below(300));
      at += piece.length;
      const frames = framer.push(piece);
      most = Math.max(most, framer.pending());
      for (const frame of frames) seen.push(decodeMessage(frame));
    }
  } catch (error) {
    if (!(error instanceof SvpProtocolError)) throw error;
    problem = error;
  }
  return { seen, most, problem };
}

test(`damaged streams, seed ${seed}`, (t) => {
  const rng = seededRng(seed);
  const end = performance.now() + budget;
  let rounds = 0;
  let refused = 0;
  for (; performance.now() < end; rounds++) {
    const sent = Array.from({ length: 1 + rng.below(8) }, () => message(rng));
    const stream = Buffer.concat(
      sent.map((one) => encodeMessage(1 + rng.below(2 ** 31 - 1), one)),
    );
    const whole = feed(rng, stream);
    if (whole.problem || `${whole.seen.map(text)}` !== `${sent.map(text)}`) {
      t.fail(`a valid stream was not read: ${JSON.stringify(sent)}`);
      break;
    }
    const hurt = feed(rng, damage(rng, stream));
    if (hurt.problem) refused++;
    if (Math.max(hurt.most, whole.most) >= MAX_BODY + SVP_HEADER_BYTES) {
      t.fail(`held ${hurt.most} bytes`);
      break;
    }
    // Whatever is read of a damaged stream is something that was sent.
    const known = new Set(sent.map(text));
    const forged = hurt.seen.find((one) => !known.has(text(one)));
    if (forged) {
      t.fail(`read what nobody sent: ${JSON.stringify(forged)}`);
      break;
    }
  }
  t.ok(rounds > 10, `${rounds} streams`);
  t.ok(refused > 0, `${refused} refused`);
  t.end();
});
