// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * cloudapi-aip: the customer's face of Assignable IPs. Big theory: a request is
 * routed (unknown paths and methods are answered before anyone is asked who
 * they are, as CloudAPI does), its signature is verified against the account
 * source, `:login` is resolved to an account, the parameters are checked and
 * translated, and napi-nat does the work. The service keeps no state: any
 * number of them can run behind one address.
 *
 * The composition root: the only file that constructs things.
 */

import type { Clock } from '#lib/clock.js';
import { HttpClient } from '#lib/http/client.js';
import { createHttpServer } from '#lib/http/server.js';
import type { HttpServer, Request, Route } from '#lib/http/types.js';
import type { Logger } from '#lib/service/log.js';
import { packageVersion } from '#lib/service/run.js';
import { openAccountFile } from './accounts/file.js';
import { openMahi } from './accounts/mahi.js';
import type { AccountSource } from './accounts/source.js';
import { aipRoutes } from './aips/routes.js';
import { authenticate } from './auth/authenticate.js';
import { authorize, type Caller } from './auth/authorize.js';
import type { Config } from './config.js';
import { napiBackend } from './napi-nat.js';

/** CloudAPI's versions, and those with NICs and so AIPs (facts: cloudapi 1.2). */
const ALL_VERSIONS = ['9.0.0', '8.0.0', '7.3.0', '7.2.0', '7.1.0', '7.0.0'];
const AIP_VERSIONS = ALL_VERSIONS.slice(0, 4);
const PING = 'ping';
const MAX_BODY_BYTES = 100_000;

export interface App {
  server: HttpServer;
  listen(): Promise<{ host: string; port: number }>;
  close(): Promise<void>;
}

function openAccounts(
  config: Config,
  log: Logger,
  clock: Clock,
): AccountSource {
  return 'file' in config.accounts
    ? openAccountFile(config.accounts.file)
    : openMahi({
        url: config.accounts.mahi_url,
        timeoutMs: config.accounts.timeout_ms ?? 5000,
        clock,
        log,
      });
}

function pingRoute(config: Config): Route {
  return {
    method: ['GET', 'HEAD'],
    path: '/--ping',
    name: PING,
    versions: ALL_VERSIONS,
    handler: () => ({
      status: 200,
      body: { ping: 'pong', cloudapi: { versions: ALL_VERSIONS } },
      headers: { 'triton-datacenter-name': config.datacenter ?? 'unknown' },
    }),
  };
}

/** Headers of every handled reply (facts: cloudapi 1.3). */
function replyHeaders(methods: string): Record<string, string> {
  return {
    'access-control-allow-origin': '*',
    'access-control-allow-headers':
      'Accept, Accept-Version, Content-Length, Content-MD5, Content-Type, ' +
      'Date, Api-Version, Response-Time',
    'access-control-allow-methods': methods,
    'access-control-expose-headers': 'Api-Version, Request-Id, Response-Time',
    'api-version': ALL_VERSIONS[0] as string,
  };
}

/** Route name -> the methods of its path, as an Allow header lists them. */
function methodsOfPaths(routes: Route[]): Map<string, string> {
  const methods = (path: string) =>
    routes.filter((route) => route.path === path).flatMap((r) => r.method);
  return new Map(
    routes.map(({ name, path }) => [name, methods(path).sort().join(', ')]),
  );
}

async function identify(
  accounts: AccountSource,
  clock: Clock,
  request: Request,
): Promise<Caller> {
  const signer = await authenticate(accounts, clock.now(), request);
  const login = request.route['login'] as string;
  const asRole = request.query['as-role'];
  return { signer, account: await authorize(accounts, signer, login, asRole) };
}

/**
 * Builds the service; nothing listens yet.
 * @throws UsageError for an account file that cannot be used
 */
export function createApp(config: Config, log: Logger, clock: Clock): App {
  const accounts = openAccounts(config, log, clock);
  const client = new HttpClient({
    url: config.napi_nat.url,
    timeoutMs: config.napi_nat.timeout_ms ?? 10_000,
  });
  const routes = [
    pingRoute(config),
    ...aipRoutes((request) => napiBackend(client, request.id)),
  ];
  const methods = methodsOfPaths(routes);
  const server = createHttpServer({
    name: `cloudapi/${packageVersion()}`,
    log,
    precedence: ['body', 'query', 'route'],
    versions: AIP_VERSIONS,
    maxBodyBytes: MAX_BODY_BYTES,
    contentMd5: true,
    idHeader: 'Request-Id',
    elapsedHeader: 'Response-Time',
    clock,
    headers: ({ routeName = '' }) => replyHeaders(methods.get(routeName) ?? ''),
    before: [
      async (request) => {
        if (request.routeName === PING) return;
        request.context['caller'] = await identify(accounts, clock, request);
      },
    ],
  });
  server.add(routes);
  return {
    server,
    listen: () => server.listen(config.listen.host, config.listen.port),
    close: async () => {
      await server.close();
      client.close();
      accounts.close();
    },
  };
}
