// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A server on a free loopback port, closed with its test. */

import type { Test } from 'tape';
import { HttpClient } from '#lib/http/client.js';
import { createHttpServer } from '#lib/http/server.js';
import type { HttpServer, Route, ServerOptions } from '#lib/http/types.js';
import { silentLogger } from '#lib/service/log.js';

export interface TestServer {
  url: string;
  port: number;
  server: HttpServer;
  client: HttpClient;
}

/**
 * @param t the test at whose end server and client are closed
 * @param routes what it serves
 * @param options where they differ from NAPI's manners
 */
export async function startHttp(
  t: Test,
  routes: Route[],
  options: Partial<ServerOptions> = {},
): Promise<TestServer> {
  const server = createHttpServer({
    name: 'test',
    log: silentLogger(),
    precedence: ['route', 'query', 'body'],
    versions: ['1.0.0'],
    maxBodyBytes: 100_000,
    ...options,
  });
  server.add(routes);
  const { port } = await server.listen('127.0.0.1', 0);
  const url = `http://127.0.0.1:${port}`;
  const client = new HttpClient({ url, timeoutMs: 5000 });
  t.teardown(async () => {
    client.close();
    await server.close();
  });
  return { url, port, server, client };
}
