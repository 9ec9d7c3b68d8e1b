// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The admin interface over an engine, and vxlnatadm against it. */

import type { Test } from 'tape';
import { silentLogger } from '#lib/service/log.js';
import { FakeEngine } from '#test/fake-engine.js';
import { startHttp } from '#test/http-server.js';
import { manualClock } from '#test/manual-clock.js';
import {
  type Live,
  vxlnatadm,
} from '../../../services/vxlnatd/adm/commands.js';
import { adminRoutes } from '../../../services/vxlnatd/admin.js';
import type { BgpWatch } from '../../../services/vxlnatd/announce/bgp.js';
import { completeBgp } from '../../../services/vxlnatd/announce/bgp-settings.js';
import { noAnnouncer } from '../../../services/vxlnatd/announce/none.js';
import { completeConfig } from '../../../services/vxlnatd/config.js';
import type { Engine } from '../../../services/vxlnatd/engine.js';
import { Watch } from '../../../services/vxlnatd/heartbeat.js';
import { Hottest } from '../../../services/vxlnatd/look/hottest.js';
import { unmanagedKernel } from '../../../services/vxlnatd/os/unmanaged.js';
import { parseProtoFile } from '../../../services/vxlnatd/proto-file.js';
import { Reconciler } from '../../../services/vxlnatd/reconcile.js';
import { Resolver } from '../../../services/vxlnatd/svp/resolver.js';

const RULES = `
bind 192.168.12.6
map 1 0 90:b8:d0:00:00:01 10.4.4.1/22 3.3.3.2
map 2 0 90:b8:d0:00:00:02 10.6.6.1/24 3.3.3.3
fixed 1 0 10.4.5.1 3.3.3.5
`;

function flow(vnet: number, port: number) {
  return {
    vnet,
    proto: 6,
    private_ip: '10.4.5.9',
    private_port: port,
    public_ip: '3.3.3.2',
    public_port: port,
    remote_ip: '198.51.100.7',
    remote_port: 80,
    state: 'established',
    idle_ms: 61_000,
    expires_ms: 7_379_000,
    packets_out: 12,
    packets_in: 10,
  };
}

/**
 * The admin interface over a double of the engine, with flows and drops.
 * @param bgp announcement by BGP, if there shall be any
 */
export async function setUp(t: Test, bgp: BgpWatch | null = null) {
  const world = await setUpOver(t, new FakeEngine(), bgp);
  const { engine } = world;
  engine.flowList = [flow(1, 1001), flow(1, 1002), flow(2, 1003)];
  engine.dropList = [
    { name: 'no_rule', sentence: 'no rule covers the source', count: 7 },
    { name: 'no_vnet', sentence: 'unknown vnet', count: 0 },
  ];
  return world;
}

/** As `setUp`, over an engine that is there, which learns the rules. */
export async function setUpOver<E extends Engine>(
  t: Test,
  engine: E,
  bgp: BgpWatch | null = null,
) {
  const clock = manualClock();
  const log = silentLogger();
  const desired = parseProtoFile('f', RULES);
  const gratuitous = { start: () => {}, stop: () => {}, close: () => {} };
  const reconciler = new Reconciler({
    engine,
    kernel: unmanagedKernel(noAnnouncer(), gratuitous, null),
    source: {
      desired: () => desired,
      touched: () => null,
      position: () => 4,
      known: () => true,
    },
    clock,
    log,
  });
  const resolver = new Resolver({ engine, lookUp: null, log });
  const config = completeConfig({ underlay: {} });
  config.external.ip = '203.0.113.2';
  if (bgp !== null) config.bgp = completeBgp({ local_as: 1, neighbors: [] });
  reconciler.kick();
  await reconciler.settled();
  const progress = { frozen: false, value: 1 };
  const watch = new Watch(() => {
    if (!progress.frozen) progress.value += 1;
    return progress.value;
  }, clock);
  const routes = adminRoutes({
    config,
    engine,
    clock,
    watch,
    hottest: new Hottest(engine, clock),
    applied: reconciler.applied,
    reconcile: () => reconciler.status(),
    resolver: () => resolver.stats(),
    follow: null,
    heartbeat: null,
    connected: null,
    world: null,
    uptimeMs: () => 7_260_000,
    threads: () => [{ name: 'vxlnat-lane0', seconds: 1.5 }],
    natLog: () => ({ events: 7, lost: 1 }),
    bgp,
  });
  const http = await startHttp(t, routes);
  const ask: Live['ask'] = async (url, method) => {
    const response = await fetch(url, { method });
    const text = await response.text();
    const body = text === '' ? null : JSON.parse(text);
    return { status: response.status, body };
  };
  let looks = 0;
  const screen: string[] = [];
  const detached: string[] = [];
  const files = new Map<string, Buffer[]>();
  const live: Live = {
    ask,
    async open(url) {
      const response = await fetch(url);
      return {
        status: response.status,
        body: response.status >= 300 ? await response.json() : null,
        bits: response.body as unknown as AsyncIterable<Uint8Array>,
      };
    },
    write: (text) => void screen.push(text),
    save(path) {
      const parts: Buffer[] = [];
      files.set(path, parts);
      return {
        write: async (bytes) => void parts.push(Buffer.from(bytes)),
        end: async () => {},
      };
    },
    lines: async function* (path) {
      yield* Buffer.concat(files.get(path) ?? [])
        .toString()
        .split('\n');
    },
    detach: async (pins) => void detached.push(pins),
    pause: async () => screen.length < 3,
    now: () => {
      looks += 1000;
      return looks;
    },
    rows: () => 24,
    columns: () => 120,
  };
  const adm = (...argv: string[]) => vxlnatadm(['-u', http.url, ...argv], live);
  return {
    engine,
    clock,
    config,
    desired,
    reconciler,
    progress,
    http,
    routes,
    adm,
    screen,
    files,
    detached,
  };
}
