// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * cloudapi-aip: the customer's face of Assignable IPs. Big theory: a request is
 * routed (unknown paths and methods are answered before anyone is asked who
 * they are, as CloudAPI does), its signature is verified against the account
 * source, `:login` is resolved to an account, the parameters are checked and
 * translated, and napi-nat does the work. The service keeps no state but the
 * throttle's: any number of them can run behind one address.
 *
 * The composition root: the only file that constructs things.
 */

import type { Clock } from '#lib/clock.js';
import { HttpClient } from '#lib/http/client.js';
import { createHttpServer } from '#lib/http/server.js';
import { TlsSource } from '#lib/http/tls.js';
import type { HttpServer, Request, Route } from '#lib/http/types.js';
import type { Logger } from '#lib/service/log.js';
import { packageVersion } from '#lib/service/run.js';
import { openAccountFile } from './accounts/file.js';
import { openMahi } from './accounts/mahi.js';
import type { AccountInfo, AccountSource } from './accounts/source.js';
import { createRoleTags } from './aips/role-tags.js';
import { aipRoutes } from './aips/routes.js';
import { docsRoutes } from './api/page.js';
import { identify } from './auth/identify.js';
import { keyIdOf } from './auth/key-id.js';
import type { Config } from './config.js';
import { type AipBackend, napiBackend } from './napi-nat.js';
import { createThrottle, THROTTLE_DEFAULTS } from './throttle.js';

/** CloudAPI's versions, and those with NICs and so AIPs (facts: cloudapi 1.2). */
const ALL_VERSIONS = ['9.0.0', '8.0.0', '7.3.0', '7.2.0', '7.1.0', '7.0.0'];
const AIP_VERSIONS = ALL_VERSIONS.slice(0, 4);
/** Routes that nobody has to sign for. */
const OPEN = ['ping', 'getdocs', 'getopenapi'];
/** Headers of a customer that napi-nat heeds. */
const PASSED = ['if-match', 'if-none-match', 'idempotency-key'];
const NAPI_TIMEOUT_MS = 10_000;
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
    ? openAccountFile(config.accounts.file, { clock, log })
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
    name: 'ping',
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

/** Who asked, for the audit entries of napi-nat and the log. */
function callerOf(request: Request): Record<string, string> {
  const { user } = (request.context['signer'] ?? {}) as Partial<AccountInfo>;
  const keyId = keyIdOf(request.headers['authorization']);
  return {
    type: 'signature',
    ip: request.remoteAddress,
    ...(user === undefined ? {} : { user: user.login }),
    ...(keyId === undefined ? {} : { keyId }),
  };
}

/** JSON that a header can carry. */
function headerJson(value: object): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function backendOf(client: HttpClient, config: Config, request: Request) {
  const passed = PASSED.flatMap((name) => {
    const value = request.headers[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return napiBackend(client, {
    requestId: request.id,
    headers: {
      ...Object.fromEntries(passed),
      'x-context': headerJson({ caller: callerOf(request) }),
    },
    timeoutMs: config.napi_nat.timeout_ms ?? NAPI_TIMEOUT_MS,
  });
}

/** Fields of a request's line in the log. */
function auditFields(request: Request): Record<string, unknown> {
  const signer = request.context['signer'] as AccountInfo | undefined;
  if (signer === undefined) return {};
  const account = signer.account.login;
  return { _audit: true, account, caller: callerOf(request) };
}

/**
 * Builds the service; nothing listens yet.
 * @throws UsageError for an account file that cannot be used
 */
export function createApp(config: Config, log: Logger, clock: Clock): App {
  const accounts = openAccounts(config, log, clock);
  const client = new HttpClient({
    url: config.napi_nat.url,
    tls:
      config.napi_nat.tls &&
      new TlsSource('/napi_nat/tls', config.napi_nat.tls, log),
    timeoutMs: config.napi_nat.timeout_ms ?? NAPI_TIMEOUT_MS,
  });
  const backendFor = (request: Request): AipBackend =>
    backendOf(client, config, request);
  const { throttle = THROTTLE_DEFAULTS, datacenter = 'unknown' } = config;
  const identifier = {
    accounts,
    clock,
    throttle: createThrottle(throttle || null, clock),
    datacenter,
    backendFor,
  };
  const version = packageVersion();
  const routes = [
    pingRoute(config),
    ...docsRoutes(version, ALL_VERSIONS),
    ...aipRoutes({ backendFor, roleTags: createRoleTags(accounts) }),
  ];
  const methods = methodsOfPaths(routes);
  const { tls } = config.listen;
  const server = createHttpServer({
    name: `cloudapi/${version}`,
    log,
    tls: tls && new TlsSource('/listen/tls', tls, log),
    precedence: ['body', 'query', 'route'],
    versions: AIP_VERSIONS,
    maxBodyBytes: MAX_BODY_BYTES,
    contentMd5: true,
    idHeader: 'Request-Id',
    elapsedHeader: 'Response-Time',
    clock,
    audit: auditFields,
    forwarded: config.behind_proxy ?? false,
    headers: ({ routeName = '' }) => replyHeaders(methods.get(routeName) ?? ''),
    before: [
      async (request) => {
        if (OPEN.includes(request.routeName ?? '')) return;
        request.context['caller'] = await identify(identifier, request);
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
