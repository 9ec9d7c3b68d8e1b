// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Big Theory: svp-agent, which is to a Linux compute node what varpd is to a
 * SmartOS one.
 *
 * Purpose: instances sit behind a bridge whose way out is the kernel's VXLAN
 * device. That device learns nothing by itself: what it does not know it
 * reports ("miss"), and this agent answers from SVP (facts: linux-vtep,
 * svp-portolan-vxlnat 1.7, 1.8).
 *
 *   instance - bridge - [VLAN programs] - VXLAN device - underlay
 *                                           | miss  ^ entries
 *                                           v       |
 *                        SVP server <---> vnet.ts --+
 *                          |  log           ^
 *                          +-- log loop ----+--- changefeed (ul3_mapping)
 *
 * Interface: `start`, `stop`, `status`. This file constructs everything else.
 *
 * Invariants: see vnet.ts for entries, device.ts for what is made and removed.
 *
 * Failure:
 *  - no SVP server: known entries go on forwarding; new ones wait for it;
 *  - this agent dies: the kernel goes on with the entries that it has; a new
 *    agent takes them over and asks about each of them again;
 *  - `ip monitor` loses misses: the next packet of that flow raises another;
 *  - no changefeed: the SVP log brings the same, some seconds later.
 */

import type { Clock } from '#lib/clock.js';
import { TlsSource } from '#lib/http/tls.js';
import { formatIpv4 } from '#lib/net/ipv4.js';
import { formatMac } from '#lib/net/mac.js';
import type { Logger } from '#lib/service/log.js';
import { createSvpClient, type SvpClient } from '#lib/svp/client.js';
import { createLogLoop, type LogLoop } from '#lib/svp/log-loop.js';
import type { LogRecord } from '#lib/svp/messages.js';
import { type Announcer, createAnnouncer } from './announce.js';
import { type Commands, createCommands } from './commands.js';
import type { AgentConfig, VnetConfig } from './config.js';
import { type Device, deviceTables, prepareDevice } from './device.js';
import { createFeed } from './feed.js';
import { parseMiss } from './output.js';
import { createVnet, type Vnet } from './vnet.js';

export interface SvpAgent {
  /**
   * Makes the devices and starts answering.
   * @throws Error naming the command that failed; what was made is removed
   */
  start(): Promise<void>;
  /** @param keep leaves devices and entries: the node goes on forwarding */
  stop(keep: boolean): Promise<void>;
  status(): { vnet_id: number; neighbours: number; endpoints: number }[];
}

export interface AgentOptions {
  config: AgentConfig;
  clock: Clock;
  /** [0, 1). */
  random: () => number;
  log: Logger;
  /** Unique on this machine; names of what is made for announcements. */
  instance: string;
}

interface Overlay {
  config: VnetConfig;
  vnet: Vnet;
  device: Device | null;
}

function createOverlay(
  { config, clock, log }: AgentOptions,
  commands: Commands,
  svp: SvpClient,
  announcer: Announcer,
  one: VnetConfig,
): Overlay {
  const { bridge, device } = one;
  const vnet = createVnet({
    vnet: one.vnet_id,
    svp,
    tables: deviceTables(commands, device, config.vxlan_port),
    underlayIp: config.underlay_ip,
    clock,
    log: log.child({ vnet: one.vnet_id }),
    announce(ip, mac) {
      if (bridge !== null) announcer.announce(bridge, ip, mac);
    },
  });
  return { config: one, vnet, device: null };
}

function logShootdown(log: Logger, record: LogRecord): void {
  const about =
    record.type === 'vl2'
      ? { mac: formatMac(record.mac) }
      : { ip: formatIpv4(record.ip) };
  log.info({ vnet: record.vnet, ...about }, `shootdown ${record.type}`);
}

async function prepare(
  { config, log }: AgentOptions,
  commands: Commands,
  announcer: Announcer,
  one: Overlay,
): Promise<void> {
  const device = await prepareDevice(commands, config, one.config);
  one.device = device;
  if (one.config.bridge !== null) await announcer.attach(one.config.bridge);
  one.vnet.adopt(device.neighbours, device.endpoints);
  one.vnet
    .refresh()
    .catch((err) => log.warn({ err }, 'old entries not asked about yet'));
  log.info(
    { ...one.config, taken_over: device.endpoints.length },
    'vnet is ready',
  );
}

function shootdownLoop(
  { config, clock, log, random }: AgentOptions,
  svp: SvpClient,
  vnets: Map<number, Vnet>,
): LogLoop {
  return createLogLoop({
    client: svp,
    underlayIp: config.underlay_ip,
    clock,
    random,
    log,
    idleMs: config.log.idle_ms,
    jitterMs: config.log.jitter_ms,
    workMs: 0,
    // A record of a vnet that is not here is acknowledged all the same (1.8).
    onVl2: (record) => {
      logShootdown(log, record);
      return vnets.get(record.vnet)?.shootMac(record.mac);
    },
    onVl3: (record) => {
      logShootdown(log, record);
      return vnets.get(record.vnet)?.shootIp(record.ip);
    },
  });
}

/**
 * Puts an agent together; it does nothing before `start`.
 * @param options configuration, clock, randomness and log
 */
export function createSvpAgent(options: AgentOptions): SvpAgent {
  const { config, clock, log } = options;
  const commands = createCommands(config.netns, clock, log);
  const { query_ms, ...server } = config.svp;
  const timeouts = { query_ms };
  const svp = createSvpClient({ ...server, clock, log, timeouts });
  const announcer = createAnnouncer({
    commands,
    inside: createCommands(options.instance, clock, log),
    clock,
    log,
    name: options.instance,
  });
  const overlays = config.vnets.map((one) =>
    createOverlay(options, commands, svp, announcer, one),
  );
  const byDevice = new Map(overlays.map((one) => [one.config.device, one]));
  const vnets = new Map(overlays.map((one) => [one.config.vnet_id, one.vnet]));
  const loop = shootdownLoop(options, svp, vnets);
  const feed =
    config.napi === null
      ? null
      : createFeed({
          url: config.napi.url,
          tls:
            config.napi.tls && new TlsSource('/napi/tls', config.napi.tls, log),
          instance: config.cn_uuid ?? formatIpv4(config.underlay_ip),
          clock,
          random: options.random,
          log: log.child({ component: 'changefeed' }),
          vnets,
          onApplied: () => loop.poke(),
        });

  function onLine(line: string): void {
    const miss = parseMiss(line);
    const vnet = miss === null ? null : byDevice.get(miss.device)?.vnet;
    if (miss === null || vnet === null || vnet === undefined) return;
    void ('ip' in miss ? vnet.missIp(miss.ip) : vnet.missMac(miss.mac));
  }

  async function stop(keep: boolean): Promise<void> {
    loop.stop();
    // First: what the feed waits for ends with it.
    svp.close();
    await feed?.stop();
    await announcer.close();
    commands.close();
    if (keep) return;
    for (const one of overlays) {
      try {
        await one.device?.remove();
      } catch (err) {
        log.warn({ err, device: one.config.device }, 'not removed');
      }
      one.device = null;
    }
  }

  return {
    async start() {
      try {
        // Says at once what is missing: the program, or the namespace.
        await commands.run('ip', '-V');
        // Listening before there is anything to hear.
        await new Promise<void>((started) => {
          commands.monitor(onLine, started);
        });
        for (const one of overlays)
          await prepare(options, commands, announcer, one);
      } catch (error) {
        await stop(false);
        throw error;
      }
      loop.start();
      feed?.start();
    },
    stop,
    status: () =>
      overlays.map((one) => ({
        vnet_id: one.config.vnet_id,
        ...one.vnet.size(),
      })),
  };
}
