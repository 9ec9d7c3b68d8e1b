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
import type { HttpServer, Route } from '#lib/http/types.js';
import type { Logger } from '#lib/service/log.js';
import { openAccountFile } from './accounts/file.js';
import { openMahi } from './accounts/mahi.js';
import type { AccountSource } from './accounts/source.js';
import { aipRoutes } from './aips/routes.js';
import { authenticate, authorize } from './auth/authenticate.js';
import type { Config } from './config.js';
import { napiBackend } from './napi-nat.js';

/** API versions that a client may ask for (facts: cloudapi 1.2). */
const VERSIONS = ['9.0.0', '8.0.0', '7.3.0', '7.2.0'];
const PING_PATH = '/--ping';
const MAX_BODY_BYTES = 100_000;

export interface App {
  server: HttpServer;
  listen(): Promise<{ host: string; port: number }>;
  close(): Promise<void>;
}

function openAccounts(config: Config, clock: Clock): AccountSource {
  return 'file' in config.accounts
    ? openAccountFile(config.accounts.file)
    : openMahi({
        url: config.accounts.mahi_url,
        timeoutMs: config.accounts.timeout_ms ?? 5000,
        clock,
      });
}

function pingRoute(config: Config): Route {
  return {
    method: ['GET', 'HEAD'],
    path: PING_PATH,
    name: 'ping',
    handler: () => ({
      status: 200,
      body: { ping: 'pong', cloudapi: { versions: VERSIONS } },
      headers: { 'triton-datacenter-name': config.datacenter ?? 'unknown' },
    }),
  };
}

/** Headers of every handled reply (facts: cloudapi 1.3). */
function replyHeaders(): Record<string, string> {
  return {
    'access-control-allow-origin': '*',
    'access-control-allow-headers':
      'Accept, Accept-Version, Content-Length, Content-MD5, Content-Type, ' +
      'Date, Api-Version, Response-Time',
    'access-control-expose-headers': 'Api-Version, Request-Id, Response-Time',
    'api-version': VERSIONS[0] as string,
  };
}

/**
 * Builds the service; nothing listens yet.
 * @throws UsageError for an account file that cannot be used
 */
export function createApp(config: Config, log: Logger, clock: Clock): App {
  const accounts = openAccounts(config, clock);
  const client = new HttpClient({
    url: config.napi_nat.url,
    timeoutMs: config.napi_nat.timeout_ms ?? 10_000,
  });
  const server = createHttpServer({
    name: 'cloudapi',
    log,
    precedence: ['body', 'query', 'route'],
    versions: VERSIONS,
    maxBodyBytes: MAX_BODY_BYTES,
    contentMd5: true,
    idHeader: 'Request-Id',
    elapsedHeader: 'Response-Time',
    clock,
    headers: replyHeaders,
    before: [
      async (request) => {
        if (request.path === PING_PATH) return;
        const signer = await authenticate(accounts, clock, request);
        const login = request.route['login'] as string;
        const account = await authorize(accounts, signer, login);
        request.context['caller'] = { signer, account };
      },
    ],
  });
  server.add([
    pingRoute(config),
    ...aipRoutes((request) => napiBackend(client, request.id)),
  ]);
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
