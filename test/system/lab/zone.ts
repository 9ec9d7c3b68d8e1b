// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The real daemon in the gateway of an `Edge`, and vxlnatadm beside it. */

import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Edge, FIXED, GATEWAY, HOST_MAC, NODE, SNAT } from './edge.js';
import { ROUTER, VNET } from './operations.js';

const SERVICE = new URL('../../../services/vxlnatd/', import.meta.url);
const VXLNATD = fileURLToPath(new URL('main.js', SERVICE));
const VXLNATADM = fileURLToPath(new URL('adm/main.js', SERVICE));

/** A rules file for this zone. */
export function rules(publicIp: string = SNAT.public): string {
  const at = `${HOST_MAC} ${NODE}`;
  return `bind ${GATEWAY.ul3}
map ${VNET} 0 ${ROUTER.mac} ${ROUTER.ip}/22 ${publicIp}
fixed ${VNET} 0 ${FIXED.private} ${FIXED.public}
remote ${VNET} 0 ${FIXED.private} ${at}
remote ${VNET} 0 ${SNAT.private} ${at}
`;
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

export class Zone extends Edge {
  /** Starts the daemon and waits for its admin interface. */
  async daemon(...argv: string[]): Promise<ChildProcess> {
    const child = this.spawn('gw', [process.execPath, VXLNATD, ...argv]);
    child.stdout?.resume();
    await said(child, 'listening');
    return child;
  }

  /** Starts vxlnatadm beside the daemon. */
  startAdm(...argv: string[]): ChildProcess {
    return this.spawn('gw', [process.execPath, VXLNATADM, ...argv]);
  }

  /** Runs vxlnatadm beside the daemon. @throws when its status is not 0 */
  adm(...argv: string[]): string {
    const words = [process.execPath, VXLNATADM, ...argv];
    const { status, text } = this.run('gw', ...words);
    if (status !== 0) throw new Error(text);
    return text;
  }

  /** An answer of the daemon's admin interface. */
  page(path: string): string {
    const script = `fetch('http://127.0.0.1:2960${path}').then((r) => r.text())
      .then((text) => process.stdout.write(text))`;
    return this.run('gw', process.execPath, '-e', script).text;
  }
}
