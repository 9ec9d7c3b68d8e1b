// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The daemon alone on real packets: `vxlnatd -f` between a kernel VXLAN device
 * and an Internet host, with the native engine, the kernel's ARP and routes,
 * SIGHUP, and vxlnatadm. Nothing else runs.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { FIXED, SERVER, SNAT } from './lab/edge.js';
import { sh } from './lab/lab.js';
import { ended, rules, said, Zone } from './lab/zone.js';

/** An HTTP server that answers with the address it saw. */
async function startServer(
  lab: Zone,
  machine: string,
  port: number,
): Promise<void> {
  const script = `require('http').createServer((q, r) =>
    r.end(q.socket.remoteAddress)).listen(${port}, '0.0.0.0', () =>
    console.error('listening'))`;
  const server = lab.spawn(machine, [process.execPath, '-e', script]);
  await said(server, 'listening');
}

/** What a server says, asked from an address; the error's text when it fails. */
function ask(lab: Zone, machine: string, from: string, url: string): string {
  const script = `require('http').get('${url}', {localAddress: '${from}',
    timeout: 5000}, (r) => r.on('data', (d) => process.stdout.write(d)))
    .on('timeout', function () { this.destroy(new Error('timeout')) })
    .on('error', (e) => process.stdout.write(e.message))`;
  return lab.run(machine, process.execPath, '-e', script).text;
}

test('vxlnatd -f translates, announces, reloads and cleans up', async (t) => {
  const lab = new Zone(t, 'vxs');
  lab.publicVia('link');
  const file = join(temporaryDirectory(t), 'vxlnat.conf');
  writeFileSync(file, rules());
  const words = ['-f', file, '--underlay', 'und0', '--external', 'ext0'];
  const killed = await lab.daemon(...words);
  killed.kill('SIGKILL');
  await ended(killed);
  const daemon = await lab.daemon(...words);
  t.pass('starts over what a killed one left');
  await startServer(lab, 'wan', 8080);
  await startServer(lab, 'cn', 8081);
  const host = `http://${SERVER}:8080/`;
  t.equal(ask(lab, 'cn', SNAT.private, host), SNAT.public, 'SNAT');
  t.equal(ask(lab, 'cn', FIXED.private, host), FIXED.public, '1:1, outbound');
  t.equal(
    ask(lab, 'wan', SERVER, `http://${FIXED.public}:8081/`),
    SERVER,
    '1:1, inbound',
  );
  t.ok(lab.adm('status').includes('3.3.3.2 3.3.3.5'), 'status');
  t.ok(lab.adm('flows', '--public-ip', '3.3.3.2').includes('10.4.5.2:'));
  t.ok(lab.adm('rules').includes('10.4.4.0/22'), 'rules');
  writeFileSync(file, rules('3.3.3.3'));
  daemon.kill('SIGHUP');
  await said(daemon, 'reloaded');
  t.equal(ask(lab, 'cn', SNAT.private, host), '3.3.3.3', 'SNAT after a reload');
  writeFileSync(file, 'map 1\n');
  daemon.kill('SIGHUP');
  const log = await said(daemon, 'reload failed');
  t.ok(log.includes('vxlnat.conf:1: '), 'a bad reload names the line');
  t.equal(
    ask(lab, 'cn', FIXED.private, host),
    FIXED.public,
    'and changes nothing',
  );
  daemon.kill('SIGTERM');
  t.equal(await ended(daemon), 0, 'stops');
  t.equal(
    sh(`ip -n ${lab.ns('gw')} neigh show proxy`).trim(),
    '',
    'no proxies',
  );
  t.notOk(
    sh(`ip -n ${lab.ns('gw')} link`).includes('vxn0'),
    'no device is left',
  );
});
