// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Two zones that announce by BGP to two routers, FRR and BIRD, with a host on
 * the Internet behind both. Routers and zones are configured as docs/bgp.md
 * says: the texts are read from there.
 *
 *   vx1 in cn 192.168.12.1 --\              /-- z1 198.51.100.11 --\
 *   10.0.4.10 (AIP), .11      [sw br-und] --                        [sw br-ext]
 *   ctl 192.168.12.9 --------/              \-- z2 198.51.100.12 --/    |
 *                                                                       |
 *   inet 203.0.113.80 -- i1 -- r1 198.51.100.1 (FRR) -------------------+
 *                     -- i2 -- r2 198.51.100.2 (BIRD) ------------------/
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { until } from '#test/until.js';
import { Lab, lines, type Output } from './lab/lab.js';

const DOCS = new URL('../../../docs/bgp.md', import.meta.url);
const VXLNATD = new URL('../../services/vxlnatd/main.js', import.meta.url);
const VXLNATADM = new URL(
  '../../services/vxlnatd/adm/main.js',
  import.meta.url,
);
const CONTROL = ['192.168.12.9', '8080', '1296'];
const NAMES = ['cn', 'ctl', 'z1', 'z2', 'r1', 'r2', 'inet', 'sw'];

export const SNAT = '3.3.3.2';
export const AIP = '3.3.3.5';
export const INTERNET = '203.0.113.80';
export const ZONES = {
  z1: {
    uuid: '7a6f6e65-0000-4000-8000-000000000001',
    ul3: '192.168.12.6',
    external: '198.51.100.11',
  },
  z2: {
    uuid: '7a6f6e65-0000-4000-8000-000000000002',
    ul3: '192.168.12.7',
    external: '198.51.100.12',
  },
} as const;
export type ZoneName = keyof typeof ZONES;
export type RouterName = 'r1' | 'r2';

/** A test machine may be too busy for BFD of 50 ms and a drain of 500 ms. */
export const PATIENT = {
  bfd: { interval_ms: 300, multiplier: 5 },
  drain_ms: 3000,
};

/** The first example below a heading of docs/bgp.md. */
export function example(heading: string): string {
  const text = readFileSync(DOCS, 'utf8');
  const below = text.split(`\n### ${heading}\n`)[1] ?? '';
  const block = /```\w*\n([\s\S]*?)```/.exec(below)?.[1];
  if (block === undefined) throw new Error(`docs/bgp.md: no ${heading}`);
  return block;
}

function ended(child: ChildProcess): Promise<unknown> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : once(child, 'exit');
}

export class BgpLab extends Lab {
  readonly directory: string;
  readonly #started = new Map<string, ChildProcess>();
  readonly #pidFiles: string[] = [];
  #control: ChildProcess | null = null;
  #replies: AsyncIterator<string> | null = null;

  constructor(t: Test) {
    super('vxg');
    // Before the directory is gone, in which the processes are found.
    t.teardown(() => this.tearDown());
    this.directory = temporaryDirectory(t);
  }

  sh(script: string): string {
    return execFileSync('sh', ['-ec', script], { encoding: 'utf8' });
  }

  /** Namespaces and links; nothing runs in them yet. */
  build(queues = ''): void {
    this.add(...NAMES);
    const sw = this.ns('sw');
    this.sh(`ip -n ${sw} link add br-und type bridge
      ip -n ${sw} link add br-ext type bridge
      ip -n ${sw} link set br-und up
      ip -n ${sw} link set br-ext up`);
    this.#port('und', 'cn', 'und0', '192.168.12.1/24', queues);
    this.#port('und', 'ctl', 'und0', '192.168.12.9/24', queues);
    for (const [name, zone] of Object.entries(ZONES)) {
      this.#port('und', name, 'und0', `${zone.ul3}/24`, queues);
      this.#port('ext', name, 'ext0', `${zone.external}/24`, queues);
    }
    this.#port('ext', 'r1', 'ext0', '198.51.100.1/24', queues);
    this.#port('ext', 'r2', 'ext0', '198.51.100.2/24', queues);
    this.#internet();
  }

  /** A device in a namespace, plugged into one of the switches. */
  #port(
    side: 'und' | 'ext',
    name: string,
    device: string,
    address: string,
    queues: string,
  ): void {
    const [ns, sw, port] = [this.ns(name), this.ns('sw'), `${side}-${name}`];
    this.sh(`ip -n ${ns} link add ${device} ${queues} type veth \
        peer name ${port} netns ${sw} ${queues}
      ip -n ${sw} link set ${port} master br-${side} up
      ip netns exec ${sw} ethtool -K ${port} gro on
      ip -n ${ns} addr add ${address} dev ${device}
      ip -n ${ns} link set ${device} up`);
  }

  #internet(): void {
    const inet = this.ns('inet');
    for (const [i, r] of ['r1', 'r2'].entries()) {
      const [dev, ns] = [`i${i + 1}`, this.ns(r)];
      this.sh(`ip -n ${inet} link add ${dev} type veth peer name inet \
          netns ${ns}
        ip -n ${inet} addr add 203.0.113.${4 * i + 1}/30 dev ${dev}
        ip -n ${inet} link set ${dev} up
        ip -n ${ns} addr add 203.0.113.${4 * i + 2}/30 dev inet
        ip -n ${ns} link set inet up
        ip -n ${ns} route add default via 203.0.113.${4 * i + 1}
        ip netns exec ${ns} sysctl -qw net.ipv4.ip_forward=1 \
          net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.ext0.rp_filter=0 \
          net.ipv4.conf.inet.rp_filter=0`);
    }
    for (let i = 0; i < 16; i++) {
      this.sh(`ip -n ${inet} addr add 203.0.113.${80 + i}/32 dev lo`);
    }
    this.sh(`ip -n ${inet} route add 3.3.3.0/24 src ${INTERNET} \
        nexthop via 203.0.113.2 nexthop via 203.0.113.6
      ip netns exec ${inet} sysctl -qw net.ipv4.fib_multipath_hash_policy=1 \
        net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.i1.rp_filter=0 \
        net.ipv4.conf.i2.rp_filter=0`);
  }

  /** Plugs instances behind one MAC into a fabric, with zone 1 as the router. */
  instances(vnet: number, mac: string, ips: string[], router: string): void {
    this.plugIn({
      at: 'cn',
      node: 'cn',
      underlay: 'und0',
      ul3: '192.168.12.1',
      vnet,
      mac,
      addresses: ips.map((ip) => `${ip}/24`),
      router: { ip: '10.0.4.1', mac: router, ul3: ZONES.z1.ul3 },
      mtu: 1446,
    });
  }

  /** FRR, as an operator would start and configure it. */
  async startFrr(): Promise<void> {
    const at = join(this.directory, 'frr');
    const config = join(at, 'frr.conf');
    mkdirSync(at);
    writeFileSync(config, example('Upstream: FRR'));
    writeFileSync(join(at, 'empty.conf'), '');
    const owner = Number(this.sh('id -u frr'));
    for (const path of [this.directory, at, config]) {
      chownSync(path, owner, Number(this.sh('id -g frr')));
    }
    for (const daemon of ['zebra', 'bgpd', 'bfdd']) {
      this.#run('r1', daemon, `/usr/lib/frr/${daemon}`, [
        ...['-f', join(at, 'empty.conf'), '-i', join(at, `${daemon}.pid`)],
        ...['-z', join(at, 'zserv'), '--vty_socket', at],
        ...(daemon === 'bfdd' ? ['--bfdctl', join(at, 'bfdd.sock')] : []),
      ]);
      await until(daemon, () => existsSync(join(at, `${daemon}.vty`)));
    }
    this.sh(`vtysh --vty_socket ${at} -f ${config}`);
  }

  /** What vtysh says. */
  vtysh(command: string): string {
    return this.sh(`vtysh --vty_socket ${this.directory}/frr -c '${command}'`);
  }

  startBird(): void {
    const at = join(this.directory, 'r2');
    mkdirSync(at);
    writeFileSync(join(at, 'bird.conf'), example('Upstream: BIRD'));
    this.#run('r2', 'bird', 'bird', [
      ...['-f', '-c', join(at, 'bird.conf'), '-s', join(at, 'bird.ctl')],
      ...['-P', join(at, 'bird.pid')],
    ]);
  }

  #run(name: string, key: string, command: string, args: string[]): void {
    const words = ['netns', 'exec', this.ns(name), command, ...args];
    this.#started.set(key, spawn('ip', words, { stdio: 'ignore' }));
  }

  /** Kills something that was started here: bgpd, bird. */
  async kill(key: string): Promise<void> {
    const child = this.#started.get(key);
    if (child === undefined) throw new Error(`${key} was not started`);
    child.kill('SIGKILL');
    await ended(child);
  }

  /** The control plane: one fabric, an AIP, both addresses in zone 1. */
  async startControl(): Promise<void> {
    this.#control = this.start('ctl', 'bgp-control.js', ...CONTROL);
    this.#replies = lines(this.#control)[Symbol.asyncIterator]();
    await this.#replies.next();
    for (const { uuid, ul3, external } of Object.values(ZONES)) {
      await this.order('zone', { uuid, ul3, external });
    }
    await this.order('place', SNAT, ZONES.z1.uuid);
    await this.order('place', AIP, ZONES.z1.uuid);
    await this.order('fabric', 1, 4, SNAT);
    await this.order('aip', 'aip1', 1, '10.0.4.10', AIP);
    await this.order('mapping', 1, '10.0.4.10', '192.168.12.1');
    await this.order('mapping', 1, '10.0.4.11', '192.168.12.1');
    const ips = ['10.0.4.10', '10.0.4.11'];
    this.instances(1, '90:b8:d0:00:00:99', ips, '90:b8:d0:00:00:01');
  }

  /** One call of `MiniNapi`. */
  async order(...order: unknown[]): Promise<void> {
    this.#control?.stdin?.write(`${JSON.stringify(order)}\n`);
    await this.#replies?.next();
  }

  /** Where a zone's BIRD keeps its files. */
  birdOf(zone: ZoneName): string {
    return join(this.directory, zone);
  }

  /**
   * Starts a zone by the example of docs/bgp.md.
   * @param changes laid over its configuration
   * @param bgp laid over its `bgp`
   */
  async startZone(
    name: ZoneName,
    changes: object = {},
    bgp: object = PATIENT,
  ): Promise<ChildProcess> {
    const zone = ZONES[name];
    const config = JSON.parse(example('A zone'));
    Object.assign(config, { zone_uuid: zone.uuid, io: 'tun', ...changes });
    Object.assign(config.bgp, bgp);
    config.underlay.ip = zone.ul3;
    config.external.ip = zone.external;
    config.bgp.directory = this.birdOf(name);
    const file = join(this.directory, `${name}.json`);
    writeFileSync(file, JSON.stringify(config));
    this.#pidFiles.push(join(this.birdOf(name), 'bird.pid'));
    const child = spawn(
      'ip',
      [
        ...['netns', 'exec', this.ns(name), process.execPath],
        ...[fileURLToPath(VXLNATD), '-c', file],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#started.set(`vxlnatd ${name}`, child);
    let text = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes('"listening"')) resolve();
      });
      child.on('exit', () => reject(new Error(text)));
    });
    return child;
  }

  /** Ends a zone's daemon. */
  async endZone(name: ZoneName, signal: NodeJS.Signals): Promise<void> {
    const child = this.#started.get(`vxlnatd ${name}`);
    if (child === undefined) return;
    child.kill(signal);
    await ended(child);
  }

  /** An answer of a zone's admin interface. */
  async admin(zone: ZoneName, path: string): Promise<Record<string, unknown>> {
    const script = `fetch('http://127.0.0.1:2960${path}').then((r) => r.text())
      .then((text) => console.log(text))`;
    const { text } = this.run(zone, process.execPath, '-e', script);
    return JSON.parse(text);
  }

  /** Runs vxlnatadm beside a zone's daemon. */
  adm(zone: ZoneName, ...words: string[]): Output {
    return this.run(zone, process.execPath, fileURLToPath(VXLNATADM), ...words);
  }

  /** How many ways FRR knows of to an address. */
  pathsOf(ip: string): number {
    const seen = this.vtysh(`show bgp ipv4 unicast ${ip}/32 json`);
    return JSON.parse(seen).paths?.length ?? 0;
  }

  /** UPDATE messages that FRR has had from a zone. */
  updatesOf(zone: ZoneName): number {
    const { external } = ZONES[zone];
    const seen = JSON.parse(this.vtysh(`show bgp neighbors ${external} json`));
    return seen[external].messageStats.updatesRecv;
  }

  /** Tells how often a router has had no way to an address since the call. */
  watch(router: RouterName, ip: string): () => number {
    const words = ['netns', 'exec', this.ns(router), 'ip', 'monitor', 'route'];
    const child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#started.set(`watch ${router} ${this.#started.size}`, child);
    let gone = 0;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith(`Deleted ${ip} `)) gone++;
    });
    return () => gone;
  }

  /** By which zone a router sends an address; '' when it has no way. */
  way(router: RouterName, ip: string): string {
    const { text } = this.run(router, 'ip', 'route', 'show', `${ip}/32`);
    const via = /via (\S+)/.exec(text)?.[1];
    const zone = Object.entries(ZONES).find(([, z]) => z.external === via);
    return zone?.[0] ?? text.trim();
  }

  /** Waits until both routers send an address to a zone; '' for nowhere. */
  async waysAre(ip: string, zone: ZoneName | ''): Promise<void> {
    for (const router of ['r1', 'r2'] as const) {
      await until(
        `${router} sends ${ip} to "${zone}"`,
        () => this.way(router, ip) === zone,
      );
    }
  }

  async tearDown(): Promise<void> {
    for (const child of this.#started.values()) {
      child.kill('SIGKILL');
      await ended(child);
    }
    for (const file of this.#pidFiles) {
      this.sh(
        `test ! -e ${file} || kill -9 $(cat ${file}) 2>/dev/null || true`,
      );
    }
    this.down();
  }
}

/**
 * A lab with its routers, its control plane and one zone.
 * @param bgp laid over the zone's `bgp`
 */
export async function startLab(t: Test, bgp?: object): Promise<BgpLab> {
  const lab = new BgpLab(t);
  lab.build();
  await lab.startControl();
  await lab.startFrr();
  lab.startBird();
  await lab.startZone('z1', {}, bgp);
  return lab;
}

/** Of a stream of packets to an address. */
interface Stream {
  sent: number;
  lost: number;
  /** How often a router had no way to the address. */
  gaps: number;
}

/** Sends 1000 packets a second to an address while something happens. */
export async function streamWhile(
  lab: BgpLab,
  ip: string,
  happens: () => Promise<void>,
): Promise<Stream> {
  const receiver = lab.start('cn', 'bgp-stream.js', 'receive');
  const heard = lines(receiver)[Symbol.asyncIterator]();
  await heard.next();
  const sender = lab.start('inet', 'bgp-stream.js', 'send', '1000', ip);
  const told = lines(sender)[Symbol.asyncIterator]();
  await told.next();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const watches = (['r1', 'r2'] as const).map((r) => lab.watch(r, ip));
  await happens();
  await new Promise((resolve) => setTimeout(resolve, 300));
  sender.stdin?.end();
  const { sent } = JSON.parse((await told.next()).value);
  receiver.stdin?.end();
  const { received } = JSON.parse((await heard.next()).value);
  const gaps = watches.reduce((sum, gone) => sum + gone(), 0);
  return { sent, lost: sent - received, gaps };
}

/**
 * Sends to the AIP while something happens, and says how many were lost: a busy
 * machine loses some by itself.
 * @returns how often a router had no way to it
 */
export async function lostWhile(
  t: Test,
  lab: BgpLab,
  what: string,
  happens: () => Promise<void>,
  aip = AIP,
): Promise<number> {
  const { sent, lost, gaps } = await streamWhile(lab, aip, happens);
  t.ok(lost < sent, `${what}: packets arrive`);
  t.comment(`${what}: ${lost} of ${sent} packets lost`);
  return gaps;
}
