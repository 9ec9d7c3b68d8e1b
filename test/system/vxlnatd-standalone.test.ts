// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The daemon alone on real packets: `vxlnatd -f` between a kernel VXLAN device
 * and an Internet host, with the native engine, the kernel's ARP and routes,
 * SIGHUP, and vxlnatadm. Nothing else runs.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { ended, RULES, SERVER, said, sh, Zone } from './zone.js';

/** An HTTP server that answers with the address it saw. */
async function startServer(
  zone: Zone,
  ns: string,
  port: number,
): Promise<void> {
  const script = `require('http').createServer((q, r) =>
    r.end(q.socket.remoteAddress)).listen(${port}, '0.0.0.0', () =>
    console.error('listening'))`;
  await said(zone.start(ns, '-e', script), 'listening');
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

test('vxlnatd -f translates, announces, reloads and cleans up', async (t) => {
  const lab = new Zone(t, 'vxs');
  lab.up();
  const { cn, wan } = lab;
  const file = join(temporaryDirectory(t), 'vxlnat.conf');
  writeFileSync(file, `bind 192.168.12.6\n${RULES}`);
  const words = ['-f', file, '--underlay', 'und0', '--external', 'ext0'];
  const killed = await lab.daemon(...words);
  killed.kill('SIGKILL');
  await ended(killed);
  const daemon = await lab.daemon(...words);
  t.pass('starts over what a killed one left');
  await startServer(lab, wan, 8080);
  await startServer(lab, cn, 8081);
  const host = `http://${SERVER}:8080/`;
  t.equal(ask(cn, '10.4.5.2', host), '3.3.3.2', 'SNAT');
  t.equal(ask(cn, '10.4.5.1', host), '3.3.3.5', '1:1, outbound');
  t.equal(ask(wan, SERVER, 'http://3.3.3.5:8081/'), SERVER, '1:1, inbound');
  t.ok(lab.adm('status').includes('3.3.3.2 3.3.3.5'), 'status');
  t.ok(lab.adm('flows', '--public-ip', '3.3.3.2').includes('10.4.5.2:'));
  t.ok(lab.adm('rules').includes('10.4.4.0/22'), 'rules');
  writeFileSync(
    file,
    `bind 192.168.12.6\n${RULES.replace('/22 3.3.3.2', '/22 3.3.3.3')}`,
  );
  daemon.kill('SIGHUP');
  await said(daemon, 'reloaded');
  t.equal(ask(cn, '10.4.5.2', host), '3.3.3.3', 'SNAT after a reload');
  writeFileSync(file, 'map 1\n');
  daemon.kill('SIGHUP');
  const log = await said(daemon, 'reload failed');
  t.ok(log.includes('vxlnat.conf:1: '), 'a bad reload names the line');
  t.equal(ask(cn, '10.4.5.1', host), '3.3.3.5', 'and changes nothing');
  daemon.kill('SIGTERM');
  t.equal(await ended(daemon), 0, 'stops');
  t.equal(sh(`ip -n ${lab.zone} neigh show proxy`).trim(), '', 'no proxies');
  t.notOk(sh(`ip -n ${lab.zone} link`).includes('vxn0'), 'no device is left');
});
