// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatd's composition root: the one place where its parts are made and tied
 * together. The order of a start is the order of trust: the engine with no
 * rules (it drops everything), a kernel swept of what a killed daemon left
 * behind, the rules on disk or in the file, and only then the control plane.
 */

import type { Clock } from '#lib/clock.js';
import { createHttpServer } from '#lib/http/server.js';
import type { HttpServer } from '#lib/http/types.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import type { Logger } from '#lib/service/log.js';
import { createSvpClient, type SvpClient } from '#lib/svp/client.js';
import type { LogLoop } from '#lib/svp/log-loop.js';
import { adminRoutes } from './admin.js';
import { placementOf } from './announce/placement.js';
import { type Config, engineConfig, ioConfig } from './config.js';
import { ControlPlane } from './control.js';
import { LazySaver } from './durable.js';
import type { Engine, EngineEvent, OpenEngine } from './engine.js';
import { Watch } from './heartbeat.js';
import { leisurely } from './leisurely.js';
import { FlowEventReader } from './look/flow-events.js';
import { Hottest, PoolWatch, portsOf } from './look/hottest.js';
import { NatLog, type NatLogStats } from './nat-log/nat-log.js';
import type { RunIp } from './os/ip.js';
import type { Kernel } from './os/kernel.js';
import { openKernel } from './os/open.js';
import { threadTimes } from './os/threads.js';
import type { Step } from './plan.js';
import { Reconciler } from './reconcile.js';
import type { RulesFile } from './rules-file.js';
import { loadRemotes, saveRemotes } from './svp/remotes-file.js';
import { Resolver } from './svp/resolver.js';
import { shootdownLoop, svpLookUp } from './svp/shootdown.js';

/** What an app is given instead of reaching for it. */
export interface AppDeps {
  openEngine: OpenEngine;
  runIp: RunIp;
  clock: Clock;
  log: Logger;
  /** [0, 1). */
  random: () => number;
  /** 32 hex digits: keys the engine's hashes and port choice. */
  seed: string;
}

export class App {
  readonly #config: Config;
  readonly #deps: AppDeps;
  readonly #file: RulesFile | null;
  readonly #stops: (() => Promise<void> | void)[] = [];
  #reconciler: Reconciler | null = null;
  #control: ControlPlane | null = null;
  #natLog: NatLog | null = null;
  #logStats = (): NatLogStats => ({ events: 0, lost: 0 });
  #stopped: Promise<void> | null = null;
  #handOver = false;
  /** Where the admin interface listens; known after `start`. */
  address = { host: '', port: 0 };

  /**
   * @param file rules from a file; null takes them from napi-nat
   */
  constructor(config: Config, file: RulesFile | null, deps: AppDeps) {
    this.#config = config;
    this.#file = file;
    this.#deps = deps;
  }

  /** The control loop, once started. */
  get reconciler(): Reconciler {
    if (this.#reconciler === null) throw new Error('vxlnatd is not started');
    return this.#reconciler;
  }

  /** The control plane's follower, when there is a control plane. */
  get control(): ControlPlane | null {
    return this.#control;
  }

  /**
   * Starts everything; on a failure what was started is stopped again.
   * @throws an Error naming the device, file or address at fault
   */
  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /**
   * SIGHUP: reads the rules file again, or compares with the control plane.
   * @throws when the file has a fault; nothing has changed then
   */
  async reload(): Promise<void> {
    this.#natLog?.reopen();
    this.#file?.reload();
    await this.#control?.compare();
    await this.reconciler.recheck();
  }

  /**
   * Has `stop` leave everything to a successor that starts at once: the XDP
   * program, which goes on with established flows, routes and announcements.
   */
  handOver(): void {
    this.#handOver = true;
  }

  /** Stops in reverse order; takes back what was added to the kernel. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #start(): Promise<void> {
    const { log, clock } = this.#deps;
    const started = clock.monotonic();
    const svp = this.#openSvp();
    let resolver: Resolver | null = null;
    const engine = await this.#openEngine((vnet, ip) =>
      resolver?.want(vnet, ip),
    );
    await this.#startNatLog(engine);
    resolver = await this.#makeResolver(engine, svp);
    const kernel = openKernel(
      this.#config,
      engine,
      this.#deps.runIp,
      clock,
      log,
      placementOf(
        this.#config.zone_uuid,
        () => this.#control?.follower ?? null,
      ),
    );
    this.#onStop(() => kernel.close(this.#handOver));
    await kernel.prepare();
    await this.#startLoop(engine, kernel, resolver);
    await this.#startAdmin(engine, kernel, resolver, started);
    await this.#control?.start();
    if (svp !== null) this.#startShootdowns(svp, resolver);
  }

  /** The log of sessions, before the first of them. */
  async #startNatLog(engine: Engine): Promise<void> {
    const { nat_log, zone_uuid } = this.#config;
    if (nat_log === null) return;
    const { clock, log } = this.#deps;
    const sinks = new NatLog(nat_log, zone_uuid, log);
    this.#natLog = sinks;
    const reader = new FlowEventReader(engine, clock, log, (events) =>
      sinks.write(events),
    );
    this.#onStop(async () => {
      await reader.stop();
      await sinks.close();
    });
    this.#logStats = () => ({
      events: sinks.stats.events,
      lost: sinks.stats.lost + reader.lost,
    });
    await reader.start();
  }

  /** The resolver, with what it knew before a restart. */
  async #makeResolver(
    engine: Engine,
    svp: SvpClient | null,
  ): Promise<Resolver> {
    const { log, clock } = this.#deps;
    const directory = svp === null ? null : this.#config.state_directory;
    const saver =
      directory === null
        ? null
        : new LazySaver(
            () => saveRemotes(directory, resolver.remotes()),
            clock,
            log,
          );
    const resolver = new Resolver({
      engine,
      lookUp: svp === null ? null : svpLookUp(svp),
      log,
      onKnown: () => saver?.due(),
    });
    this.#onStop(() => resolver.close());
    this.#onStop(() => saver?.finish());
    if (directory === null) return resolver;
    try {
      resolver.restore(await loadRemotes(directory));
    } catch (err) {
      log.error({ err }, 'remotes on disk are left out');
    }
    return resolver;
  }

  #onStop(stop: () => Promise<void> | void): void {
    this.#stops.push(stop);
  }

  #openSvp(): SvpClient | null {
    const { napi, svp } = this.#config;
    const { clock, log } = this.#deps;
    if (svp === null) {
      if (napi !== null) log.warn('no svp: instances will not be found');
      return null;
    }
    const client = createSvpClient({
      ...svp,
      clock,
      log,
      // Packets wait for the answer: give up and reconnect sooner than varpd.
      timeouts: { query_ms: 2000, reconnect_ms: [50, 200, 1000, 2000] },
    });
    this.#onStop(() => client.close());
    return client;
  }

  async #openEngine(
    onMiss: (vnet: number, ip: string) => void,
  ): Promise<Engine> {
    const { log, openEngine, seed } = this.#deps;
    const onEvents = (events: EngineEvent[]) => {
      for (const event of events) {
        if (event.event === 'remote_miss') onMiss(event.vnet, event.ip);
        else log[event.level]({ component: 'engine' }, event.message);
      }
    };
    const engine = await openEngine(
      engineConfig(this.#config, seed),
      ioConfig(this.#config),
      onEvents,
    );
    this.#onStop(() => engine.close(this.#handOver));
    return engine;
  }

  /** The control loop, swept of strays and with the first rules applied. */
  async #startLoop(
    engine: Engine,
    kernel: Kernel,
    resolver: Resolver,
  ): Promise<void> {
    const { log, clock } = this.#deps;
    if (this.#file === null) this.#makeControl(engine, resolver);
    const source = this.#file ?? this.#control?.follower;
    if (source === undefined) throw new Error('neither a file nor napi');
    const onPass = (steps: Step[]) => {
      for (const step of steps) {
        if (step.kind !== 'set_entry') continue;
        resolver.prefetch(step.entry.vnet_id, step.entry.private_ip);
      }
      this.#control?.applied();
    };
    const options = { engine, kernel, source, clock, log, onPass };
    const reconciler = new Reconciler(options);
    this.#reconciler = reconciler;
    this.#onStop(() => (this.#handOver ? undefined : reconciler.withdraw()));
    await reconciler.recheck();
    this.#attach(engine);
    const recheck = () =>
      reconciler
        .recheck()
        .catch((err) => log.error({ err }, 'full comparison'));
    const timer = leisurely(recheck, this.#config.resync_ms, clock);
    this.#onStop(() => timer.cancel());
  }

  /** The XDP program in place, now that there are rules. */
  #attach(engine: Engine): void {
    const wanted = this.#config.io;
    const { path, why, ports, flows_taken_over } = engine.attach();
    if (wanted !== 'auto' && path !== wanted) {
      throw new Error(`io "${wanted}" does not work here: ${why}`);
    }
    const modes = ports.map((port) => `${port.interface} ${port.mode}`);
    this.#deps.log.info(
      { path, why, ports: modes, flows_taken_over },
      `packets go by ${path}`,
    );
  }

  #makeControl(engine: Engine, resolver: Resolver): void {
    const { log, clock, random } = this.#deps;
    const control = new ControlPlane({
      config: this.#config,
      clock,
      log,
      random,
      stats: () => engine.stats(),
      status: () => this.reconciler.status(),
      announced: () => this.reconciler.applied.announced,
      onChange: (dirty) => this.#reconciler?.kick(dirty),
      onMapping: (vnet, ip, remote) => resolver.event(vnet, ip, remote),
      onBootstrap: () => resolver.refreshAll(),
    });
    this.#control = control;
  }

  async #startAdmin(
    engine: Engine,
    kernel: Kernel,
    resolver: Resolver,
    started: number,
  ): Promise<void> {
    const { log, clock } = this.#deps;
    const { host, port } = this.#config.admin;
    const watch = new Watch(() => engine.stats().progress, clock);
    const looking = clock.every(1000, () => watch.look());
    this.#onStop(() => looking.cancel());
    const control = this.#control;
    const server: HttpServer = createHttpServer({
      name: 'vxlnatd',
      log,
      precedence: ['route', 'query', 'body'],
      versions: ['1.0.0'],
      maxBodyBytes: 64 * 1024,
    });
    server.add(
      adminRoutes({
        config: this.#config,
        engine,
        clock,
        watch,
        hottest: this.#findHottest(engine),
        applied: this.reconciler.applied,
        reconcile: () => this.reconciler.status(),
        resolver: () => resolver.stats(),
        follow: control === null ? null : () => control.follower.status(),
        heartbeat: control === null ? null : () => control.heartbeat(),
        connected: control === null ? null : () => control.connected(),
        world: control === null ? null : () => control.follower.world(),
        uptimeMs: () => clock.monotonic() - started,
        threads: threadTimes,
        natLog: this.#natLog && (() => this.#logStats()),
        bgp: kernel.bgp ?? null,
      }),
    );
    this.address = await server.listen(host, port);
    this.#onStop(() => server.close());
    const { zone_uuid } = this.#config;
    log.info({ zone_uuid, admin: this.address }, 'listening');
    // Stopped before the loop: no change may come while it is taken down.
    if (control !== null) this.#onStop(() => control.stop());
  }

  /** The hot remotes; with a NAT log it is also told when ports run out. */
  #findHottest(engine: Engine): Hottest {
    const { clock, log } = this.#deps;
    const hottest = new Hottest(engine, clock);
    const sinks = this.#natLog;
    if (sinks === null) return hottest;
    const ports = portsOf(this.#config.engine);
    const pools = new PoolWatch(hottest, ports, (told) => sinks.write(told));
    this.#onStop(pools.start(clock, log));
    return hottest;
  }

  #startShootdowns(client: SvpClient, resolver: Resolver): void {
    const underlayIp = parseIpv4(this.#config.underlay.ip);
    if (underlayIp === null || underlayIp === 0) return;
    const { clock, log, random } = this.#deps;
    const loop: LogLoop = shootdownLoop({
      client,
      resolver,
      underlayIp,
      clock,
      random,
      log,
    });
    loop.start();
    this.#onStop(() => loop.stop());
  }

  async #stop(): Promise<void> {
    for (const stop of this.#stops.reverse()) {
      try {
        await stop();
      } catch (err) {
        this.#deps.log.error({ err }, 'did not stop cleanly');
      }
    }
  }
}
