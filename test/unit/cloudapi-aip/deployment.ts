// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The whole service over HTTP, with a napi-nat in memory that keeps to the
 * contract of its `/aips`: owners, assignment, errors.
 */

import { writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import type { Test } from 'tape';
import { type Clock, systemClock } from '#lib/clock.js';
import { invalidParameter, notFound, ServiceError } from '#lib/errors.js';
import type { Request, Route } from '#lib/http/types.js';
import type { Aip } from '#lib/model/aip.js';
import { type Logger, silentLogger } from '#lib/service/log.js';
import { startHttp } from '#test/http-server.js';
import { temporaryDirectory } from '#test/tmp.js';
import type { AccountInfo } from '../../../services/cloudapi-aip/accounts/source.js';
import { createApp } from '../../../services/cloudapi-aip/app.js';
import type { Config } from '../../../services/cloudapi-aip/config.js';
import { complaint } from './conform.js';
import { ALICE, everyone, KEYS, type Key, signed } from './identities.js';

const HTML = 'text/html; charset=utf-8';
export const INSTANCE = '22222222-0000-4000-8000-0000000000a1';
export const OTHER_INSTANCE = '22222222-0000-4000-8000-0000000000a2';
const PRIVATE_IPS = new Map([
  [INSTANCE, '10.4.4.2'],
  [OTHER_INSTANCE, '10.4.4.3'],
]);

function invalid(field: string, message: string): ServiceError {
  return new ServiceError(422, {
    code: 'InvalidParameters',
    message: 'Invalid parameters',
    errors: [invalidParameter(field, message)],
  });
}

/** napi-nat's AIPs; both instances are alice's. */
export class MemoryNapi {
  readonly aips = new Map<string, Aip>();
  readonly requests: Request[] = [];
  /** What it answers instead, when set. */
  broken: ServiceError | null = null;
  #made = 0;

  routes(): Route[] {
    const route = (
      method: Route['method'],
      path: string,
      answer: (request: Request) => object | undefined,
    ): Route => ({
      method,
      path,
      name: `${[method].flat().join('')}${path}`.replace(/\W/g, ''),
      handler: (request) => {
        if (path.startsWith('/aips')) this.requests.push(request);
        if (this.broken !== null) throw this.broken;
        const body = answer(request);
        if (body === undefined) return { status: 204 };
        const headers = { Etag: `E${this.aips.size}` };
        return { status: 200, body, headers };
      },
    });
    return [
      route('GET', '/aips', ({ params }) => this.#list(params)),
      route('GET', '/aips/:uuid', (request) => this.#own(request)),
      route('GET', '/aip_accounts/:uuid', ({ params }) => ({
        owner_uuid: params['uuid'],
        used: this.aips.size,
        quota: null,
        role_tags: [],
      })),
      route('POST', '/aips', ({ params }) => this.#create(params)),
      route('PUT', '/aips/:uuid', (request) => this.#update(request)),
      route('POST', '/aips/:uuid', (request) => {
        const aip = this.#own(request);
        delete aip.belongs_to_uuid;
        delete aip.private_ip;
        return undefined;
      }),
      route('DELETE', '/aips/:uuid', (request) => {
        const aip = this.#own(request);
        if (request.params['really_delete'] !== 'true') refuseInUse(aip);
        this.aips.delete(aip.uuid);
        return undefined;
      }),
    ];
  }

  #list(params: Request['params']): Aip[] {
    const all = [...this.aips.values()].filter(
      (aip) => aip.owner_uuid === params['owner_uuid'],
    );
    const after = all.findIndex((aip) => aip.uuid === params['marker']) + 1;
    const from = after + Number(params['offset']);
    return all.slice(from, from + Number(params['limit']));
  }

  #own({ params }: Request): Aip {
    const aip = this.aips.get(String(params['uuid']));
    if (aip === undefined || aip.owner_uuid !== params['owner_uuid']) {
      throw notFound('aip not found');
    }
    return aip;
  }

  #create(params: Request['params']): Aip {
    this.#made += 1;
    const at = new Date(1_700_000_000_000 + this.#made).toISOString();
    const aip: Aip = {
      family: 'ipv4',
      state: 'detached',
      deletion_protection: false,
      uuid: `44444444-0000-4000-8000-${String(this.#made).padStart(12, '0')}`,
      owner_uuid: String(params['owner_uuid']),
      ip: `3.3.3.${this.#made + 1}`,
      network_uuid: '00000e70-0000-4000-8000-000000000002',
      created_timestamp: at,
      modified_timestamp: at,
    };
    change(aip, params);
    this.aips.set(aip.uuid, aip);
    return aip;
  }

  #update(request: Request): Aip {
    const aip = this.#own(request);
    const { instance, remap } = request.params;
    if (instance !== undefined && instance !== aip.belongs_to_uuid) {
      if (remap !== true) refuseInUse(aip);
    }
    change(aip, request.params);
    return aip;
  }
}

function refuseInUse(aip: Aip): void {
  if (aip.belongs_to_uuid === undefined) return;
  const message = `AIP is assigned to instance ${aip.belongs_to_uuid}`;
  throw new ServiceError(409, { code: 'AIPInUse', message });
}

function change(aip: Aip, params: Request['params']): void {
  const { instance, private_ip, description, tags } = params;
  if (instance !== undefined) {
    const address = PRIVATE_IPS.get(String(instance));
    if (address === undefined || aip.owner_uuid !== ALICE) {
      throw notFound('instance not found');
    }
    if (private_ip !== undefined && private_ip !== address) {
      throw invalid('private_ip', 'is not an address of the instance');
    }
    aip.belongs_to_uuid = String(instance);
    aip.private_ip = address;
  }
  if (description !== undefined) aip.description = String(description);
  if (tags !== undefined) aip.tags = tags as NonNullable<Aip['tags']>;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The parsed body; undefined when it is empty. */
  body: unknown;
}

export interface Call {
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  raw?: string | Buffer;
  headers?: Record<string, string>;
  key?: Key;
  keyId?: string;
}

/** The service as its customers reach it. */
export interface Customers {
  port: number;
  /** A signed request, alice's unless the call says otherwise. */
  call(method: string, url: string, call?: Call): Promise<Answer>;
  /** A request with these headers alone. */
  send(
    method: string,
    url: string,
    headers?: Record<string, string>,
    payload?: string | Buffer,
  ): Promise<Answer>;
}

export interface Deployment extends Customers {
  napi: MemoryNapi;
}

/** A file of everyone. */
export function accountFile(
  t: Test,
  list: AccountInfo[] = everyone(),
): { file: string } {
  const file = join(temporaryDirectory(t), 'accounts.json');
  writeFileSync(file, JSON.stringify(list));
  return { file };
}

/**
 * Starts the service on a free port before a memory of a napi-nat, for the
 * length of a test.
 * @param accounts where they are; a file of everyone when not given
 * @param more of the configuration; nothing is throttled unless it says so
 */
export async function deploy(
  t: Test,
  accounts: Config['accounts'] = accountFile(t),
  more: Partial<Config> = {},
): Promise<Deployment> {
  const napi = new MemoryNapi();
  const { url } = await startHttp(t, napi.routes());
  const customers = await serve(t, { napi: url, accounts, ...more });
  return { napi, ...customers };
}

/** Starts the service before the napi-nat of a URL. */
export async function serve(
  t: Test,
  options: Partial<Config> & {
    napi: string;
    accounts: Config['accounts'];
    clock?: Clock;
    log?: Logger;
  },
): Promise<Customers> {
  const { napi: url, clock = systemClock(), log = silentLogger() } = options;
  const { napi: _napi, clock: _clock, log: _log, ...config } = options;
  const app = createApp(
    {
      listen: { host: '127.0.0.1', port: 0 },
      datacenter: 'lab',
      napi_nat: { url },
      throttle: false,
      ...config,
    },
    log,
    clock,
  );
  const { port } = await app.listen();
  t.teardown(() => app.close());
  const send: Customers['send'] = (method, path, headers = {}, payload) =>
    new Promise((resolve, reject) => {
      const request = httpRequest(
        { host: '127.0.0.1', port, method, path, headers, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const isJson = response.headers['content-type'] !== HTML;
            const answer = {
              status: response.statusCode ?? 0,
              headers: response.headers,
              text,
              body: text === '' || !isJson ? undefined : JSON.parse(text),
            };
            const wrong = isJson ? complaint(method, path, answer) : null;
            if (wrong !== null) t.fail(wrong);
            resolve(answer);
          });
        },
      );
      request.on('error', reject);
      request.end(payload);
    });
  return {
    port,
    send,
    call(method, url, call = {}) {
      const key = call.key ?? KEYS.alice;
      const keyId = call.keyId ?? `/alice/keys/${KEYS.alice.md5}`;
      const payload =
        call.raw ??
        (call.body === undefined ? undefined : JSON.stringify(call.body));
      const headers = {
        ...signed(key, keyId, { method, url, now: clock.now() }),
        ...(payload === undefined
          ? {}
          : {
              'content-type': 'application/json',
              'content-length': String(Buffer.byteLength(payload)),
            }),
        ...call.headers,
      };
      return send(method, url, headers, payload);
    },
  };
}
