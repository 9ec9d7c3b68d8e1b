// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a node that keeps sending to where a MAC was, or that
 * forgets a mapping because nobody answered.
 */

import test from 'tape';
import { ipv4 } from '#lib/net/ipv4.js';
import { mac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import { SvpUnavailableError } from '#lib/svp/client.js';
import type { Vl3Answer } from '#lib/svp/messages.js';
import { parseMapping } from '../../../services/svp-agent/feed.js';
import {
  parseFdb,
  parseMiss,
  parseNeighbours,
  parseVxlan,
} from '../../../services/svp-agent/output.js';
import { createVnet } from '../../../services/svp-agent/vnet.js';

const OWN = ipv4(0xc0a80c01);
const A = ipv4(0xc0a80c02);
const B = ipv4(0xc0a80c03);
const IP = ipv4(0x0a04050a);
const MAC = mac(0x90b8d0000001);
const OTHER = mac(0x90b8d0000002);
const at = (ip = A) => ({ ip, port: 4789 });

/** A vnet whose SVP answers are given by hand, and a kernel that notes. */
function scene() {
  const kernel: string[] = [];
  const announced: string[] = [];
  const questions: {
    answer: (to: Vl3Answer) => void;
    fail: () => void;
  }[] = [];
  let now = 0;
  const ask = () =>
    new Promise<Vl3Answer>((resolve, reject) => {
      const fail = () => reject(new SvpUnavailableError('nobody'));
      questions.push({ answer: resolve, fail });
    });
  const vnet = createVnet({
    vnet: 7,
    svp: { vl2: ask, vl3: ask },
    tables: {
      setNeighbour: (ip, to) => kernel.push(`neigh ${ip} ${to}`),
      removeNeighbour: (ip) => kernel.push(`neigh ${ip} gone`),
      setEndpoint: (of, to) => kernel.push(`fdb ${of} ${to.ip}`),
      removeEndpoint: (of) => kernel.push(`fdb ${of} gone`),
    },
    underlayIp: OWN,
    clock: {
      now: () => now,
      monotonic: () => now,
      after: () => ({ cancel() {} }),
      every: () => ({ cancel() {} }),
    },
    log: silentLogger(),
    announce: (ip, to) => announced.push(`${ip} ${to}`),
  });
  return {
    vnet,
    announced,
    questions,
    wait: (ms: number) => {
      now += ms;
    },
    /** What the kernel was told since the last look. */
    told: () => kernel.splice(0),
    async answer(to: Vl3Answer) {
      questions.shift()?.answer(to);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('a miss sets the endpoint before the neighbour, once', async (t) => {
  const s = scene();
  void s.vnet.missIp(IP);
  void s.vnet.missIp(IP);
  t.equal(s.questions.length, 1, 'asked once');
  await s.answer({ ...at(), mac: MAC });
  t.deepEqual(s.told(), [`fdb ${MAC} ${A}`, `neigh ${IP} ${MAC}`]);
  t.deepEqual(s.announced, [`${IP} ${MAC}`], 'who asked need not ask again');
});

test('not found is believed for a second, and no longer', async (t) => {
  const s = scene();
  void s.vnet.missIp(IP);
  await s.answer(null);
  void s.vnet.missIp(IP);
  t.equal(s.questions.length, 0);
  s.wait(1001);
  void s.vnet.missIp(IP);
  t.equal(s.questions.length, 1);
  await s.answer(null);
  await s.vnet.shootIp(IP);
  void s.vnet.missIp(IP);
  t.equal(s.questions.length, 1, 'a shootdown ends it early');
});

test('a shootdown replaces the endpoint, without a gap', async (t) => {
  const s = scene();
  void s.vnet.missIp(IP);
  await s.answer({ ...at(), mac: MAC });
  s.told();
  const done = s.vnet.shootMac(MAC);
  t.deepEqual(s.told(), [], 'the old way serves until the answer');
  await s.answer({ ...at(B), mac: MAC });
  await done;
  t.deepEqual(s.told(), [`fdb ${MAC} ${B}`]);
  const gone = s.vnet.shootMac(MAC);
  await s.answer(null);
  await gone;
  t.deepEqual(s.told(), [`fdb ${MAC} gone`, `neigh ${IP} gone`]);
});

test('a shootdown that nobody answered is not done', async (t) => {
  const s = scene();
  void s.vnet.missIp(IP);
  await s.answer({ ...at(), mac: MAC });
  s.told();
  const done = s.vnet.shootMac(MAC);
  s.questions.shift()?.fail();
  try {
    await done;
    t.fail('must reject, so that the record stays in the log');
  } catch (error) {
    t.ok(error instanceof SvpUnavailableError);
  }
  t.deepEqual(s.told(), [], 'what is known stays');
});

test('an answer from before a shootdown is asked for again', async (t) => {
  const s = scene();
  void s.vnet.missIp(IP);
  await s.vnet.shootMac(MAC);
  await s.answer({ ...at(A), mac: MAC });
  t.deepEqual(s.told(), [], 'the old answer is not used');
  await s.answer({ ...at(B), mac: MAC });
  t.deepEqual(s.told(), [`fdb ${MAC} ${B}`, `neigh ${IP} ${MAC}`]);
});

test('a shootdown of another address does not delay an answer', async (t) => {
  const s = scene();
  void s.vnet.missIp(IP);
  await s.vnet.shootMac(OTHER);
  await s.vnet.shootIp(ipv4(9));
  await s.answer({ ...at(A), mac: MAC });
  t.deepEqual(s.told(), [`fdb ${MAC} ${A}`, `neigh ${IP} ${MAC}`]);
});

test('an event changes what is known and adds nothing', async (t) => {
  const s = scene();
  s.vnet.changed(IP, { ...at(), mac: MAC });
  t.deepEqual(s.told(), [], 'nobody here asked for it');
  void s.vnet.missIp(IP);
  await s.answer({ ...at(), mac: MAC });
  s.told();
  s.announced.length = 0;
  s.vnet.changed(IP, { ...at(B), mac: MAC });
  t.deepEqual(s.told(), [`fdb ${MAC} ${B}`], 'a moved router');
  s.vnet.changed(IP, { ...at(A), mac: OTHER });
  t.deepEqual(s.told(), [`fdb ${OTHER} ${A}`, `neigh ${IP} ${OTHER}`]);
  t.deepEqual(s.announced, [`${IP} ${OTHER}`], 'the instances are told');
  s.vnet.changed(IP, null);
  t.deepEqual(s.told(), [`neigh ${IP} gone`]);
});

test('a MAC on this node gets no endpoint', async (t) => {
  const s = scene();
  void s.vnet.missIp(IP);
  await s.answer({ ...at(OWN), mac: MAC });
  t.deepEqual(s.told(), [`neigh ${IP} ${MAC}`]);
  const moved = s.vnet.shootMac(MAC);
  await s.answer({ ...at(B), mac: MAC });
  await moved;
  t.deepEqual(s.told(), [`fdb ${MAC} ${B}`], 'it migrated away');
  const back = s.vnet.shootMac(MAC);
  await s.answer({ ...at(OWN), mac: MAC });
  await back;
  t.deepEqual(s.told(), [`fdb ${MAC} gone`], 'and came back');
});

test('entries of a device that is taken over are asked about', async (t) => {
  const s = scene();
  s.vnet.adopt([[IP, MAC]], [[MAC, at()]]);
  const all = s.vnet.refresh();
  await s.answer({ ...at(B), mac: MAC });
  t.equal(s.questions.length, 1, 'the IP, then the MAC');
  await s.answer({ ...at(B), mac: MAC });
  await all;
  t.deepEqual(s.told(), [`fdb ${MAC} ${B}`]);
});

test('lines of ip monitor are read, IPv6 and others are not', (t) => {
  t.deepEqual(parseMiss('miss 10.4.5.10 dev vx1 STALE '), {
    device: 'vx1',
    ip: IP,
  });
  t.deepEqual(parseMiss('miss dev vx1 lladdr 90:b8:d0:00:00:01 STALE'), {
    device: 'vx1',
    mac: MAC,
  });
  for (const line of [
    'miss fe80::1 dev vx1 STALE',
    '10.4.5.10 dev vx1 lladdr 90:b8:d0:00:00:01 PERMANENT',
    'Deleted 10.4.5.10 dev vx1 STALE',
    '',
  ]) {
    t.equal(parseMiss(line), null, line);
  }
  t.end();
});

test('what ip and bridge print as JSON is read', (t) => {
  const mac1 = '90:b8:d0:00:00:01';
  t.deepEqual(
    parseNeighbours(
      `[{"dst":"10.4.5.10","lladdr":"${mac1}"},{"dst":"fe80::1"}]`,
    ),
    [[IP, MAC]],
  );
  t.deepEqual(
    parseFdb(
      `[{"mac":"${mac1}","dst":"192.168.12.2","port":4790},{"mac":"${mac1}"}]`,
    ),
    [[MAC, A, 4790]],
  );
  t.deepEqual(parseNeighbours(''), []);
  t.equal(parseVxlan('[{"linkinfo":{"info_kind":"veth"}}]'), null);
  t.end();
});

test('events that are not mappings are ignored', (t) => {
  const object = {
    vnet_id: 7,
    ip: '10.4.5.10',
    mac: '90:b8:d0:00:00:01',
    cn_uuid: 'x',
    ul3_ip: '192.168.12.2',
    ul3_port: 4789,
  };
  const item = { resource: 'ul3_mapping', id: '7,10.4.5.10', object };
  t.deepEqual(parseMapping(item), {
    vnet: 7,
    ip: IP,
    to: { ...at(), mac: MAC },
  });
  t.deepEqual(parseMapping({ ...item, object: null }), {
    vnet: 7,
    ip: IP,
    to: null,
  });
  for (const bad of [
    { ...item, resource: 'nic' },
    { ...item, id: '7' },
    { ...item, id: '99999999,10.4.5.10' },
    { ...item, object: { ...object, ul3_ip: null } },
  ]) {
    t.equal(parseMapping(bad), null);
  }
  t.end();
});
