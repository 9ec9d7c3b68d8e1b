// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: the OpenAPI document promises a failure that a call cannot
 * have, or a client meets one that it does not name. Each status that the
 * document lists is provoked for each call, before a real napi-nat; that an
 * answer fits its schema is looked at wherever one is received.
 */

import test, { type Test } from 'tape';
import { openApi } from '../../services/cloudapi-aip/api/openapi.js';
import { operations } from '../../services/cloudapi-aip/api/operations.js';
import {
  type Answer,
  accountFile,
  type Call,
  type Customers,
  serve,
} from '../unit/cloudapi-aip/deployment.js';
import { as, type CloudWorld, people, startCloud } from './cloudapi-world.js';

type Name = keyof typeof operations;
type Provoke = (name: Name, method: string, it: Scene) => Promise<Answer>;

interface Scene {
  world: CloudWorld;
  /** One request an account, and then no more for a long time. */
  hurried: Customers;
  /** Before a napi-nat that is not there. */
  alone: Customers;
  /** An AIP of alice's. */
  id: string;
}

/** A parameter that is wrong, of each call that takes one. */
const WRONG: Partial<Record<Name, { query?: string; body?: object }>> = {
  ListAIPs: { query: 'limit=0' },
  CreateAIP: { body: { description: 7 } },
  ReplaceResourceCollectionRoleTags: { body: { 'role-tag': 7 } },
  GetAIP: { query: 'wait=x' },
  UpdateAIP: { body: { description: 7 } },
  DetachAIP: { query: 'detach=maybe' },
  DeleteAIP: { query: 'really_delete=maybe' },
};

function url(name: Name, id: string, login = 'my', query = ''): string {
  const path = operations[name].path.replace(':login', login);
  const asked = name === 'DetachAIP' && query === '' ? 'detach=true' : query;
  return path.replace(':id', id) + (asked === '' ? '' : `?${asked}`);
}

function bodyOf(name: Name): Call {
  if (name === 'ReplaceResourceCollectionRoleTags') {
    return { body: { 'role-tag': [] } };
  }
  return operations[name].body.length > 0 ? { body: {} } : {};
}

/** A fault of ours must not be; a slow body is a test of lib/http, by its clock. */
const ELSEWHERE = ['408', '500'];
const MISSING = '44444444-0000-4000-8000-00000000dead';

const PROVOKE: Record<string, Provoke> = {
  400: (name, method, { world, id }) =>
    world.call(method, url(name, id), {
      headers: { 'accept-version': '~6' },
    }),
  401: (name, method, { world, id }) => world.send(method, url(name, id)),
  403: (name, method, { world, id }) =>
    world.call(method, url(name, id, 'alice'), { ...as('bob') }),
  404: (name, method, { world }) => {
    const login = operations[name].path.includes(':id') ? 'my' : 'nobody';
    return world.call(method, url(name, MISSING, login), bodyOf(name));
  },
  406: (name, method, { world, id }) =>
    world.call(method, url(name, id), { headers: { accept: 'text/csv' } }),
  409: (name, method, { world, id }) => {
    const { query, body } = WRONG[name] ?? {};
    const call = body === undefined ? {} : { body };
    return world.call(method, url(name, id, 'my', query), call);
  },
  412: (name, method, { world, id }) =>
    world.call(method, url(name, id), {
      ...bodyOf(name),
      headers: { 'if-match': '"another"' },
    }),
  413: (name, method, { world, id }) =>
    world.call(method, url(name, id), { raw: `"${'x'.repeat(100_000)}"` }),
  415: (name, method, { world, id }) =>
    world.call(method, url(name, id), {
      raw: '{}',
      headers: { 'content-encoding': 'br' },
    }),
  422: async (name, method, { world, id }) => {
    const headers = { 'idempotency-key': `key-${name}` };
    const first = { body: { description: 'first' }, headers };
    await world.call('POST', '/my/aips', first);
    return world.call(method, url(name, id), { ...bodyOf(name), headers });
  },
  429: async (name, method, { hurried, id }) => {
    await hurried.call(method, url(name, id));
    return hurried.call(method, url(name, id));
  },
  503: (name, method, { alone, id }) =>
    alone.call(method, url(name, id), bodyOf(name)),
};

async function scene(t: Test): Promise<Scene> {
  const world = await startCloud(t);
  const made = await world.call('POST', '/my/aips', { body: {} });
  const { id } = made.body as { id: string };
  const accounts = accountFile(t, people());
  const throttle = { burst: 1, rate: 0.0001, exempt: [] };
  const hurried = await serve(t, { napi: world.napi.url, accounts, throttle });
  const alone = await serve(t, { napi: 'http://127.0.0.1:9', accounts });
  return { world, hurried, alone, id };
}

/** Failures that the document lists for a call. */
function documented(name: Name, method: string): string[] {
  const { paths } = openApi('0.0.0') as {
    paths: Record<string, Record<string, { responses: object }>>;
  };
  const path = operations[name].path.replace(/:(\w+)/g, '{$1}');
  const { responses = {} } = paths[path]?.[method.toLowerCase()] ?? {};
  return Object.keys(responses).filter((status) => Number(status) >= 400);
}

test('each call can fail in each way that the document lists', async (t) => {
  const it = await scene(t);
  for (const name of Object.keys(operations) as Name[]) {
    const { method } = operations[name];
    for (const each of method === 'GET' ? ['GET', 'HEAD'] : [method]) {
      const told: string[] = [];
      const listed = documented(name, each).filter(
        (one) => !ELSEWHERE.includes(one),
      );
      for (const status of listed) {
        const answer = await PROVOKE[status]?.(name, each, it);
        if (String(answer?.status) !== status) {
          told.push(`${status}: ${answer?.status} ${answer?.text}`);
        }
      }
      t.deepEqual(told, [], `${each} ${name}: ${listed.join(' ')}`);
    }
  }
  const { body } = await it.world.call('GET', `/my/aips/${it.id}`);
  t.equal((body as { state: string }).state, 'detached', 'it is as it was');
});
