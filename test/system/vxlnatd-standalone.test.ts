// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The daemon alone on real packets: `vxlnatd -f` between a kernel VXLAN device
 * and an Internet host, with the native engine, the kernel's ARP and routes,
 * SIGHUP, and vxlnatadm. Nothing else runs.
 *
 *   CN 192.168.12.1 ---- und0 ZONE ext0 ---- WAN 203.0.113.1
 *   vx1: 10.4.5.1 (1:1), 10.4.5.2 (SNAT)     198.51.100.7 on its loopback
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';

const CN = `vxsc${process.pid}`;
const ZONE = `vxsz${process.pid}`;
const WAN = `vxsw${process.pid}`;
const SERVICE = new URL('../../services/vxlnatd/', import.meta.url);
const VXLNATD = fileURLToPath(new URL('main.js', SERVICE));
const VXLNATADM = fileURLToPath(new URL('adm/main.js', SERVICE));

const RULES = `
map 1 0 90:b8:d0:00:00:01 10.4.4.1/22 3.3.3.2
fixed 1 0 10.4.5.1 3.3.3.5
remote 1 0 10.4.5.1 90:b8:d0:00:01:01 192.168.12.1
remote 1 0 10.4.5.2 90:b8:d0:00:01:01 192.168.12.1
`;

function sh(command: string): string {
  return execFileSync('sh', ['-ec', command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });
}

function setUp(t: Test): void {
  t.teardown(() => {
    for (const ns of [CN, ZONE, WAN]) sh(`ip netns del ${ns} || true`);
  });
  for (const ns of [CN, ZONE, WAN]) {
    sh(`ip netns add ${ns}; ip -n ${ns} link set lo up`);
  }
  sh(`
    ip -n ${CN} link add und0 type veth peer name und0 netns ${ZONE}
    ip -n ${WAN} link add wan0 type veth peer name ext0 netns ${ZONE}
    ip -n ${CN} addr add 192.168.12.1/24 dev und0
    ip -n ${ZONE} addr add 192.168.12.6/24 dev und0
    ip -n ${ZONE} addr add 203.0.113.2/24 dev ext0
    ip -n ${WAN} addr add 203.0.113.1/24 dev wan0
    ip -n ${WAN} addr add 198.51.100.7/32 dev lo
    ip -n ${CN} link set und0 up
    ip -n ${ZONE} link set und0 up
    ip -n ${ZONE} link set ext0 up
    ip -n ${WAN} link set wan0 up
    ip -n ${ZONE} route add default via 203.0.113.1
    ip -n ${WAN} route add 3.3.3.0/28 dev wan0
    ip -n ${CN} link add vx1 address 90:b8:d0:00:01:01 mtu 1446 type vxlan \
      id 1 local 192.168.12.1 dev und0 dstport 4789 nolearning
    ip -n ${CN} addr add 10.4.5.1/22 dev vx1
    ip -n ${CN} addr add 10.4.5.2/22 dev vx1
    ip -n ${CN} link set vx1 up
    ip -n ${CN} neigh add 10.4.4.1 lladdr 90:b8:d0:00:00:01 dev vx1
    bridge -n ${CN} fdb add 90:b8:d0:00:00:01 dev vx1 dst 192.168.12.6
    ip -n ${CN} route add default via 10.4.4.1
  `);
}

function start(t: Test, ns: string, ...argv: string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', ns, process.execPath, ...argv], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

/** Resolves when a process has written something on stderr. */
function said(child: ChildProcess, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(word)) resolve(text);
    });
    child.on('exit', (code) => reject(new Error(`ended ${code}: ${text}`)));
  });
}

/** An HTTP server that answers with the address it saw. */
async function startServer(t: Test, ns: string, port: number): Promise<void> {
  const script = `require('http').createServer((q, r) =>
    r.end(q.socket.remoteAddress)).listen(${port}, '0.0.0.0', () =>
    console.error('listening'))`;
  await said(start(t, ns, '-e', script), 'listening');
}

/** What a server says, asked from an address; the error's text when it fails. */
function ask(ns: string, from: string, url: string): string {
  const script = `require('http').get('${url}', {localAddress: '${from}',
    timeout: 5000}, (r) => r.on('data', (d) => process.stdout.write(d)))
    .on('timeout', function () { this.destroy(new Error('timeout')) })
    .on('error', (e) => process.stdout.write(e.message))`;
  return execFileSync(
    'ip',
    ['netns', 'exec', ns, process.execPath, '-e', script],
    { encoding: 'utf8', timeout: 20_000 },
  );
}

function adm(...argv: string[]): string {
  return sh(
    `ip netns exec ${ZONE} ${process.execPath} ${VXLNATADM} ${argv.join(' ')}`,
  );
}

async function startZone(t: Test, file: string): Promise<ChildProcess> {
  const zone = start(
    t,
    ZONE,
    VXLNATD,
    ...['-f', file, '--underlay', 'und0', '--external', 'ext0'],
  );
  await said(zone, 'listening');
  return zone;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on('exit', resolve));
}

test('vxlnatd -f translates, announces, reloads and cleans up', async (t) => {
  setUp(t);
  const file = join(temporaryDirectory(t), 'vxlnat.conf');
  writeFileSync(file, `bind 192.168.12.6\n${RULES}`);
  const killed = await startZone(t, file);
  killed.kill('SIGKILL');
  await ended(killed);
  const zone = await startZone(t, file);
  t.pass('starts over what a killed one left');
  await startServer(t, WAN, 8080);
  await startServer(t, CN, 8081);
  const host = 'http://198.51.100.7:8080/';
  t.equal(ask(CN, '10.4.5.2', host), '3.3.3.2', 'SNAT');
  t.equal(ask(CN, '10.4.5.1', host), '3.3.3.5', '1:1, outbound');
  t.equal(
    ask(WAN, '198.51.100.7', 'http://3.3.3.5:8081/'),
    '198.51.100.7',
    '1:1, inbound',
  );
  t.ok(adm('status').includes('3.3.3.2 3.3.3.5'), 'status');
  t.ok(adm('flows', '--public-ip', '3.3.3.2').includes('10.4.5.2:'), 'flows');
  t.ok(adm('rules').includes('10.4.4.0/22'), 'rules');
  writeFileSync(
    file,
    `bind 192.168.12.6\n${RULES.replace('/22 3.3.3.2', '/22 3.3.3.3')}`,
  );
  zone.kill('SIGHUP');
  await said(zone, 'reloaded');
  t.equal(ask(CN, '10.4.5.2', host), '3.3.3.3', 'SNAT after a reload');
  writeFileSync(file, 'map 1\n');
  zone.kill('SIGHUP');
  const log = await said(zone, 'reload failed');
  t.ok(log.includes('vxlnat.conf:1: '), 'a bad reload names the line');
  t.equal(ask(CN, '10.4.5.1', host), '3.3.3.5', 'and changes nothing');
  zone.kill('SIGTERM');
  t.equal(await ended(zone), 0, 'stops');
  t.equal(sh(`ip -n ${ZONE} neigh show proxy`).trim(), '', 'nothing answers');
  t.notOk(sh(`ip -n ${ZONE} link show`).includes('vxn0'), 'no device is left');
});
