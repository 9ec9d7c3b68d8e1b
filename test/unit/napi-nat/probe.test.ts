// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The probe is not what a BFD reflector understands, or anything passes. */

import { createSocket } from 'node:dgram';
import test from 'tape';
import { systemClock } from '#lib/clock.js';
import { silentLogger } from '#lib/service/log.js';
import {
  checksum,
  decodeReflection,
  encodeProbe,
  PROBE_LENGTH,
} from '../../../services/napi-nat/probe/packet.js';
import { createProber } from '../../../services/napi-nat/probe/prober.js';

const VNET = 16777215;
const ID = { session: 0xa1b2c3d4, sequence: 7 };

/** What the engine does: all pairs swapped, state Up. */
function reflect(probe: Buffer): Buffer {
  const reply = Buffer.from(probe);
  const swap = (a: number, b: number, length: number) => {
    probe.copy(reply, a, b, b + length);
    probe.copy(reply, b, a, a + length);
  };
  swap(8, 14, 6);
  swap(34, 38, 4);
  swap(42, 44, 2);
  swap(54, 58, 4);
  reply.writeUInt8((3 << 6) | ((probe[51] as number) & 0x3f), 51);
  return reply;
}

test('the probe, byte by byte', (t) => {
  const probe = encodeProbe(VNET, ID, 50000, 100_000);
  t.equal(
    probe.toString('hex'),
    [
      '08000000ffffff00',
      '0200000000020200000000010800',
      '4500003400004000ff117db57f0000017f000002',
      'c3501e6800200000',
      '20420318a1b2c3d400000007000186a00000000000000000',
    ].join(''),
  );
  t.equal(probe.length, PROBE_LENGTH);
  t.equal(checksum(probe.subarray(22, 42)), 0, 'the IPv4 header sums up');
  t.end();
});

test('a reflection answers its own probe and nothing else', (t) => {
  const reply = reflect(encodeProbe(VNET, ID, 50000, 100_000));
  t.equal(decodeReflection(reply, VNET, ID.session), 7);
  t.equal(decodeReflection(reply, VNET, ID.session + 1), null, 'session');
  t.equal(decodeReflection(reply, 1, ID.session), null, 'vnet');
  const own = encodeProbe(VNET, ID, 50000, 100_000);
  t.equal(decodeReflection(own, VNET, ID.session), null, 'our own packet');
  for (let n = 0; n < reply.length; n++) {
    const part = reply.subarray(0, n);
    if (decodeReflection(part, VNET, ID.session) !== null) t.fail(`${n} bytes`);
  }
  const admin = Buffer.from(reply);
  admin.writeUInt8(0x02, 51);
  t.equal(decodeReflection(admin, VNET, ID.session), null, 'AdminDown');
  t.end();
});

test('a reflector that dies is missed; a living one is answered', async (t) => {
  const reflector = createSocket('udp4');
  reflector.on('message', (packet, from) => {
    reflector.send(reflect(packet), from.port, from.address);
  });
  await new Promise<void>((done) => reflector.bind(0, '127.0.0.1', done));
  const seen: string[] = [];
  let wake = () => {};
  const until = async (what: string, count: number) => {
    const enough = () => seen.filter((each) => each === what).length >= count;
    while (!enough()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const note = (what: string) => {
    seen.push(what);
    wake();
  };
  const keepAlive = setTimeout(() => {}, 30_000);
  const prober = createProber({
    clock: systemClock(),
    log: silentLogger(),
    random: Math.random,
    vnet: VNET,
    interval_ms: 20,
    misses: 3,
    bind: '127.0.0.1',
    answered: (zone) => note(`ok ${zone}`),
    missed: (zone) => note(`miss ${zone}`),
  });
  const { port } = reflector.address();
  prober.setTargets([{ zone: 'a', ip: '127.0.0.1', port }]);
  await prober.start();
  await until('ok a', 3);
  reflector.close();
  await until('miss a', 3);
  t.ok(seen.lastIndexOf('ok a') < seen.lastIndexOf('miss a'));
  prober.stop();
  clearTimeout(keepAlive);
});
