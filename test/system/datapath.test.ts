// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The data path on real packets: kernel VXLAN devices as compute nodes, the
 * engine between a VXLAN socket and a TUN device, a host on the Internet that
 * says which address it saw. Needs root and network namespaces.
 */

import test, { type Test } from 'tape';
import { until } from '#test/until.js';
import {
  A,
  AIP,
  B,
  Cloud,
  INTERNET,
  VNET1_PUBLIC,
  VNET2_PUBLIC,
} from './lab/cloud.js';
import type { Gateway } from './lab/gateway-client.js';
import { ROUTER, remote, rule } from './lab/operations.js';

const lab = new Cloud('vxdp');
const root = process.getuid?.() === 0;

let gateway: Gateway;

function seen(address: string | undefined): string | undefined {
  return address?.replace('::ffff:', '').split(':')[0];
}

function ping(t: Test, from: string, args: string, status: number): string {
  const done = lab.run(from, 'ping', '-W', '3', ...args.split(' '));
  t.equal(done.status, status, `ping ${args} from ${from}: status ${status}`);
  if (done.status !== status) t.comment(done.text);
  return done.text;
}

test('set up', { skip: !root && 'needs root' }, async (t) => {
  lab.up();
  await lab.serve('inet');
  gateway = await lab.open({ underlay_interface: 'br0' });
  gateway.onEvent = (event) => {
    if (event.event === 'log') t.comment(`${event.level}: ${event.message}`);
    // What SVP would answer: where b lives was not told beforehand.
    if (event.event === 'remote_miss' && event.vnet === B.vnet) {
      void gateway.apply([remote(B)]);
    }
  };
  t.pass('all operations hold');
});

/** Each of these needs what `set up` made. */
function datapath(name: string, run: (t: Test) => Promise<void> | void): void {
  test(name, { skip: !root && 'needs root' }, async (t) => {
    await run(t);
  });
}

datapath('an instance reaches the Internet by TCP', async (t) => {
  const answer = await lab.peer('a', 'tcp', INTERNET, '300000');
  t.equal(answer.error, undefined, 'no error');
  t.equal(seen(answer.seen), VNET1_PUBLIC, 'by its public IP');
  t.equal(answer.bytes, 300_000, 'every byte comes back');
});

datapath('an instance reaches the Internet by UDP', async (t) => {
  const answer = await lab.peer('a', 'udp', INTERNET, '100');
  t.equal(seen(answer.seen), VNET1_PUBLIC, 'by its public IP');
  const large = await lab.peer('a', 'udp', INTERNET, '5000');
  t.equal(seen(large.seen), VNET1_PUBLIC, 'in fragments too');
});

datapath('vnets with equal addresses do not meet', async (t) => {
  const answers = await Promise.all(
    [A, B, A, B].map(({ name }) => lab.peer(name, 'tcp', INTERNET, '50000')),
  );
  const addresses = answers.map((answer) => seen(answer.seen));
  const [one, two] = [VNET1_PUBLIC, VNET2_PUBLIC];
  t.deepEqual(addresses, [one, two, one, two], 'each by its own public IP');
  t.deepEqual(
    answers.map((answer) => answer.error),
    [undefined, undefined, undefined, undefined],
    'each with its own bytes',
  );
});

datapath('a miss is reported once answered and then served', (t) => {
  const misses = gateway.events.filter((e) => e.event === 'remote_miss');
  t.ok(
    misses.some((e) => e.event === 'remote_miss' && e.ip === B.ip),
    'the miss for b was an event',
  );
  t.ok(misses.length < 10, 'and not one for each packet');
});

datapath('ping passes, small, large and to the router', (t) => {
  ping(t, 'a', `-c 2 -i 0.2 ${INTERNET}`, 0);
  ping(t, 'a', `-c 2 -i 0.2 -s 8000 ${INTERNET}`, 0);
  ping(t, 'a', '-c 1 10.4.4.1', 0);
});

datapath('an AIP works in both directions', async (t) => {
  const out = await lab.peer('c', 'tcp', INTERNET, '100000');
  t.equal(seen(out.seen), AIP, 'the instance leaves by its AIP');
  await lab.serve('c');
  const back = await lab.peer('inet', 'tcp', AIP, '100000');
  t.equal(seen(back.seen), INTERNET, 'the instance sees the client itself');
  t.equal(back.error, undefined, 'every byte comes back');
  const udp = await lab.peer('inet', 'udp', AIP, '3000');
  t.equal(seen(udp.seen), INTERNET, 'by UDP in fragments too');
  ping(t, 'inet', `-c 1 ${AIP}`, 0);
});

datapath('an AIP is reached from another vnet and from its own', async (t) => {
  const other = await lab.peer('b', 'tcp', AIP, '100000');
  t.equal(seen(other.seen), VNET2_PUBLIC, 'from vnet 2 by its public IP');
  t.equal(other.error, undefined, 'every byte comes back');
  const own = await lab.peer('a', 'tcp', AIP, '20000');
  t.equal(seen(own.seen), VNET1_PUBLIC, 'from vnet 1 by its public IP');
});

datapath('nothing reaches an instance behind SNAT unasked', async (t) => {
  ping(t, 'inet', `-c 1 -W 1 ${VNET1_PUBLIC}`, 1);
  t.ok((await gateway.drops()).length > 0, 'and the drop is counted');
});

datapath('traceroute sees the router first', (t) => {
  const first = ping(t, 'a', `-c 1 -t 1 ${INTERNET}`, 1);
  t.match(first, /10\.4\.4\.1.*Time to live exceeded/i, 'hop 1 is the router');
  const second = ping(t, 'a', `-c 1 -t 2 ${INTERNET}`, 1);
  t.match(second, /Time to live exceeded/i, 'hop 2 answers');
  ping(t, 'a', `-c 1 -t 3 ${INTERNET}`, 0);
});

datapath('path MTU is discovered from outside', (t) => {
  const large = ping(t, 'inet', `-c 1 -M do -s 1423 ${AIP}`, 1);
  t.match(large, /mtu ?= ?1450/i, 'too big by one: told the MTU');
  ping(t, 'inet', `-c 1 -M dont -s 1472 ${AIP}`, 0);
  // The kernel of inet has learnt the MTU, and fragments by itself.
  lab.run('inet', 'ip', 'route', 'flush', 'cache');
  ping(t, 'inet', `-c 1 -M do -s 1422 ${AIP}`, 0);
});

datapath('a thousand rule changes lose no packet of others', async (t) => {
  // Hosts also send IPv6 of their own accord, at any time.
  const drops = async () =>
    (await gateway.drops()).filter(({ name }) => name !== 'InnerEthertype');
  const before = await drops();
  const transfers = Promise.all([
    lab.peer('a', 'tcp', INTERNET, '4000000'),
    lab.peer('inet', 'tcp', AIP, '4000000'),
  ]);
  let running = true;
  const over = transfers.finally(() => {
    running = false;
  });
  let changes = 0;
  for (; running || changes < 1000; changes += 2) {
    const other = { vnet: 9, prefix: ROUTER.prefix };
    await gateway.must([rule(9, '3.3.3.9')]);
    await gateway.must([{ op: 'remove_rule', ...other }]);
  }
  t.comment(`${changes} changes`);
  for (const { error, bytes } of await over) {
    t.equal(error, undefined, 'every byte comes back');
    t.equal(bytes, 4_000_000, 'and no more');
  }
  t.deepEqual(await drops(), before, 'nothing was dropped');
});

datapath('flows and counters tell what happened', async (t) => {
  const { flows } = await gateway.flows();
  t.ok(flows.length > 0, 'there are flows');
  t.deepEqual(
    [...new Set(flows.map((flow) => `${flow.vnet} ${flow.public_ip}`))].sort(),
    [`1 ${VNET1_PUBLIC}`, `2 ${VNET2_PUBLIC}`],
    'each vnet has flows by its own public IP, the AIP none',
  );
  const stats = await gateway.stats();
  t.ok(stats.rx_underlay_packets > 0 && stats.tx_external_packets > 0);
  for (const drop of await gateway.drops()) {
    t.comment(`drop ${drop.name}: ${drop.count}`);
  }
});

datapath('a flood through SNAT gets through', async (t) => {
  const seconds = process.env['VXLNAT_FLOOD_SECONDS'] ?? '1';
  const out = await lab.peer('a', 'flood', INTERNET, seconds);
  t.ok((out.bytes ?? 0) > 1_000_000, 'outbound');
  const back = await lab.peer('inet', 'flood', AIP, seconds);
  t.ok((back.bytes ?? 0) > 1_000_000, 'inbound');
  const rate = (a: typeof out) =>
    (((a.bytes ?? 0) * 8) / (a.seconds ?? 1) / 1e9).toFixed(2);
  t.comment(`TCP out ${rate(out)} Gbit/s, in ${rate(back)} Gbit/s`);
});

datapath('an ARP announcement takes an address over', async (t) => {
  const taken = '198.51.100.77';
  const stale = '02:00:00:00:00:77';
  lab.ip('inet', `neigh replace ${taken} lladdr ${stale} dev e0 nud stale`);
  await gateway.announce('e1', taken);
  const neighbour = () => lab.run('inet', 'ip', 'neigh', 'show', taken).text;
  const link = lab.run('gw', 'cat', '/sys/class/net/e1/address').text.trim();
  await until('the new MAC', () => neighbour().includes(link));
  t.pass('the neighbour has the new MAC');
  const refused = async (name: string) =>
    gateway.announce(name, taken).then(String, String);
  t.match(await refused('nosuch0'), /nosuch0 does not exist/);
  t.match(await refused('vxn0'), /vxn0 is not an Ethernet interface/);
});

datapath('nothing has left with a private address', (t) => {
  t.equal(lab.leaked('inet'), 0, 'as seen on the wire outside');
  lab.ip('gw', 'addr add 10.9.9.9/32 dev lo');
  lab.run(
    'gw',
    'ping',
    '-c',
    '2',
    '-i',
    '0.2',
    '-W',
    '1',
    '-I',
    '10.9.9.9',
    INTERNET,
  );
  t.equal(lab.leaked('inet'), 2, 'where it would have been seen');
});

datapath('closing removes the TUN device', async (t) => {
  await gateway.close();
  const shown = lab.run('gw', 'ip', 'link', 'show', 'vxn0');
  t.notEqual(shown.status, 0, 'no device is left');
});

test.onFinish(() => {
  if (root) lab.down();
});

process.on('SIGTERM', () => {
  lab.down();
  process.exit(1);
});
