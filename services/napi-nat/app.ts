// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat: the source of truth. Big theory.
 *
 * Purpose. Networks, addresses, NICs, AIPs, NAT zones and public IPs are
 * decided here and nowhere else; zones, compute nodes and Triton's services
 * follow. To clients of real NAPI it looks like real NAPI.
 *
 * Interface. HTTP (routes/), SVP in portolan's role (svp/), and the changefeed.
 *
 * Invariants.
 *  - Each request that changes something is one batch: the objects, SVP's
 *    rows, shootdowns, and the events that tell of it (commit.ts).
 *  - What a batch was decided on is in its conditions. A decision that was
 *    overtaken is made again, never written.
 *  - Nothing is served before the buckets and initial data are there.
 *  - Memory holds only what is observed (liveness); what is decided is in the
 *    store.
 *
 * Failure. Killed at any moment, it starts again with the last committed
 * batch; packets do not notice (zones keep their rules). A start that fails
 * stops what had started and says why.
 *
 * This is the composition root: the only file that constructs things.
 */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createPublisher, type Publisher } from '#lib/changefeed/index.js';
import type { Clock } from '#lib/clock.js';
import { HttpClient } from '#lib/http/client.js';
import { createHttpServer } from '#lib/http/server.js';
import { TlsSource } from '#lib/http/tls.js';
import type { HttpServer, Route } from '#lib/http/types.js';
import { createLifecycle } from '#lib/service/lifecycle.js';
import type { Logger } from '#lib/service/log.js';
import { packageVersion } from '#lib/service/run.js';
import {
  createLease,
  fenced,
  type Lease,
  whileLeading,
} from '#lib/store/lease.js';
import type { Store } from '#lib/store/types.js';
import { forgetRegularly } from './aip/forget.js';
import { createAipProgress } from './aip/progress.js';
import { prepareBuckets } from './buckets.js';
import type { NapiConfig } from './config.js';
import type { NapiContext } from './context.js';
import { loadInitialData } from './initial.js';
import { createClaims } from './ip/claims.js';
import { ConversionRunner } from './nat-reform/convert/runner.js';
import { ZoneMonitor } from './nat-reform/monitor.js';
import { createSerial } from './nat-reform/serial.js';
import { createProber } from './probe/prober.js';
import { resources } from './resources.js';
import { aggregationRoutes } from './routes/aggregations.js';
import { aipAccountRoutes } from './routes/aip-accounts.js';
import { aipRoutes } from './routes/aips.js';
import { dataplaneRoutes } from './routes/dataplane.js';
import { fabricRoutes } from './routes/fabrics.js';
import { ipRoutes } from './routes/ips.js';
import { jobRoutes } from './routes/jobs.js';
import { createNapiMetrics, type NapiMetrics } from './routes/metrics.js';
import { natPublicRoutes } from './routes/nat-publics.js';
import { natZoneRoutes } from './routes/nat-zones.js';
import { networkPoolRoutes } from './routes/network-pools.js';
import { networkRoutes } from './routes/networks.js';
import { nicTagRoutes } from './routes/nic-tags.js';
import { nicRoutes } from './routes/nics.js';
import { pingRoutes } from './routes/ping.js';
import { searchRoutes } from './routes/search.js';
import { ul3MappingRoutes } from './routes/ul3-mappings.js';
import { openStore } from './store/open.js';
import { storeRefusal } from './store/refusal.js';
import { createSvpService } from './svp/service.js';
import { createTurns } from './turns.js';
import { refuseNonObject } from './validate/params.js';

/** Restify's name of real NAPI: clients may look at it. */
const SERVER_NAME = 'Triton Networking API';
const VERSIONS = ['1.0.0'];
const MAX_BODY_BYTES = 1024 * 1024;
/** Deleting an instance waits for its VM. */
const SAPI_TIMEOUT_MS = 60_000;

/** What an app is given instead of reaching for it. */
export interface AppDeps {
  clock: Clock;
  log: Logger;
  /** [0,1); the system's unless a test gives another. */
  random?: () => number;
  uuid?: () => string;
  /** Gives the store; the configured one is opened unless a test gives it. */
  openStore?: typeof openStore;
}

export interface Bound {
  http: { host: string; port: number };
  svp: { host: string; port: number };
}

export interface App {
  /** Resolves when everything is served. @throws why it cannot be */
  start(): Promise<Bound>;
  /** What is served; empty before the start. */
  routes(): readonly Route[];
  stop(): Promise<void>;
}

/** The parts that stand on an open store. */
interface Parts {
  ctx: NapiContext;
  publisher: Publisher;
  monitor: ZoneMonitor;
  runner: ConversionRunner;
  lease: Lease;
  svp: ReturnType<typeof createSvpService>;
  /** Ends what follows AIPs in the background. */
  stopAips: () => void;
  server: HttpServer;
  routes: readonly Route[];
}

function contextOf(
  config: NapiConfig,
  deps: AppDeps,
  store: Store,
): NapiContext {
  return {
    store,
    config,
    clock: deps.clock,
    log: deps.log,
    random: deps.random ?? Math.random,
    uuid: deps.uuid ?? randomUUID,
    placing: createSerial(),
    turns: createTurns(),
    claims: createClaims(),
  };
}

function monitorOf(whole: NapiContext, lease: Lease): ZoneMonitor {
  whole.deaf = () => monitor.deaf();
  // What it decides is written only while this process leads.
  const ctx = { ...whole, store: fenced(whole.store, lease) };
  const { vnet, interval_ms, misses, bind } = ctx.config.nat_reform.probe;
  const monitor = new ZoneMonitor(
    ctx,
    (report) =>
      createProber({
        clock: ctx.clock,
        log: ctx.log.child({ component: 'probe' }),
        random: ctx.random,
        vnet,
        interval_ms,
        misses,
        bind,
        answered: (zone) => report(zone, { type: 'probe_answered' }),
        missed: (zone) => report(zone, { type: 'probe_missed' }),
      }),
    () => lease.holds(),
  );
  return monitor;
}

function runnerOf(
  whole: NapiContext,
  lease: Lease,
  monitor: ZoneMonitor,
): ConversionRunner {
  const { clock, log, config } = whole;
  const url = config.nat_reform.sapi?.url;
  return new ConversionRunner({
    ctx: { ...whole, store: fenced(whole.store, lease) },
    clock,
    leads: () => lease.holds(),
    waiting: (position) => monitor.waiting(position),
    sapi:
      url === undefined
        ? null
        : new HttpClient({ url, timeoutMs: SAPI_TIMEOUT_MS, log }),
  });
}

function serverOf(ctx: NapiContext, metrics: NapiMetrics): HttpServer {
  const { tls } = ctx.config.listen;
  return createHttpServer({
    name: SERVER_NAME,
    log: ctx.log,
    tls: tls && new TlsSource('/listen/tls', tls, ctx.log),
    precedence: ['route', 'query', 'body'],
    versions: VERSIONS,
    maxBodyBytes: MAX_BODY_BYTES,
    before: [({ body }) => refuseNonObject(body)],
    explain: storeRefusal,
    headers: () => ({ 'x-server-name': hostname() }),
    onReply: metrics.replied,
    clock: ctx.clock,
  });
}

function assemble(ctx: NapiContext): Parts {
  const { clock, log, store } = ctx;
  const publisher = createPublisher({
    journal: store.journal,
    resources,
    log: log.child({ component: 'changefeed' }),
    clock,
  });
  const name = 'leader';
  const lease = createLease({ store, clock, log, name, holder: randomUUID() });
  const monitor = monitorOf(ctx, lease);
  const runner = runnerOf(ctx, lease, monitor);
  const progress = createAipProgress(store.journal, monitor, clock);
  const svp = createSvpService(ctx);
  const journal = store.journal;
  const metrics = createNapiMetrics({ journal, publisher, monitor, svp });
  const server = serverOf(ctx, metrics);
  const routes = [
    ...pingRoutes(ctx),
    ...metrics.routes,
    ...publisher.routes(),
    ...networkRoutes(ctx),
    ...ipRoutes(ctx),
    ...nicRoutes(ctx),
    ...nicTagRoutes(ctx),
    ...networkPoolRoutes(ctx),
    ...aggregationRoutes(ctx),
    ...searchRoutes(ctx),
    ...fabricRoutes(ctx),
    ...aipRoutes(ctx, progress),
    ...aipAccountRoutes(ctx),
    ...natZoneRoutes(ctx, monitor),
    ...natPublicRoutes(ctx),
    ...dataplaneRoutes(ctx, monitor),
    ...ul3MappingRoutes(ctx),
    ...jobRoutes(ctx),
  ];
  server.add(routes);
  server.onUpgrade((request, socket, head) =>
    publisher.handleUpgrade(request, socket, head),
  );
  const forgetting = forgetRegularly(ctx);
  const stopAips = () => {
    forgetting.cancel();
    progress.stop();
  };
  return {
    ctx,
    publisher,
    monitor,
    runner,
    lease,
    svp,
    stopAips,
    server,
    routes,
  };
}

/**
 * Builds the service; nothing is opened yet.
 * @param config checked
 */
export function createApp(config: NapiConfig, deps: AppDeps): App {
  const lifecycle = createLifecycle(deps.log);
  let parts: Parts | undefined;

  async function start(): Promise<Bound> {
    const { clock, log } = deps;
    const open = deps.openStore ?? openStore;
    const store = await open(config.store, { clock, log });
    const bound: Partial<Bound> = {};
    lifecycle.add({ name: 'store', stop: () => store.close() });
    lifecycle.add({
      name: 'initial data',
      async start() {
        const ctx = contextOf(config, deps, store);
        // Several that start at once make networks one after another.
        const turn = { store, clock, log, name: 'setup', holder: randomUUID() };
        await whileLeading(turn, async () => {
          await prepareBuckets(store);
          await loadInitialData(ctx);
        });
        parts = assemble(ctx);
      },
    });
    lifecycle.add({
      name: 'lease',
      start: () => parts?.lease.start(),
      stop: () => parts?.lease.stop(),
    });
    lifecycle.add({
      name: 'zone monitor',
      start: () => parts?.monitor.start(),
      stop: () => parts?.monitor.stop(),
    });
    lifecycle.add({ name: 'AIPs', stop: () => parts?.stopAips() });
    lifecycle.add({
      name: 'conversions',
      start: () => parts?.runner.start(),
      stop: () => parts?.runner.stop(),
    });
    lifecycle.add({
      name: 'svp',
      async start() {
        if (parts) bound.svp = await parts.svp.listen();
      },
      stop: () => parts?.svp.close(),
    });
    lifecycle.add({
      name: 'http',
      async start() {
        const { host, port } = config.listen;
        if (parts) bound.http = await parts.server.listen(host, port);
      },
      stop: () => parts?.server.close(),
    });
    // Stopped first: the server waits for connections that listeners hold.
    lifecycle.add({
      name: 'changefeed',
      stop: () => parts?.publisher.stop(),
    });
    await lifecycle.start();
    const version = packageVersion();
    log.info({ ...bound, version }, 'listening');
    return bound as Bound;
  }

  return {
    start,
    routes: () => parts?.routes ?? [],
    stop: () => lifecycle.stop(),
  };
}
