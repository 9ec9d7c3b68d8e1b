// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a Linux compute node whose instances cannot reach each
 * other or follow a move. Real network namespaces, the kernel's VXLAN devices,
 * and SVP as the only source of MACs and endpoints. Needs root.
 *
 *   inst --- br --- vx --- n1 (agent) ==== underlay bridge ==== n2, n3
 *   192.168.78.1 is n1's UL3; n2 (.2) and n3 (.3) are plain VXLAN endpoints
 *   with the peer's address, so that where a packet arrives tells who was told.
 */

import { execFile, execFileSync } from 'node:child_process';
import test from 'tape';
import { createPublisher } from '#lib/changefeed/index.js';
import { systemClock } from '#lib/clock.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { parseMac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import type { LogRecord, Ul3 } from '#lib/svp/messages.js';
import { createSvpServer } from '#lib/svp/server.js';
import { startHttp } from '#test/http-server.js';
import { memoryJournal } from '#test/memory-journal.js';
import { createSvpAgent } from '../../services/svp-agent/app.js';
import type { AgentConfig } from '../../services/svp-agent/config.js';

const VNET = 70007;
const PEER = { ip: '10.4.4.11', mac: '90:b8:d0:00:00:11' };
const clock = systemClock();
const pause = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

function run(command: string): string {
  const [program = '', ...words] = command.split(' ');
  return execFileSync(program, words, { encoding: 'utf8', stdio: 'pipe' });
}

function quiet(command: string): boolean {
  try {
    run(command);
    return true;
  } catch {
    return false;
  }
}

/** As `quiet`, leaving this process free to answer: SVP runs in it. */
function tries(command: string): Promise<boolean> {
  const [program = '', ...words] = command.split(' ');
  return new Promise((resolve) => {
    execFile(program, words, (error) => resolve(error === null));
  });
}

/** Machines of one test; names carry the process so that tests do not meet. */
function lab(vlan: number) {
  const name = (machine: string) => `sv${process.pid}${machine}`;
  const machines = ['u', 'n1', 'n2', 'n3', 'i'];
  const ip = (machine: string, command: string) =>
    run(`ip -n ${name(machine)} ${command}`);

  function endpoint(n: number): void {
    const machine = `n${n}`;
    ip(
      'u',
      `link add name p${n} type veth peer name und netns ${name(machine)}`,
    );
    ip('u', `link set dev p${n} master br up`);
    ip(machine, `addr add 192.168.78.${n}/24 dev und`);
    ip(machine, 'link set dev und up');
  }

  /** A node that is told everything: its peer answers on n2 or n3. */
  function peer(n: number, mac: string): void {
    const machine = `n${n}`;
    const vx = `link add name vx type vxlan id ${VNET} dstport 4789 nolearning`;
    ip(machine, `${vx} local 192.168.78.${n} dev und`);
    ip(machine, `link set dev vx address ${mac} mtu 1400`);
    ip(machine, `addr add ${PEER.ip}/24 dev vx`);
    ip(machine, 'link set dev vx up');
    ip(machine, `neigh replace 10.4.4.10 lladdr ${instanceMac} dev vx`);
    const fdb = `fdb append ${instanceMac} dev vx dst 192.168.78.1 self`;
    run(`bridge -n ${name(machine)} ${fdb}`);
  }

  const instanceMac = '90:b8:d0:00:00:10';
  for (const machine of machines) {
    run(`ip netns add ${name(machine)}`);
    ip(machine, 'link set dev lo up');
  }
  ip('u', 'link add name br type bridge forward_delay 0');
  ip('u', 'link set dev br up');
  for (const n of [1, 2, 3]) endpoint(n);
  ip('n1', 'link add name br type bridge forward_delay 0 mcast_snooping 0');
  ip('n1', 'link set dev br up');
  ip('n1', `link add name pi type veth peer name net0 netns ${name('i')}`);
  ip('n1', 'link set dev pi master br up');
  ip('i', `link set dev net0 address ${instanceMac} mtu 1400 up`);
  ip('i', 'addr add 10.4.4.10/24 dev net0');
  return {
    name,
    ip,
    peer,
    vlan,
    ping: (count = 1) =>
      tries(
        `ip netns exec ${name('i')} ping -q -c ${count} -W 2 -i 0.2 ${PEER.ip}`,
      ),
    /** Packets that arrived at a node from its VXLAN device. */
    arrived: (n: number) =>
      Number(
        run(
          `ip netns exec ${name(`n${n}`)} cat ` +
            '/sys/class/net/vx/statistics/rx_packets',
        ),
      ),
    remove() {
      for (const machine of machines) quiet(`ip netns del ${name(machine)}`);
    },
  };
}

/** A changefeed over a journal in memory. */
async function changefeed(t: test.Test) {
  const journal = memoryJournal();
  const publisher = createPublisher({
    journal,
    resources: [
      {
        resource: 'ul3_mapping',
        bootstrapRoute: '/ul3_mappings',
        subResources: ['put', 'delete'],
      },
    ],
    log: silentLogger(),
    clock,
  });
  const { url, server } = await startHttp(t, publisher.routes());
  server.onUpgrade((...upgrade) => publisher.handleUpgrade(...upgrade));
  return { journal, publisher, url };
}

/** SVP from memory: one peer, which can move. */
async function svp(t: test.Test, idleMs: number) {
  const state = {
    at: { ip: parseIpv4('192.168.78.2'), port: 4789 } as Ul3,
    mac: PEER.mac,
    log: [] as LogRecord[],
    asked: [] as string[],
  };
  const server = createSvpServer({
    log: silentLogger(),
    backend: {
      async vl2(vnet, mac) {
        state.asked.push('vl2');
        return vnet === VNET && mac === parseMac(state.mac) ? state.at : null;
      },
      async vl3(vnet, ip) {
        state.asked.push('vl3');
        if (vnet !== VNET || ip !== parseIpv4(PEER.ip)) return null;
        return { ...state.at, mac: parseMac(state.mac) ?? (0 as never) };
      },
      async logRequest() {
        return [...state.log];
      },
      async logRemove(ids) {
        state.log = state.log.filter((record) => !ids.includes(record.id));
      },
    },
  });
  const { port } = await server.listen('127.0.0.1', 0);
  return { state, server, port, idleMs, feed: await changefeed(t) };
}

async function until(what: () => boolean, ms = 5000): Promise<boolean> {
  for (let waited = 0; waited < ms; waited += 50) {
    if (what()) return true;
    await pause(50);
  }
  return what();
}

const uuid = (n: number) =>
  `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const root = process.getuid?.() === 0;

async function scene(
  t: test.Test,
  vlan: number,
  play: (
    world: ReturnType<typeof lab>,
    source: Awaited<ReturnType<typeof svp>>,
  ) => Promise<void>,
  idleMs = 50,
): Promise<void> {
  const world = lab(vlan);
  const source = await svp(t, idleMs);
  const config: AgentConfig = {
    svp: { host: '127.0.0.1', port: source.port, query_ms: 2000 },
    napi: { url: source.feed.url },
    cn_uuid: null,
    underlay_ip: parseIpv4('192.168.78.1') ?? (0 as never),
    underlay_interface: 'und',
    vxlan_port: 4789,
    mtu: 1400,
    vnets: [{ vnet_id: VNET, device: 'vx', bridge: 'br', vlan }],
    log: { level: 'info', idle_ms: source.idleMs, jitter_ms: 0 },
    netns: world.name('n1'),
  };
  const agent = createSvpAgent({
    config,
    clock,
    random: Math.random,
    log: silentLogger(),
    instance: `sx${process.pid}`,
  });
  try {
    await agent.start();
    await play(world, source);
    await agent.stop(false);
    const left = quiet(`ip -n ${world.name('n1')} link show dev vx`);
    t.notOk(left, 'the agent removes its device');
  } finally {
    await agent.stop(false);
    await source.feed.publisher.stop();
    await source.server.close();
    world.remove();
  }
}

test('SVP alone brings an instance to its peer, and moves it', {
  skip: !root,
}, async (t) => {
  await scene(t, 0, async (world, { state }) => {
    world.peer(2, PEER.mac);
    world.peer(3, PEER.mac);
    t.ok(await world.ping(3), 'the peer answers from where SVP says it is');
    t.ok(state.asked.includes('vl3'), 'the MAC came from SVP');
    const before = world.arrived(3);
    t.equal(before, 0, 'the other endpoint has seen nothing');

    state.at = { ip: parseIpv4('192.168.78.3') ?? (0 as never), port: 4789 };
    const mac = parseMac(PEER.mac) ?? (0 as never);
    state.log.push({ type: 'vl2', id: uuid(1), mac, vnet: VNET });
    t.ok(await until(() => state.log.length === 0), 'shootdown acknowledged');
    const old = world.arrived(2);
    t.ok(await world.ping(3), 'the peer answers from its new endpoint');
    t.ok(world.arrived(3) >= 3, 'packets arrive there');
    t.equal(world.arrived(2), old, 'and no longer at the old one');
  });
});

test('a changefeed event moves it long before the log is asked', {
  skip: !root,
}, async (t) => {
  const never = 3_600_000;
  const play = async (
    world: ReturnType<typeof lab>,
    { state, feed }: Awaited<ReturnType<typeof svp>>,
  ) => {
    world.peer(2, PEER.mac);
    world.peer(3, PEER.mac);
    t.ok(await world.ping(), 'reached at its first endpoint');
    t.ok(await until(() => feed.publisher.listeners() > 0), 'following');
    state.at = { ip: parseIpv4('192.168.78.3') ?? (0 as never), port: 4789 };
    feed.journal.commit({
      resource: 'ul3_mapping',
      subResources: ['put'],
      id: `${VNET},${PEER.ip}`,
      object: {
        vnet_id: VNET,
        ip: PEER.ip,
        mac: PEER.mac,
        cn_uuid: uuid(3),
        ul3_ip: '192.168.78.3',
        ul3_port: 4789,
      },
    });
    const there = () =>
      run(`bridge -n ${world.name('n1')} fdb show dev vx`).includes(
        `${PEER.mac} dst 192.168.78.3`,
      );
    t.ok(await until(there), 'the kernel has the new endpoint');
    t.ok(await world.ping(3), 'reached at its new endpoint');
    t.ok(world.arrived(3) >= 3, 'packets arrive there');
  };
  await scene(t, 0, play, never);
});

test('an IP that gets another MAC is told to the instances', {
  skip: !root,
}, async (t) => {
  await scene(t, 0, async (world, { state }) => {
    world.peer(2, PEER.mac);
    t.ok(await world.ping(), 'reached before');
    const newMac = '90:b8:d0:00:00:22';
    world.peer(3, newMac);
    state.mac = newMac;
    state.at = { ip: parseIpv4('192.168.78.3') ?? (0 as never), port: 4789 };
    const ip = parseIpv4(PEER.ip) ?? (0 as never);
    state.log.push({ type: 'vl3', id: uuid(2), ip, vlan: 0, vnet: VNET });
    t.ok(
      await until(() => world.ip('i', 'neigh show').includes(newMac)),
      'the instance has the new MAC without asking',
    );
    t.ok(await world.ping(3), 'reached after');
    t.ok(world.arrived(3) >= 3, 'at the new endpoint');
  });
});

test('an unknown address is not answered, and no broadcast leaves', {
  skip: !root,
}, async (t) => {
  await scene(t, 0, async (world, { state }) => {
    state.mac = '90:b8:d0:00:00:99';
    world.peer(2, PEER.mac);
    state.at = { ip: parseIpv4('192.168.78.2') ?? (0 as never), port: 4789 };
    const target = '10.4.4.77';
    const words = `netns exec ${world.name('i')} ping -q -c 2 -W 1 ${target}`;
    t.notOk(await tries(`ip ${words}`), 'nobody answers');
    t.ok(state.asked.includes('vl3'), 'SVP was asked');
    t.equal(world.arrived(2), 0, 'no frame left');
  });
});

test('the fabric VLAN is inside VXLAN and nowhere else', {
  skip: !root,
}, async (t) => {
  await scene(t, 2, async (world, { state }) => {
    // Without a VLAN device the far end cannot answer; its counter and a
    // second agent-made device are the witnesses.
    const far: AgentConfig = {
      svp: { host: '127.0.0.1', port: 1, query_ms: 100 },
      napi: null,
      cn_uuid: null,
      underlay_ip: parseIpv4('192.168.78.2') ?? (0 as never),
      underlay_interface: 'und',
      vxlan_port: 4789,
      mtu: 1400,
      vnets: [{ vnet_id: VNET, device: 'vx', bridge: null, vlan: 2 }],
      log: { level: 'info', idle_ms: 50, jitter_ms: 0 },
      netns: world.name('n2'),
    };
    const other = createSvpAgent({
      config: far,
      clock,
      random: Math.random,
      log: silentLogger(),
      instance: `sy${process.pid}`,
    });
    await other.start();
    const mac = '90:b8:d0:00:00:10';
    world.ip('n2', `link set dev vx address ${PEER.mac}`);
    world.ip('n2', `addr add ${PEER.ip}/24 dev vx`);
    world.ip('n2', `neigh replace 10.4.4.10 lladdr ${mac} dev vx`);
    run(
      `bridge -n ${world.name('n2')} fdb replace ${mac} dev vx ` +
        'dst 192.168.78.1 self permanent',
    );
    t.ok(await world.ping(3), 'two nodes with the same VLAN reach each other');
    t.ok(state.asked.includes('vl3'), 'ARP is answered from SVP');
    await other.stop(false);

    world.peer(2, PEER.mac);
    const before = world.arrived(2);
    t.notOk(await world.ping(2), 'a node without the VLAN does not answer');
    t.ok(world.arrived(2) > before, 'though the frames come to it, tagged');
  });
});
