// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Everything that talks to napi-nat: the changefeed, the snapshot request,
 * heartbeats, the regular full comparison, and the snapshot on disk that
 * replaces them all when nobody answers.
 */

import {
  createSubscriber,
  type Subscriber,
} from '#lib/changefeed/subscriber.js';
import type { Clock, Timer } from '#lib/clock.js';
import { HttpClient } from '#lib/http/client.js';
import { TlsSource } from '#lib/http/tls.js';
import type { Heartbeat, HeartbeatReply } from '#lib/model/dataplane.js';
import type { Logger } from '#lib/service/log.js';
import type { Config } from './config.js';
import type { Remote } from './desired.js';
import { LazySaver } from './durable.js';
import type { StatsDto } from './engine.js';
import { Guard } from './fence/guard.js';
import { type Fetched, Follower } from './follow.js';
import {
  announcedShown,
  HeartbeatLoop,
  type HeartbeatStatus,
} from './heartbeat.js';
import { leisurely } from './leisurely.js';
import type { ReconcileStatus } from './reconcile.js';
import { fileSnapshots, readWorld, type Snapshots } from './snapshot.js';
import type { World } from './world.js';

/** What a zone folds; `ul3_mapping` also makes remotes follow at once. */
const RESOURCES: Readonly<Record<string, string[]>> = {
  network: ['create', 'delete', 'gateway', 'nat_reform_public'],
  aip: ['create', 'delete', 'assign', 'detach', 'update'],
  nat_public: ['create', 'delete', 'zone'],
  nat_zone: ['create', 'delete', 'state'],
  ul3_mapping: ['put', 'delete'],
};

/** How long a snapshot may make us wait for its next bytes. */
const DATAPLANE_MS = 120_000;

export interface ControlOptions {
  config: Config;
  clock: Clock;
  log: Logger;
  random: () => number;
  stats: () => StatsDto;
  status: () => ReconcileStatus;
  announced: () => Iterable<string>;
  onChange: (dirty: boolean) => void;
  onMapping: (vnet: number, ip: string, remote: Remote | null) => void;
  onBootstrap: () => void;
}

export class ControlPlane {
  readonly follower: Follower;
  readonly #options: ControlOptions;
  readonly #tls: TlsSource | undefined;
  readonly #http: HttpClient;
  readonly #beats: HttpClient;
  readonly #heartbeat: HeartbeatLoop;
  readonly #snapshots: Snapshots | null;
  readonly #saver: LazySaver | null;
  #subscriber: Subscriber | null = null;
  #timer: Timer | null = null;
  readonly #guard: Guard | null;

  constructor(options: ControlOptions) {
    const { config, clock, log } = options;
    const url = config.napi?.url ?? '';
    const tls =
      config.napi?.tls && new TlsSource('/napi/tls', config.napi.tls, log);
    this.#tls = tls;
    const { interval_ms: intervalMs } = config.heartbeat;
    this.#options = options;
    this.#http = new HttpClient({ url, tls, timeoutMs: 30_000, log });
    const beatMs = Math.max(1000, intervalMs * 5);
    this.#beats = new HttpClient({ url, tls, timeoutMs: beatMs, log });
    this.follower = new Follower({
      self: { zone_uuid: config.zone_uuid, ul3_ip: config.underlay.ip },
      fetchWorld: () => this.#fetchWorld(),
      clock,
      log,
      graceMs: config.startup_grace_ms,
      onChange: options.onChange,
      onMapping: options.onMapping,
      onBootstrap: options.onBootstrap,
    });
    const directory = config.state_directory;
    const snapshots =
      directory === null ? null : fileSnapshots(directory, config.zone_uuid);
    this.#snapshots = snapshots;
    this.#saver =
      snapshots === null
        ? null
        : new LazySaver(
            () => snapshots.save(this.follower.world()),
            clock,
            log,
          );
    this.#heartbeat = new HeartbeatLoop({
      send: (beat) => this.#send(beat),
      beat: () => this.#beat(),
      clock,
      log,
      intervalMs,
    });
    this.#guard = this.#makeGuard();
  }

  /** Self-fencing; null where there is no port for it. */
  #makeGuard(): Guard | null {
    const { config, clock, log, stats } = this.#options;
    if (config.peer_port === null) return null;
    return new Guard({
      zone: config.zone_uuid,
      address: { ip: config.underlay.ip, port: config.peer_port },
      clock,
      log,
      world: () => this.follower.world(),
      leased: () => this.#leased(),
      received: () => stats().rx_underlay_packets,
      onChange: (fence) => this.follower.setFence(fence),
    });
  }

  /** An answer counts when what was decided meanwhile is known too. */
  #leased(): boolean {
    if (!this.#heartbeat.leased()) return false;
    if (!this.follower.status().fenced) return true;
    const { newest_position: newest } = this.#heartbeat.status();
    return this.follower.position() >= newest;
  }

  /** Rules from disk at once, then the control plane. Never rejects. */
  async start(): Promise<void> {
    const { config, clock, log } = this.#options;
    const stored = await this.#load();
    this.follower.start(stored);
    this.#subscribe();
    this.#heartbeat.start();
    await this.#guard?.start();
    const compare = () =>
      this.compare().catch((err) => log.warn({ err }, 'full comparison'));
    this.#timer = leisurely(compare, config.resync_ms, clock);
  }

  /** Compares the whole world with napi-nat's. */
  compare(): Promise<void> {
    return this.follower.compare();
  }

  /** Something has been applied: the snapshot on disk is old. */
  applied(): void {
    if (this.follower.position() > 0) this.#saver?.due();
  }

  connected(): boolean {
    return this.#subscriber?.status().connected ?? false;
  }

  heartbeat(): HeartbeatStatus {
    return this.#heartbeat.status();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#heartbeat.stop();
    this.#guard?.stop();
    await this.#subscriber?.stop();
    this.follower.stop();
    this.#http.close();
    this.#beats.close();
    await this.#saver?.finish();
  }

  async #load(): Promise<World | null> {
    const { log } = this.#options;
    try {
      const world = (await this.#snapshots?.load()) ?? null;
      if (world !== null) {
        log.info({ position: world.position }, 'rules from the snapshot');
      }
      return world;
    } catch (err) {
      // The control plane has the truth; a bad copy must not end the zone.
      log.error({ err }, 'snapshot refused');
      return null;
    }
  }

  /**
   * Always from a bootstrap, whatever is on disk: a start has to know who
   * serves what now. A connection that breaks later is resumed.
   */
  #subscribe(): void {
    const { config, clock, log, random } = this.#options;
    this.#subscriber = createSubscriber({
      url: config.napi?.url ?? '',
      tls: this.#tls,
      instance: config.zone_uuid,
      service: 'vxlnatd',
      resources: Object.entries(RESOURCES).map(([resource, subResources]) => ({
        resource,
        subResources,
      })),
      clock,
      log,
      random,
      onBootstrap: () => this.follower.bootstrap(),
      onItem: (item) => {
        this.follower.change({
          seq: item.seq,
          resource: item.resource,
          id: item.id,
          object: item.object,
        });
      },
      onPosition: (position) => this.follower.moveTo(position),
    });
    this.#subscriber.start();
  }

  async #fetchWorld(): Promise<Fetched> {
    const { clock, log } = this.#options;
    const began = clock.monotonic();
    const { body } = await this.#http.get<
      Awaited<ReturnType<typeof readWorld>>
    >('/dataplane', { read: readWorld, timeoutMs: DATAPLANE_MS });
    const { world, head } = body;
    log.info(
      {
        position: world.position,
        fabrics: world.fabrics.size,
        aips: world.one_to_ones.size,
        ms: Math.round(clock.monotonic() - began),
      },
      'data plane read',
    );
    return { world, digest: String(head['digest']) };
  }

  async #send(beat: Heartbeat): Promise<HeartbeatReply> {
    const { zone_uuid } = this.#options.config;
    const path = `/nat_zones/${zone_uuid}/heartbeat`;
    const { body } = await this.#beats.post<HeartbeatReply>(path, {
      body: beat,
    });
    return body;
  }

  #beat(): Heartbeat {
    const { stats, status, announced } = this.#options;
    const { progress, flows } = stats();
    const { position, digest } = status();
    const shown = announcedShown(announced());
    return { progress, flows, position, digest, announced: shown };
  }
}
