// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What is measured: the kernel's own VXLAN device with nftables, and vxlnatd
 * by each of its paths, each in a lab of its own.
 */

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as plan from './addresses.js';
import {
  downAll,
  ENDS_CORE,
  GATEWAY_CORE,
  ksoftirqd,
  Lab,
  pin,
  schedule,
  sh,
  threadsOf,
} from './lab.js';

export const PATHS = ['xdp', 'af_xdp', 'tun'] as const;
export type Path = (typeof PATHS)[number];
export type Kind = 'kernel' | Path;

/** Sizes and times, the same for both sides. */
export interface Settings {
  flows: number;
  udpSeconds: number;
}

/** A gateway that forwards. */
export interface Gateway {
  kind: Kind;
  lab: Lab;
  /** Threads that carry its packets, pinned and raised as asked. */
  threads(manner: 'threaded' | 'inline'): number[];
}

/** A path that this machine or this build does not have. */
export class NotAvailable extends Error {}

const MAIN = fileURLToPath(
  new URL('../../../services/vxlnatd/main.js', import.meta.url),
);

function eachHost(line: (n: number) => string): string {
  return Array.from({ length: plan.HOSTS }, (_, n) => line(n)).join('\n');
}

function onCore(lab: Lab, own: number[], manner: 'threaded' | 'inline') {
  lab.threaded(manner === 'threaded');
  const napi = lab.napiThreads();
  pin(napi, GATEWAY_CORE, 1);
  // Above the receive threads: a burst that was taken is also finished.
  pin(own, GATEWAY_CORE, manner === 'threaded' ? 2 : 1);
  return [...napi, ...own, ...ksoftirqd(GATEWAY_CORE)];
}

/** The peer: what a user has without us. */
export function kernelGateway(name: string, settings: Settings): Gateway {
  const lab = new Lab(name);
  lab.up();
  for (const { vni, net } of plan.TENANTS) {
    lab.ip(
      'gw',
      `link add vx${vni} address ${plan.ROUTER_MAC} mtu 1450 type vxlan id ${vni} local ${plan.GATEWAY} dev ${lab.underlay} dstport 4789 nolearning
       addr add ${net}.255.254/16 dev vx${vni}
       link set vx${vni} up
       ${[1, 2].map((c) => eachHost((n) => `neigh replace ${net}.${c}.${n} lladdr ${plan.HOST_MAC} dev vx${vni} nud permanent`)).join('\n')}
      `,
    );
    lab.in(
      'gw',
      `bridge fdb append ${plan.HOST_MAC} dev vx${vni} dst ${plan.CN}`,
    );
  }
  const aip = (n: number) => [`10.4.2.${n}`, `3.3.4.${n}`] as const;
  const pairs = (of: (n: number) => readonly [string, string]) =>
    eachHost((n) => of(n).join(' : ')).replaceAll('\n', ', ');
  lab.in(
    'gw',
    'nft -f -',
    `table ip nat {
       map out { type ipv4_addr : ipv4_addr; elements = { ${pairs(aip)} } }
       map in { type ipv4_addr : ipv4_addr; elements = { ${pairs((n) => [aip(n)[1], aip(n)[0]])} } }
       chain pre { type nat hook prerouting priority dstnat;
         iifname "${lab.external}" dnat to ip daddr map @in; }
       chain post { type nat hook postrouting priority srcnat;
         oifname "${lab.external}" snat to ip saddr map @out;
         oifname "${lab.external}" ip saddr 10.4.0.0/16 snat to 3.3.3.2
         oifname "${lab.external}" ip saddr 10.5.0.0/16 snat to 3.3.3.3; }
     }`,
  );
  lab.in(
    'gw',
    `sysctl -qw net.ipv4.ip_forward=1
     sysctl -qw net.netfilter.nf_conntrack_udp_timeout=${settings.udpSeconds}
     sysctl -qw net.netfilter.nf_conntrack_udp_timeout_stream=${settings.udpSeconds}`,
  );
  return {
    kind: 'kernel',
    lab,
    threads: (manner) => onCore(lab, [], manner),
  };
}

function rules(): string {
  const tenants = plan.TENANTS.flatMap(({ vni, net, snat }) => [
    `map ${vni} 0 ${plan.ROUTER_MAC} ${net}.255.254/16 ${snat}`,
    ...[1, 2].map((c) =>
      eachHost(
        (n) => `remote ${vni} 0 ${net}.${c}.${n} ${plan.HOST_MAC} ${plan.CN}`,
      ),
    ),
  ]);
  const aips = eachHost((n) => `fixed 1 0 10.4.2.${n} 3.3.4.${n}`);
  return `bind ${plan.GATEWAY}\n${tenants.join('\n')}\n${aips}\n`;
}

/**
 * Writes what the daemon is started with.
 * @param pins where it outlives itself; null: nowhere
 * @returns its arguments
 */
export function daemonFiles(
  directory: string,
  lab: Lab,
  path: Path,
  settings: Settings,
  pins: string | null,
): string[] {
  const config = join(directory, 'vxlnatd.json');
  const file = join(directory, 'vxlnat.conf');
  writeFileSync(file, rules());
  writeFileSync(
    config,
    JSON.stringify({
      underlay: { interface: lab.underlay, ip: plan.GATEWAY },
      external: { interface: lab.external, ip: plan.EXTERNAL },
      announce: 'none',
      io: path,
      xdp: { pins },
      engine: {
        inner_mtu: 1450,
        max_flows: settings.flows,
        timers: {
          udp: settings.udpSeconds * 1000,
          quarantine: Math.min(settings.udpSeconds, 60) * 1000,
        },
      },
    }),
  );
  return ['-c', config, '-f', file];
}

/**
 * The real daemon by one of its paths.
 * @throws NotAvailable with its own words
 */
export async function ourGateway(
  name: string,
  path: Path,
  settings: Settings,
): Promise<Gateway> {
  const lab = new Lab(name);
  lab.up();
  const directory = mkdtempSync(join(tmpdir(), 'vxlnat-bench-'));
  try {
    const files = daemonFiles(directory, lab, path, settings, null);
    const { pid } = await startDaemon(lab, files);
    await ready(lab);
    return {
      kind: path,
      lab,
      threads: (manner) =>
        onCore(lab, threadsOf(pid as number, 'vxlnat'), manner),
    };
  } catch (error) {
    lab.down();
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * Starts the daemon and waits until it listens.
 * @throws NotAvailable with its own words
 */
export function startDaemon(lab: Lab, files: string[]): Promise<ChildProcess> {
  const child = lab.start('gw', process.execPath, MAIN, ...files);
  return new Promise((resolve, reject) => {
    let text = '';
    for (const output of [child.stdout, child.stderr]) {
      output?.on('data', (chunk: Buffer) => {
        text = `${text}${chunk}`.slice(-4000);
        if (text.includes('"listening"')) resolve(child);
      });
    }
    child.on('exit', (code) => {
      const why = text.split('\n').find((line) => line.startsWith('vxlnatd: '));
      reject(new NotAvailable(why ?? `vxlnatd ended ${code}: ${text.trim()}`));
    });
  });
}

/** It listens before all its rules are in the engine. */
async function ready(lab: Lab): Promise<void> {
  const ask = `fetch('http://127.0.0.1:2960/health').then(
    (answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))`;
  for (let i = 0; i < 100; i++) {
    const asked = lab.run('gw', process.execPath, '-e', ask);
    if (await asked.then(() => true).catch(() => false)) return;
    await sleep(200);
  }
  throw new Error('vxlnatd did not become ready');
}

/**
 * Settings of the whole machine, undone at the end: room for many flows, and
 * soft interrupts that the rest of the machine does not get in between of.
 */
export function tuneMachine(flows: number): void {
  const conntrack = (name: string) => `/proc/sys/net/netfilter/nf_${name}`;
  const files = ['conntrack_max', 'conntrack_buckets'].map(conntrack);
  if (untuned === null) {
    sh('modprobe nf_conntrack 2>/dev/null || true');
    const before = files.map((file) => readFileSync(file, 'utf8'));
    const interrupts = [ENDS_CORE, GATEWAY_CORE].flatMap(ksoftirqd);
    untuned = () => {
      files.forEach((file, i) => {
        writeFileSync(file, before[i] as string);
      });
      schedule(interrupts, 0);
    };
    process.on('exit', untuned);
    schedule(interrupts, 2);
  }
  for (const file of files) writeFileSync(file, String(flows));
}

let untuned: (() => void) | null = null;

/** Whatever ends the benchmark, no namespace and no process stays. */
export function cleanUpAtExit(): void {
  process.on('exit', downAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(130));
  }
}
