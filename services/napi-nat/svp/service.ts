// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat in portolan's role: the SVP server with the store behind it, for
 * `app.ts` to start and stop. No cache: each answer is of committed state.
 */

import type { Logger } from '#lib/service/log.js';
import type { Store } from '#lib/store/types.js';
import {
  createSvpServer,
  type SvpBackend,
  type SvpCounters,
} from '#lib/svp/server.js';
import { readLog, removeLog } from '../ul3/log.js';
import { lookUpVl2, lookUpVl3 } from '../ul3/lookup.js';

/** What of `NapiContext` is used here. */
export interface SvpContext {
  store: Store;
  log: Logger;
  config: { svp: { host: string; port: number } };
}

export interface SvpService {
  /** Resolves to the bound address; rejects when it cannot be bound. */
  listen(): Promise<{ host: string; port: number }>;
  counters(): SvpCounters;
  close(): Promise<void>;
}

/** The rows as an SVP server asks for them. */
export function createSvpBackend(store: Store): SvpBackend {
  return {
    vl2: (vnet, mac) => lookUpVl2(store, vnet, mac),
    vl3: (vnet, ip) => lookUpVl3(store, vnet, ip),
    logRequest: (ip, maxBytes) => readLog(store, ip, maxBytes),
    logRemove: (ids) => removeLog(store, ids),
  };
}

/**
 * Makes the service; it listens on nothing before `listen`.
 * @param ctx store, log and `config.svp`
 */
export function createSvpService(ctx: SvpContext): SvpService {
  const server = createSvpServer({
    backend: createSvpBackend(ctx.store),
    log: ctx.log.child({ component: 'svp' }),
  });
  return {
    listen: () => server.listen(ctx.config.svp.host, ctx.config.svp.port),
    counters: () => server.counters(),
    close: () => server.close(),
  };
}
