// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The daemon's admin interface: what it does, for people (`vxlnatadm`),
 * monitoring and orchestration. It reads, and ends single flows; rules come
 * from the control plane or a file only. `docs/vxlnatd.md` lists the routes.
 */

import type { Clock } from '#lib/clock.js';
import { missingParameter, notFound } from '#lib/errors.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { BgpWatch } from './announce/bgp.js';
import { bgpReply } from './announce/bgp-route.js';
import { shownBgp } from './announce/bgp-settings.js';
import type { Config } from './config.js';
import type {
  Engine,
  FlowFilterDto,
  FlowPageDto,
  Operation,
} from './engine.js';
import type { FollowStatus } from './follow.js';
import {
  announcedShown,
  type HeartbeatStatus,
  type Watch,
} from './heartbeat.js';
import type { Hottest } from './look/hottest.js';
import { lookRoutes } from './look/routes.js';
import { natReply } from './mapping.js';
import { exposition } from './metrics.js';
import type { NatLogStats } from './nat-log/nat-log.js';
import type { ThreadTime } from './os/threads.js';
import type { Applied } from './plan.js';
import { Fields, flowMatch, MATCH_FIELDS } from './query.js';
import type { ReconcileStatus } from './reconcile.js';
import type { ResolverStats } from './svp/resolver.js';
import type { World } from './world.js';

/** What the routes show; `app.ts` builds it. */
export interface AdminView {
  config: Config;
  engine: Engine;
  clock: Clock;
  watch: Watch;
  hottest: Hottest;
  applied: Applied;
  reconcile: () => ReconcileStatus;
  resolver: () => ResolverStats;
  /** Null without a control plane. */
  follow: (() => FollowStatus) | null;
  heartbeat: (() => HeartbeatStatus) | null;
  connected: (() => boolean) | null;
  /** Null without a control plane. */
  world: (() => World) | null;
  uptimeMs: () => number;
  threads: () => ThreadTime[];
  /** Null unless public IPs are announced by BGP. */
  bgp: BgpWatch | null;
  /** Null when no sessions are logged. */
  natLog: (() => NatLogStats) | null;
}

/** Most flows in one answer. */
const FLOWS_MAX = 10_000;
const FLOWS_DEFAULT = 1000;

function flowFilter(query: Record<string, unknown>): FlowFilterDto {
  const fields = new Fields(query, [...MATCH_FIELDS, 'limit', 'cursor']);
  const filter: FlowFilterDto = {
    ...flowMatch(fields),
    limit: fields.integer('limit', 1, FLOWS_MAX) ?? FLOWS_DEFAULT,
    cursor: fields.integer('cursor', 0, 2 ** 32 - 1) ?? 0,
  };
  fields.check();
  return filter;
}

type RemoveFlow = Extract<Operation, { op: 'remove_flow' }>;

/** One flow's outside key; every part must be given. */
function flowKey(query: Record<string, unknown>): RemoveFlow {
  const names = [
    'proto',
    'public_ip',
    'public_port',
    'remote_ip',
    'remote_port',
  ];
  const fields = new Fields(query, names);
  const operation: RemoveFlow = {
    op: 'remove_flow',
    proto: fields.integer('proto', 0, 255) ?? 0,
    public_ip: fields.ip('public_ip') ?? '',
    public_port: fields.integer('public_port', 0, 65535) ?? 0,
    remote_ip: fields.ip('remote_ip') ?? '',
    remote_port: fields.integer('remote_port', 0, 65535) ?? 0,
  };
  for (const name of names) {
    if (query[name] === undefined) fields.errors.push(missingParameter(name));
  }
  fields.check();
  return operation;
}

/** Why the zone is not ready; empty when it is. */
function unreadiness(view: AdminView): string[] {
  const reasons: string[] = [];
  const reconcile = view.reconcile();
  const [failure] = reconcile.failures;
  if (failure !== undefined) {
    reasons.push(
      `${reconcile.failures.length} steps failed, first: ` +
        `${failure.step}: ${failure.message}`,
    );
  }
  const follow = view.follow?.();
  if (follow !== undefined && !follow.announcing) {
    reasons.push('waiting for the control plane');
  }
  const bgp = view.bgp?.status();
  if (bgp?.neighbors.every(({ established }) => !established)) {
    reasons.push('no BGP session is established');
  }
  const own = view.config.external.ip;
  if (own !== null && view.applied.routed.has(own)) {
    reasons.push(
      `public IP ${own} is this zone's own external address: ` +
        'the kernel keeps its packets',
    );
  }
  return reasons;
}

function health(view: AdminView): Reply {
  const live = view.watch.alive();
  const reasons = unreadiness(view);
  if (!live) reasons.unshift('the packet worker makes no progress');
  const reconcile = view.reconcile();
  const { path, why } = view.engine.io();
  const ready = reasons.length === 0;
  return {
    status: ready ? 200 : 503,
    body: {
      live,
      ready,
      reasons,
      zone_uuid: view.config.zone_uuid,
      path,
      path_why: why,
      state: view.heartbeat?.().state ?? null,
      control_plane:
        view.connected === null
          ? 'none'
          : view.connected()
            ? 'connected'
            : 'disconnected',
      heartbeat_ok: view.heartbeat?.().ok ?? null,
      position: reconcile.position,
      newest_position: view.heartbeat?.().newest_position ?? null,
      digest: reconcile.digest,
      rules: view.applied.rules.size,
      one_to_ones: view.applied.entries.size,
      announced: announcedShown(view.applied.announced),
      ul3s: [...view.applied.ul3s].sort(),
      bgp: view.bgp?.status() ?? null,
      uptime_ms: Math.round(view.uptimeMs()),
    },
  };
}

function stats(view: AdminView): Reply {
  return {
    status: 200,
    body: {
      engine: view.engine.stats(),
      io: view.engine.io(),
      resolver: view.resolver(),
      reconcile: view.reconcile(),
      follow: view.follow?.() ?? null,
      heartbeat: view.heartbeat?.() ?? null,
    },
  };
}

function rules(view: AdminView, request: Request): Reply {
  const fields = new Fields(request.query, ['vnet']);
  const vnet = fields.vnet('vnet');
  fields.check();
  const wanted = (value: { vnet_id: number }) =>
    vnet === null || value.vnet_id === vnet;
  return {
    status: 200,
    body: {
      digest: view.reconcile().digest,
      rules: [...view.applied.rules.values()].filter(wanted),
      one_to_ones: [...view.applied.entries.values()].filter(wanted),
    },
  };
}

async function publics(view: AdminView): Promise<Reply> {
  const world = view.world?.();
  const { applied } = view;
  const counts = await view.engine.counts();
  const flows = new Map(counts.publics.map((each) => [each.ip, each.flows]));
  const all = new Set([...applied.routed, ...applied.announced]);
  const body = [...all].sort().map((ip) => {
    const known = world?.publics.get(ip);
    return {
      ip,
      kind: known?.kind ?? null,
      zone_uuid: known?.zone_uuid ?? null,
      routed: applied.routed.has(ip),
      announced: applied.announced.has(ip),
      draining: applied.drains.has(ip),
      flows: flows.get(ip) ?? 0,
    };
  });
  return { status: 200, body };
}

/** Ends one flow, and says so when there is none. */
async function removeFlow(view: AdminView, request: Request): Promise<Reply> {
  const key = flowKey(request.query);
  for (let cursor: number | null = 0; cursor !== null; ) {
    const page: FlowPageDto = await view.engine.flows({
      vnet: null,
      private_ip: null,
      public_ip: key.public_ip,
      remote_ip: key.remote_ip,
      proto: key.proto,
      port: key.public_port,
      limit: FLOWS_MAX,
      cursor,
    });
    const found = page.flows.some(
      (flow) =>
        flow.public_port === key.public_port &&
        flow.remote_port === key.remote_port,
    );
    if (found) {
      await view.engine.apply([key]);
      return { status: 204 };
    }
    cursor = page.cursor;
  }
  throw notFound('flow');
}

/** Flows ended in one call of the engine. */
const KILL_BATCH = 1000;

/**
 * Ends every flow that matches; with `dry_run` only counts them. A filter must
 * be given: nobody ends all flows by a slip.
 */
async function removeMatching(
  view: AdminView,
  request: Request,
): Promise<Reply> {
  const fields = new Fields(request.query, [...MATCH_FIELDS, 'dry_run']);
  const match = flowMatch(fields);
  const dry = fields.word('dry_run', ['true', 'false']) === 'true';
  if (Object.values(match).every((value) => value === null)) {
    fields.errors.push(missingParameter('vnet'));
  }
  fields.check();
  let flows = 0;
  for (let cursor: number | null = 0; cursor !== null; ) {
    const page: FlowPageDto = await view.engine.flows({
      ...match,
      limit: KILL_BATCH,
      cursor,
    });
    cursor = page.cursor;
    flows += page.flows.length;
    if (dry || page.flows.length === 0) continue;
    await view.engine.apply(
      page.flows.map((flow) => ({
        op: 'remove_flow',
        proto: flow.proto,
        public_ip: flow.public_ip,
        public_port: flow.public_port,
        remote_ip: flow.remote_ip,
        remote_port: flow.remote_port,
        // Another's flow may have taken its place meanwhile.
        owner: {
          vnet: flow.vnet,
          private_ip: flow.private_ip,
          private_port: flow.private_port,
        },
      })),
    );
  }
  return { status: 200, body: { flows, dry_run: dry } };
}

/** The admin routes over a view. */
export function adminRoutes(view: AdminView): Route[] {
  const get = (
    path: string,
    name: string,
    handler: Route['handler'],
  ): Route => ({ method: ['GET', 'HEAD'], path, name, handler });
  return [
    get('/health', 'health', () => health(view)),
    get('/stats', 'stats', () => stats(view)),
    get('/drops', 'drops', () => ({ status: 200, body: view.engine.drops() })),
    get('/flows', 'listflows', async (request) => ({
      status: 200,
      body: await view.engine.flows(flowFilter(request.query)),
    })),
    {
      method: 'DELETE',
      path: '/flows',
      name: 'deleteflow',
      handler: (request) => removeFlow(view, request),
    },
    {
      method: 'DELETE',
      path: '/flows/matching',
      name: 'deleteflows',
      handler: (request) => removeMatching(view, request),
    },
    {
      method: 'DELETE',
      path: '/program',
      name: 'detach',
      handler: () => {
        const { path, why } = view.engine.detach();
        return { status: 200, body: { path, path_why: why } };
      },
    },
    ...lookRoutes(view.engine, view.clock, view.hottest),
    get('/rules', 'listrules', (request) => rules(view, request)),
    get('/nat', 'nat', (request) => {
      const { port_low: low, port_high: high } = view.config.engine;
      return natReply(view.applied.rules.values(), { low, high }, request);
    }),
    get('/publics', 'listpublics', () => publics(view)),
    get('/bgp', 'bgp', () => bgpReply(view.config, view.bgp)),
    get('/config', 'config', () => ({
      status: 200,
      body: {
        ...view.config,
        engine: { ...view.config.engine, seed: null },
        bgp: shownBgp(view.config.bgp),
        generation: view.reconcile().passes,
        position: view.reconcile().position,
        digest: view.reconcile().digest,
      },
    })),
    get('/metrics', 'metrics', async () => ({
      status: 200,
      text: {
        type: 'text/plain; version=0.0.4; charset=utf-8',
        content: await exposition(view),
      },
    })),
  ];
}
