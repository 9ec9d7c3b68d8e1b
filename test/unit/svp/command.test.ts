// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The svp command as a process, at a server with one instance and two records. */

import { execFile } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { type Mac, parseMac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import type { LogRecord } from '#lib/svp/messages.js';
import { createSvpServer } from '#lib/svp/server.js';

const MAIN = fileURLToPath(
  new URL('../../../services/svp/main.js', import.meta.url),
);
const MAC = parseMac('90:b8:d0:00:00:01') as Mac;
const IP = parseIpv4('10.4.4.1') as Ipv4;
const UL3 = { ip: parseIpv4('192.168.12.6') as Ipv4, port: 4789 };
const IDS = [
  'aaaaaaaa-0000-4000-8000-000000000001',
  'aaaaaaaa-0000-4000-8000-000000000002',
] as const;

async function server(t: Test) {
  let records: LogRecord[] = [
    { type: 'vl2', id: IDS[0], mac: MAC, vnet: 7 },
    { type: 'vl3', id: IDS[1], ip: IP, vlan: 2, vnet: 7 },
  ];
  const made = createSvpServer({
    log: silentLogger(),
    backend: {
      vl2: async (vnet, mac) => (vnet === 7 && mac === MAC ? UL3 : null),
      vl3: async (vnet, ip) =>
        vnet === 7 && ip === IP ? { ...UL3, mac: MAC } : null,
      logRequest: async (ip) => (ip === UL3.ip ? records : null),
      logRemove: async (ids) => {
        records = records.filter(({ id }) => !ids.includes(id));
      },
    },
  });
  const { port } = await made.listen('127.0.0.1', 0);
  t.teardown(() => made.close());
  return port;
}

function svp(port: number, ...args: string[]) {
  return new Promise<[number, string]>((resolve) => {
    execFile(
      process.execPath,
      [MAIN, '-p', String(port), '-t', '20', ...args],
      (error, stdout, stderr) =>
        resolve([Number(error?.code ?? 0), stdout + stderr]),
    );
  });
}

test('what each command prints', async (t) => {
  const port = await server(t);
  const mac = '90:b8:d0:00:00:01';
  const at = { ul3_ip: '192.168.12.6', ul3_port: 4789 };
  const lines = `vl2 vnet 7 mac ${mac} id ${IDS[0]}\nvl3 vnet 7 ip 10.4.4.1 vlan 2 id ${IDS[1]}\n`;
  for (const [args, expected] of [
    [['ping'], [0, 'pong\n']],
    [
      ['vl2', '7', mac],
      [0, '192.168.12.6:4789\n'],
    ],
    [
      ['vl2', '8', mac],
      [1, 'not found\n'],
    ],
    [
      ['vl3', '7', '10.4.4.1'],
      [0, `${mac} at 192.168.12.6:4789\n`],
    ],
    [
      ['vl3', '-j', '7', '10.4.4.1'],
      [0, `${JSON.stringify({ mac, ...at })}\n`],
    ],
    [
      ['vl3', '-j', '7', '10.4.4.2'],
      [1, 'null\n'],
    ],
    [
      ['log', '192.168.12.6'],
      [0, `${lines}2 waiting\n`],
    ],
    [
      ['log-rm', '192.168.12.6'],
      [0, `${lines}2 removed\n`],
    ],
    [
      ['log', '192.168.12.6'],
      [0, '0 waiting\n'],
    ],
    [
      ['log', '192.168.12.7'],
      [1, 'not found\n'],
    ],
    [
      ['vl3', '7', '10.4.4'],
      [2, 'svp: "10.4.4" is not an IPv4 address\n'],
    ],
    [
      ['vl2', '16777216', mac],
      [2, 'svp: "16777216" is not a VNET (0 to 16777215)\n'],
    ],
    [
      ['vl2', '7'],
      [2, 'svp: a MAC is required\n'],
    ],
    [
      ['ping', 'me'],
      [2, 'svp: too many args: me\n'],
    ],
    [
      ['-p', '80.5', 'ping'],
      [2, 'svp: --port: "80.5" is not 1 to 65535\n'],
    ],
    [['toString'], [2, 'svp: unknown: "toString"; see --help\n']],
  ] as [string[], [number, string]][]) {
    t.deepEqual(await svp(port, ...args), expected, args.join(' '));
  }
});

test('nobody answers: the reason, and status 1', async (t) => {
  const gone = createServer();
  await new Promise<void>((done) => gone.listen(0, '127.0.0.1', done));
  const { port } = gone.address() as AddressInfo;
  await new Promise((done) => gone.close(done));
  const [status, said] = await svp(port, '-t', '1', 'ping');
  t.equal(status, 1);
  t.match(said, /^svp: no SVP answer in 1000 ms: connect ECONNREFUSED /);
});
