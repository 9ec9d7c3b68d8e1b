// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The paths that pass the kernel's stack by, on real packets: AF_XDP lanes
 * alone, and with the XDP program, over links of two queues whose senders
 * leave their checksums undone (the default of a virtual link). What is the
 * host's own stays the host's. A killed engine leaves its program in place,
 * flows go on without it, and its successor takes them over.
 *
 *   CN 192.168.12.1 ---- und0 GW ext0 ---- WAN 203.0.113.1
 *   vx1: 10.4.5.1 (1:1), 10.4.5.2 (SNAT)    198.51.100.7 on its loopback
 */

import { type ChildProcess, execFileSync } from 'node:child_process';
import test, { type Test } from 'tape';
import type { IoOptions, Operation } from '#native/index.js';
import { Gateway } from './gateway-client.js';
import { Lab, lines } from './lab.js';

const lab = new Lab(`vxx${process.pid}`);
const root = process.getuid?.() === 0;
const PINS = `/run/vxx${process.pid}`;
const ROUTER_MAC = '90:b8:d0:00:00:01';
const HOST_MAC = '90:b8:d0:00:01:01';
const SERVER = '198.51.100.7';

function remote(ip: string): Operation {
  const [mac, ul3_ip] = [HOST_MAC, '192.168.12.1'];
  return { op: 'set_remote', vnet: 1, ip, mac, ul3_ip, ul3_port: 4789 };
}

const OPERATIONS: Operation[] = [
  { op: 'add_ul3', ip: '192.168.12.6' },
  {
    op: 'set_rule',
    vnet: 1,
    vlan: 0,
    prefix: '10.4.4.0/22',
    router_ip: '10.4.4.1',
    router_mac: ROUTER_MAC,
    public_ip: '3.3.3.2',
  },
  {
    op: 'set_one_to_one',
    vnet: 1,
    vlan: 0,
    private_ip: '10.4.5.1',
    public_ip: '3.3.3.5',
  },
  remote('10.4.5.1'),
  remote('10.4.5.2'),
  { op: 'finish_adoption' },
];

function sh(command: string): string {
  return execFileSync('sh', ['-ec', command], { encoding: 'utf8' });
}

function up(): void {
  const [cn, gw, wan] = ['cn', 'gw', 'wan'].map((name) => lab.ns(name));
  const queues = 'numtxqueues 2 numrxqueues 2';
  sh(`
    mkdir -p ${PINS}; mount -t bpf bpf ${PINS}
    for ns in ${cn} ${gw} ${wan}; do
      ip netns add $ns; ip -n $ns link set lo up
    done
    ip -n ${cn} link add und0 ${queues} type veth \
      peer name und0 netns ${gw} ${queues}
    ip -n ${wan} link add wan0 ${queues} type veth \
      peer name ext0 netns ${gw} ${queues}
    ip -n ${cn} addr add 192.168.12.1/24 dev und0
    ip -n ${gw} addr add 192.168.12.6/24 dev und0
    ip -n ${gw} addr add 203.0.113.2/24 dev ext0
    ip -n ${wan} addr add 203.0.113.1/24 dev wan0
    ip -n ${wan} addr add ${SERVER}/32 dev lo
    ip -n ${cn} link set und0 up
    ip -n ${gw} link set und0 up
    ip -n ${gw} link set ext0 up
    ip -n ${wan} link set wan0 up
    ip netns exec ${gw} sysctl -qw net.ipv4.ip_forward=1
    ip -n ${gw} route add default via 203.0.113.1
    ip -n ${wan} route add 3.3.3.0/28 via 203.0.113.2 src ${SERVER}
    ip -n ${cn} link add vx1 address ${HOST_MAC} mtu 1446 type vxlan \
      id 1 local 192.168.12.1 dev und0 dstport 4789 nolearning
    ip -n ${cn} addr add 10.4.5.2/22 dev vx1
    ip -n ${cn} addr add 10.4.5.1/22 dev vx1
    ip -n ${cn} link set vx1 up
    ip -n ${cn} neigh add 10.4.4.1 lladdr ${ROUTER_MAC} dev vx1
    bridge -n ${cn} fdb add ${ROUTER_MAC} dev vx1 dst 192.168.12.6
    ip -n ${cn} route add default via 10.4.4.1 src 10.4.5.2
  `);
}

/** A datacenter whose links carry more than a page. */
function jumbo(): void {
  for (const [name, device] of [
    ['cn', 'und0'],
    ['gw', 'und0'],
    ['gw', 'ext0'],
    ['wan', 'wan0'],
  ] as const) {
    lab.ip(`-n ${lab.ns(name)} link set ${device} mtu 9000`);
  }
  lab.ip(`-n ${lab.ns('cn')} link set vx1 mtu 8946`);
}

/** Without this a virtual link takes nothing that XDP sends. */
function pollAtTheOtherEnds(): void {
  for (const [name, device] of [
    ['cn', 'und0'],
    ['wan', 'wan0'],
  ] as const) {
    lab.run(name, 'ethtool', '-K', device, 'gro', 'on');
  }
}

function down(): void {
  for (const name of ['cn', 'gw', 'wan']) {
    sh(`ip netns del ${lab.ns(name)} 2>/dev/null || true`);
  }
  sh(`umount ${PINS} 2>/dev/null || true; rmdir ${PINS} 2>/dev/null || true`);
}

async function open(
  t: Test,
  io: IoOptions,
  config: { inner_mtu?: number } = {},
): Promise<Gateway> {
  const gateway = await Gateway.open(
    lab,
    { max_flows: 4096, ...config },
    {
      underlay_interface: 'und0',
      external_interface: 'ext0',
      tun_name: 'vxn0',
      pins: `${PINS}/zone`,
      ...io,
    },
  );
  gateway.onEvent = (event) => {
    if (event.event === 'log') t.comment(`${event.level}: ${event.message}`);
  };
  lab.ip(`-n ${lab.ns('gw')} route replace 3.3.3.0/28 dev vxn0`);
  const results = await gateway.apply(OPERATIONS);
  t.ok(
    results.every((result) => result.error === null),
    'all operations hold',
  );
  return gateway;
}

function ping(t: Test, ns: string, args: string, what: string): void {
  const done = lab.run(ns, 'ping', '-W', '3', '-i', '0.1', ...args.split(' '));
  t.equal(done.status, 0, what);
  if (done.status !== 0) t.comment(done.text);
}

function attached(): number {
  return lab.run('gw', 'ip', 'link').text.split('prog/xdp').length - 1;
}

async function serve(): Promise<ChildProcess> {
  const server = lab.start('wan', 'peer.js', 'serve');
  for await (const _line of lines(server)) break;
  return server;
}

/** What must work by any path, twice: the first packets and those after. */
async function passes(t: Test): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const tcp = await lab.peer('cn', 'tcp', SERVER, '300000');
    t.equal(tcp.error, undefined, 'TCP with unfinished checksums');
    t.equal(tcp.bytes, 300_000, 'every byte comes back');
    t.ok(tcp.seen?.includes('3.3.3.2'), 'by the public IP');
  }
  const udp = await lab.peer('cn', 'udp', SERVER, '5000');
  t.ok(udp.seen?.includes('3.3.3.2'), 'UDP in fragments');
  ping(t, 'cn', `-c 3 -I 10.4.5.1 ${SERVER}`, 'a 1:1 address outwards');
  ping(t, 'wan', `-c 3 -I ${SERVER} 3.3.3.5`, 'and inwards');
  ping(t, 'wan', '-c 2 203.0.113.2', 'the host itself is reached, by ARP too');
  ping(t, 'cn', '-c 2 192.168.12.6', 'on the underlay as well');
}

function xdp(name: string, run: (t: Test) => Promise<void>): void {
  test(name, { skip: !root && 'needs root' }, async (t) => {
    t.teardown(() => {
      lab.down();
      down();
    });
    up();
    await serve();
    await run(t);
  });
}

xdp('AF_XDP lanes translate everything', async (t) => {
  const gateway = await open(t, { kind: 'af_xdp' });
  const status = await gateway.attach();
  t.equal(status.path, 'af_xdp', status.why ?? 'attached');
  t.equal(status.lanes, 2, 'a lane for each queue');
  await passes(t);
  const io = await gateway.io();
  t.ok(io.rx_packets > 400 && io.tx_packets > 400, 'by the lanes');
  t.equal(io.fast_out + io.fast_in, 0, 'nothing in the kernel');
  await gateway.close();
  t.equal(attached(), 0, 'nothing is left attached');
});

xdp('a killed engine leaves flows that its successor takes over', async (t) => {
  pollAtTheOtherEnds();
  const first = await open(t, { kind: 'xdp' });
  const status = await first.attach();
  t.equal(status.path, 'xdp', status.why ?? 'attached');
  await passes(t);
  const io = await first.io();
  t.ok(io.fast_out > 0 && io.fast_in > 0, 'the kernel translates');
  const before = (await first.flows()).flows;
  await first.kill();
  t.equal(attached(), 2, 'the program is still there');
  ping(t, 'wan', `-c 3 -I ${SERVER} 3.3.3.5`, 'and translates without us');
  const second = await open(t, { kind: 'xdp' });
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
  t.equal(attached(), 0, 'a clean end leaves nothing');
});

xdp('jumbo frames: by the program where they fit a page', async (t) => {
  pollAtTheOtherEnds();
  jumbo();
  const long = { inner_mtu: 8946 };
  const gateway = await open(t, { kind: 'xdp', tun_mtu: 9000 }, long);
  const status = await gateway.attach();
  t.equal(status.path, 'xdp', status.why ?? 'attached');
  await passes(t);
  for (const size of ['1400', '3000', '5000', '8900']) {
    const args = `-c 3 -M do -s ${size} -I`;
    ping(t, 'cn', `${args} 10.4.5.1 ${SERVER}`, `${size} bytes outwards`);
    ping(t, 'wan', `${args} ${SERVER} 3.3.3.5`, `and inwards`);
  }
  const io = await gateway.io();
  t.ok(io.fast_out > 0 && io.fast_in > 0, 'the kernel translates');
  await gateway.close();
});

xdp('a link that XDP cannot send by is found out', async (t) => {
  const refused = await open(t, { kind: 'xdp' }).then(
    () => '',
    (error) => String(error),
  );
  t.match(refused, /XDP cannot send by/, 'not by a path that loses packets');
  const gateway = await open(t, { kind: 'auto' });
  const status = await gateway.attach();
  t.equal(status.path, 'af_xdp');
  t.match(status.why ?? '', /gro on/, 'and what to do is told');
  await passes(t);
  await gateway.close();
});

xdp('auto says why it is not the best', async (t) => {
  const gateway = await open(t, { kind: 'auto', external_interface: null });
  const status = await gateway.attach();
  t.equal(status.path, 'tun');
  t.match(status.why ?? '', /no external interface/);
  await passes(t);
  await gateway.close();
});
