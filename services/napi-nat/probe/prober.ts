// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Sends probes to zones' UL3 addresses and matches the answers: one UDP socket
 * for all zones. It only reports; liveness.ts judges.
 */

import { createSocket, type Socket } from 'node:dgram';
import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { overslept } from '../liveness.js';
import { decodeReflection, encodeProbe } from './packet.js';

export interface ProberOptions {
  clock: Clock;
  log: Logger;
  /** [0,1) */
  random: () => number;
  vnet: number;
  interval_ms: number;
  /** As many unanswered in a row are a failure. */
  misses: number;
  /** Local address that can reach the underlay; any when absent. */
  bind?: string | undefined;
  answered: (zone: string) => void;
  missed: (zone: string) => void;
}

/** Where a zone is probed. */
export interface ProbeTarget {
  zone: string;
  ip: string;
  port: number;
}

export interface Prober {
  start(): Promise<void>;
  /** Replaces the list of zones; sessions of kept endpoints go on. */
  setTargets(targets: readonly ProbeTarget[]): void;
  stop(): void;
}

interface Session extends ProbeTarget {
  id: number;
  sequence: number;
  /** The newest probe was answered, or none was sent. */
  settled: boolean;
}

const MAX_UINT32 = 0xffffffff;

/** Makes a prober; nothing is sent before `start`. */
export function createProber(options: ProberOptions): Prober {
  const sessions = new Map<string, Session>();
  let socket: Socket | null = null;
  let timer: Timer | null = null;
  let last = 0;
  let port = 0;

  function round(): void {
    const now = options.clock.monotonic();
    // After a stall the answers lie unread in the socket: judge nothing.
    const judge = !overslept(now - last, options.interval_ms);
    last = now;
    for (const session of sessions.values()) {
      if (!session.settled && judge) options.missed(session.zone);
      send(session);
    }
  }

  function send(session: Session): void {
    session.sequence = (session.sequence + 1) >>> 0;
    session.settled = false;
    const probe = encodeProbe(
      options.vnet,
      { session: session.id, sequence: session.sequence },
      port,
      options.interval_ms * 1000,
    );
    socket?.send(probe, session.port, session.ip, (err) => {
      if (err) options.log.debug({ err, zone: session.zone }, 'probe not sent');
    });
  }

  function received(packet: Buffer): void {
    for (const session of sessions.values()) {
      const sequence = decodeReflection(packet, options.vnet, session.id);
      if (sequence === null) continue;
      // A slow answer is an answer; one older than what would be a failure by
      // now proves only that the zone lived then.
      const age = (session.sequence - sequence) >>> 0;
      if (age >= options.misses) return;
      if (age === 0) session.settled = true;
      options.answered(session.zone);
      return;
    }
  }

  return {
    async start() {
      const opened = createSocket('udp4');
      opened.on('message', received);
      await new Promise<void>((resolve, reject) => {
        opened.once('error', reject);
        opened.bind(0, options.bind, () => resolve());
      });
      opened.on('error', (err) => options.log.warn({ err }, 'probe socket'));
      opened.unref();
      socket = opened;
      port = opened.address().port;
      last = options.clock.monotonic();
      timer = options.clock.every(options.interval_ms, round);
    },
    setTargets(targets) {
      const kept = new Map(sessions);
      sessions.clear();
      for (const target of targets) {
        const old = kept.get(target.zone);
        const same = old?.ip === target.ip && old.port === target.port;
        const id = 1 + Math.floor(options.random() * (MAX_UINT32 - 1));
        sessions.set(
          target.zone,
          same ? old : { ...target, id, sequence: 0, settled: true },
        );
      }
    },
    stop() {
      timer?.cancel();
      socket?.close();
      socket = null;
    },
  };
}
