// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The native engine on its socket and TUN device, with flows in it. */

import { createSocket } from 'node:dgram';
import type { Test } from 'tape';
import { checksum } from '../../services/napi-nat/probe/packet.js';
import {
  completeConfig,
  engineConfig,
  ioConfig,
} from '../../services/vxlnatd/config.js';
import {
  type Engine,
  openNativeEngine,
} from '../../services/vxlnatd/engine.js';
import { until } from './until.js';

const HOST = { ip: '10.4.5.9', mac: '90:b8:d0:00:00:aa' };
const PORT_BASE = 23_000;
const PORTS = 20_000;
let opened = 0;

/**
 * An engine without rules, closed with its test. Needs root.
 * @returns with the port of its VXLAN socket
 */
export async function realEngine(
  t: Test,
): Promise<{ engine: Engine; port: number }> {
  opened += 1;
  const own = (process.pid + opened) % PORTS;
  const port = PORT_BASE + own;
  const config = completeConfig({
    underlay: { port },
    tun: { name: `vxr${own}` },
    io: 'tun',
    engine: { max_flows: 1024 },
  });
  const seed = '00'.repeat(16);
  const settings = engineConfig(config, seed);
  const engine = await openNativeEngine(settings, ioConfig(config), () => {});
  t.teardown(() => engine.close());
  return { engine, port };
}

/** A datagram of the host in a vnet, from the VXLAN header on. */
function datagram(vnet: number, sourcePort: number): Buffer {
  const packet = Buffer.from(
    '0800000000000000' +
      '90b8d000000190b8d00000aa0800' +
      '4500001c12344000401100000a040509c6336407' +
      '0000003500080000',
    'hex',
  );
  packet.writeUInt32BE(vnet << 8, 4);
  packet.writeUInt16BE(checksum(packet.subarray(22, 42)), 32);
  packet.writeUInt16BE(sourcePort, 42);
  return packet;
}

/**
 * Flows of 10.4.5.9 to 198.51.100.7, port 53; a rule must cover them.
 * @param sourcePorts one flow for each
 */
export async function openFlows(
  { engine, port }: { engine: Engine; port: number },
  vnet: number,
  sourcePorts: readonly number[],
): Promise<void> {
  const ul3 = { ul3_ip: '127.0.0.1', ul3_port: port };
  await engine.apply([
    { op: 'add_ul3', ip: ul3.ul3_ip },
    { op: 'set_remote', vnet, ...HOST, ...ul3 },
  ]);
  const goal = engine.stats().flows + sourcePorts.length;
  const socket = createSocket('udp4');
  for (const each of sourcePorts) {
    socket.send(datagram(vnet, each), port, '127.0.0.1');
  }
  await until('the flows', () => engine.stats().flows >= goal);
  socket.close();
}
