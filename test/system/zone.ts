// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One zone of the real daemon between a kernel VXLAN device and an Internet
 * host, in three network namespaces; all is gone with the test.
 *
 *   CN 192.168.12.1 ---- und0 ZONE ext0 ---- WAN 203.0.113.1
 *   vx1: 10.4.5.1 (1:1), 10.4.5.2 (SNAT)     198.51.100.7 on its loopback
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tape';

export const SERVER = '198.51.100.7';
const HOST_MAC = '90:b8:d0:00:01:01';

const SERVICE = new URL('../../services/vxlnatd/', import.meta.url);
const VXLNATD = fileURLToPath(new URL('main.js', SERVICE));
const VXLNATADM = fileURLToPath(new URL('adm/main.js', SERVICE));

/** A rules file for this zone, but for its `bind` line. */
export const RULES = `
map 1 0 90:b8:d0:00:00:01 10.4.4.1/22 3.3.3.2
fixed 1 0 10.4.5.1 3.3.3.5
remote 1 0 10.4.5.1 ${HOST_MAC} 192.168.12.1
remote 1 0 10.4.5.2 ${HOST_MAC} 192.168.12.1
`;

/** Runs a shell script; throws with what it printed. */
export function sh(command: string): string {
  return execFileSync('sh', ['-ec', command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });
}

/** Resolves when a process has written a word on stderr. */
export function said(child: ChildProcess, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(word)) resolve(text);
    });
    child.on('exit', (code) => reject(new Error(`ended ${code}: ${text}`)));
  });
}

/** Resolves with the status of a process when it has ended. */
export function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve(child.exitCode);
  }
  return new Promise((resolve) => child.on('exit', resolve));
}

/** The three namespaces, named apart by a prefix. */
export class Zone {
  readonly cn: string;
  readonly zone: string;
  readonly wan: string;
  readonly #t: Test;

  constructor(t: Test, prefix: string) {
    this.#t = t;
    [this.cn, this.zone, this.wan] = ['c', 'z', 'w'].map(
      (end) => `${prefix}${end}${process.pid}`,
    ) as [string, string, string];
  }

  /** Makes them, and has the test remove them. */
  up(): void {
    const { cn, zone, wan } = this;
    this.#t.teardown(() => {
      for (const ns of [cn, zone, wan]) sh(`ip netns del ${ns} || true`);
    });
    for (const ns of [cn, zone, wan]) {
      sh(`ip netns add ${ns}; ip -n ${ns} link set lo up`);
    }
    sh(`
      ip -n ${cn} link add und0 type veth peer name und0 netns ${zone}
      ip -n ${wan} link add wan0 type veth peer name ext0 netns ${zone}
      ip -n ${cn} addr add 192.168.12.1/24 dev und0
      ip -n ${zone} addr add 192.168.12.6/24 dev und0
      ip -n ${zone} addr add 203.0.113.2/24 dev ext0
      ip -n ${wan} addr add 203.0.113.1/24 dev wan0
      ip -n ${wan} addr add ${SERVER}/32 dev lo
      ip -n ${cn} link set und0 up
      ip -n ${zone} link set und0 up
      ip -n ${zone} link set ext0 up
      ip -n ${wan} link set wan0 up
      ip -n ${zone} route add default via 203.0.113.1
      ip -n ${wan} route add 3.3.3.0/28 dev wan0 src ${SERVER}
      ip -n ${cn} link add vx1 address ${HOST_MAC} mtu 1446 type vxlan \
        id 1 local 192.168.12.1 dev und0 dstport 4789 nolearning noudpcsum
      ip -n ${cn} addr add 10.4.5.2/22 dev vx1
      ip -n ${cn} addr add 10.4.5.1/22 dev vx1
      ip -n ${cn} link set vx1 up
      ip -n ${cn} neigh add 10.4.4.1 lladdr 90:b8:d0:00:00:01 dev vx1
      bridge -n ${cn} fdb add 90:b8:d0:00:00:01 dev vx1 dst 192.168.12.6
      ip -n ${cn} route add default via 10.4.4.1
    `);
  }

  /**
   * The far ends as network cards are: they take what XDP sends, and what
   * they send has its checksums finished.
   */
  likeNetworkCards(): void {
    sh(`
      ip netns exec ${this.cn} ethtool -K und0 gro on tx off
      ip netns exec ${this.cn} ethtool -K vx1 tx off
      ip netns exec ${this.wan} ethtool -K wan0 gro on tx off
    `);
  }

  /** Starts Node in a namespace; the test ends it at the latest. */
  start(ns: string, ...argv: string[]): ChildProcess {
    const child = spawn(
      'ip',
      ['netns', 'exec', ns, process.execPath, ...argv],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    this.#t.teardown(() => child.kill('SIGKILL'));
    return child;
  }

  /** Starts the daemon and waits for its admin interface. */
  async daemon(...argv: string[]): Promise<ChildProcess> {
    const child = this.start(this.zone, VXLNATD, ...argv);
    child.stdout?.resume();
    await said(child, 'listening');
    return child;
  }

  /** Starts vxlnatadm beside the daemon. */
  startAdm(...argv: string[]): ChildProcess {
    return this.start(this.zone, VXLNATADM, ...argv);
  }

  /** Runs vxlnatadm beside the daemon. @throws when its status is not 0 */
  adm(...argv: string[]): string {
    return sh(
      `ip netns exec ${this.zone} ${process.execPath} ${VXLNATADM} ${argv.join(' ')}`,
    );
  }

  /** How many devices of the zone carry an XDP program. */
  attached(): number {
    const links = sh(`ip -n ${this.zone} link`);
    return links.split('prog/xdp').length - 1;
  }
}
