// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The paths that pass the kernel's stack by, on real packets: AF_XDP lanes
 * alone, and with the XDP program, over links of two queues whose senders
 * leave their checksums undone (the default of a virtual link). What is the
 * host's own stays the host's. A killed engine leaves its program in place,
 * flows go on without it, and its successor takes them over.
 */

import test, { type Test } from 'tape';
import type { IoOptions } from '#native/index.js';
import { Edge, FIXED, GATEWAY, SERVER, SNAT } from './lab/edge.js';

let lab: Edge;

/** A datacenter whose links carry more than a page. */
function jumbo(): void {
  for (const [name, device] of [
    ['cn', 'und0'],
    ['gw', 'und0'],
    ['gw', 'ext0'],
    ['wan', 'wan0'],
  ] as const) {
    lab.ip(name, `link set ${device} mtu 9000`);
  }
  lab.ip('cn', 'link set vx1 mtu 8946');
}

async function open(io: IoOptions, config: { inner_mtu?: number } = {}) {
  const pins = `${lab.mountPins()}/zone`;
  return lab.open({ pins, ...io }, config);
}

/** Where an operator has set the neighbours, nobody may unset them. */
function setNeighbours(): void {
  for (const [name, device, ip] of [
    ['cn', 'und0', '192.168.12.1'],
    ['wan', 'wan0', '203.0.113.1'],
  ] as const) {
    const { text } = lab.run(name, 'cat', `/sys/class/net/${device}/address`);
    const ours = device === 'und0' ? 'und0' : 'ext0';
    const at = `${ip} lladdr ${text.trim()} dev ${ours}`;
    lab.ip('gw', `neigh replace ${at} nud permanent`);
  }
}

function ping(t: Test, at: string, args: string, what: string): void {
  const done = lab.run(at, 'ping', '-W', '3', '-i', '0.1', ...args.split(' '));
  t.equal(done.status, 0, what);
  if (done.status !== 0) t.comment(done.text);
}

/** What must work by any path, twice: the first packets and those after. */
async function passes(t: Test): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const tcp = await lab.peer('cn', 'tcp', SERVER, '300000');
    t.equal(tcp.error, undefined, 'TCP with unfinished checksums');
    t.equal(tcp.bytes, 300_000, 'every byte comes back');
    t.ok(tcp.seen?.includes(SNAT.public), 'by the public IP');
  }
  const udp = await lab.peer('cn', 'udp', SERVER, '5000');
  t.ok(udp.seen?.includes(SNAT.public), 'UDP in fragments');
  ping(t, 'cn', `-c 3 -I ${FIXED.private} ${SERVER}`, 'a 1:1 address outwards');
  ping(t, 'wan', `-c 3 -I ${SERVER} ${FIXED.public}`, 'and inwards');
  ping(
    t,
    'wan',
    `-c 2 ${GATEWAY.external}`,
    'the host itself is reached, by ARP too',
  );
  ping(t, 'cn', `-c 2 ${GATEWAY.ul3}`, 'on the underlay as well');
  for (const [from, to] of [
    ['wan', GATEWAY.external],
    ['cn', GATEWAY.ul3],
  ] as const) {
    const own = await lab.peer(from, 'tcp', to, '100000');
    t.equal(own.bytes, 100_000, `the host's own TCP, from ${from}`);
  }
  t.equal(lab.leaked('wan'), 0, 'nothing left with a private address');
}

function xdp(name: string, run: (t: Test) => Promise<void>): void {
  const skip = process.getuid?.() !== 0 && 'needs root';
  test(name, { skip }, async (t) => {
    lab = new Edge(t, 'vxx', { queues: 2, checksums: true });
    lab.publicVia('gateway');
    for (const each of ['wan', 'gw']) await lab.serve(each);
    await run(t);
  });
}

xdp('AF_XDP lanes translate everything by set neighbours', async (t) => {
  setNeighbours();
  const gateway = await open({ kind: 'af_xdp' });
  const status = await gateway.attach();
  t.equal(status.path, 'af_xdp', status.why ?? 'attached');
  t.equal(status.lanes, 2, 'a lane for each queue');
  await passes(t);
  const io = await gateway.io();
  t.ok(io.rx_packets > 400 && io.tx_packets > 400, 'by the lanes');
  t.equal(io.fast_out + io.fast_in, 0, 'nothing in the kernel');
  const set = lab.run('gw', 'ip', 'neigh', 'show', 'nud', 'permanent').text;
  t.match(set, /192\.168\.12\.1 /, 'a set neighbour stays set');
  t.match(set, /203\.0\.113\.1 /, 'outside too');
  await gateway.close();
  t.equal(lab.attached('gw'), 0, 'nothing is left attached');
});

xdp('a killed engine leaves flows that its successor takes over', async (t) => {
  lab.farEndsTakeXdp();
  const first = await open({ kind: 'xdp' });
  const status = await first.attach();
  t.equal(status.path, 'xdp', status.why ?? 'attached');
  await passes(t);
  const io = await first.io();
  t.ok(io.fast_out > 0 && io.fast_in > 0, 'the kernel translates');
  const before = (await first.flows()).flows;
  await first.kill();
  t.equal(lab.attached('gw'), 2, 'the program is still there');
  ping(
    t,
    'wan',
    `-c 3 -I ${SERVER} ${FIXED.public}`,
    'and translates without us',
  );
  const second = await open({ kind: 'xdp' });
  const taken = await second.attach();
  t.ok(taken.flows_taken_over > 0, 'flows were taken over');
  const key = (flow: (typeof before)[number]) =>
    `${flow.proto} ${flow.private_ip}:${flow.private_port} ${flow.public_port}`;
  const after = new Set((await second.flows()).flows.map(key));
  t.ok(
    before.map(key).some((each) => after.has(each)),
    'with their ports',
  );
  await passes(t);
  await second.close();
  t.equal(lab.attached('gw'), 0, 'a clean end leaves nothing');
});

xdp('a fenced zone translates nothing, nor does its program', async (t) => {
  lab.farEndsTakeXdp();
  const gateway = await open({ kind: 'xdp' });
  const status = await gateway.attach();
  t.equal(status.path, 'xdp', status.why ?? 'attached');
  await passes(t);
  const before = await gateway.io();
  t.ok(before.fast_out > 0 && before.fast_in > 0, 'the kernel translates');
  const own = GATEWAY.ul3;
  await gateway.apply([{ op: 'remove_ul3', ip: own }]);
  const out = ['-c', '3', '-i', '0.2', '-W', '1', '-I', FIXED.private, SERVER];
  t.notEqual(lab.run('cn', 'ping', ...out).status, 0, 'nothing goes out');
  const back = ['-c', '3', '-i', '0.2', '-W', '1', '-I', SERVER, FIXED.public];
  t.notEqual(lab.run('wan', 'ping', ...back).status, 0, 'nothing comes in');
  const after = await gateway.io();
  t.equal(after.fast_out, before.fast_out, 'not in the kernel');
  t.equal(after.fast_in, before.fast_in, 'either way');
  const names = (await gateway.drops()).map(({ name }) => name);
  t.ok(names.includes('NotOurUl3') && names.includes('NoUl3'), 'but counted');
  ping(t, 'cn', `-c 2 ${own}`, 'the host itself is there');
  await gateway.apply([{ op: 'add_ul3', ip: own }]);
  await passes(t);
  const again = await gateway.io();
  t.ok(again.fast_out > after.fast_out, 'and it goes on where it was');
  await gateway.close();
});

xdp('jumbo frames: by the program where they fit a page', async (t) => {
  lab.farEndsTakeXdp();
  jumbo();
  const long = { inner_mtu: 8946 };
  const gateway = await open({ kind: 'xdp', tun_mtu: 9000 }, long);
  const status = await gateway.attach();
  t.equal(status.path, 'xdp', status.why ?? 'attached');
  await passes(t);
  for (const size of ['1400', '3000', '5000', '8900']) {
    const args = `-c 3 -M do -s ${size} -I`;
    ping(
      t,
      'cn',
      `${args} ${FIXED.private} ${SERVER}`,
      `${size} bytes outwards`,
    );
    ping(t, 'wan', `${args} ${SERVER} ${FIXED.public}`, `and inwards`);
  }
  const io = await gateway.io();
  t.ok(io.fast_out > 0 && io.fast_in > 0, 'the kernel translates');
  await gateway.close();
});

xdp('a link that XDP cannot send by is found out', async (t) => {
  const refused = await open({ kind: 'xdp' }).then(
    () => '',
    (error) => String(error),
  );
  t.match(refused, /XDP cannot send by/, 'not by a path that loses packets');
  const gateway = await open({ kind: 'auto' });
  const status = await gateway.attach();
  t.equal(status.path, 'af_xdp');
  t.match(status.why ?? '', /gro on/, 'and what to do is told');
  await passes(t);
  await gateway.close();
});

xdp('auto says why it is not the best', async (t) => {
  const gateway = await open({ kind: 'auto', external_interface: null });
  const status = await gateway.attach();
  t.equal(status.path, 'tun');
  t.match(status.why ?? '', /no external interface/);
  await passes(t);
  await gateway.close();
});
