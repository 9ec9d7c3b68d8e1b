// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Every call of cloudapi-aip with every parameter and header spoiled, in a body,
 * a form and a query, before a real napi-nat: a 4xx that keeps to the OpenAPI
 * document, never a 5xx, and the whole state as it was. The seed is printed.
 */

import { Ajv2020 } from 'ajv/dist/2020.js';
import test, { type Test } from 'tape';
import { type Rng, seededRng, seedOfRun } from '#test/rng.js';
import {
  type Operation,
  operations,
} from '../../services/cloudapi-aip/api/operations.js';
import type { Parameter } from '../../services/cloudapi-aip/api/parameters.js';
import {
  type CloudWorld,
  INSTANCE,
  SECOND,
  startCloud,
} from '../scenario/cloudapi-world.js';
import { ALICE } from '../unit/cloudapi-aip/identities.js';

const rng = seededRng(seedOfRun());
const ajv = new Ajv2020({ strict: false });

/** Values of all kinds; each parameter has its own opinion of them. */
const VALUES: unknown[] = [
  '',
  ' ',
  'x',
  '*',
  '%00',
  '\u0000',
  '\ud800',
  '\u202e',
  '../../etc/passwd',
  "' OR 1=1 --",
  '(|(uuid=*))',
  '__proto__',
  'constructor',
  INSTANCE.toUpperCase(),
  `${INSTANCE} `,
  '10.4.4.256',
  '010.4.4.2',
  '::1',
  '1e3',
  '0x10',
  '-1',
  'true ',
  'x'.repeat(1025),
  0,
  -1,
  1.5,
  1e300,
  true,
  false,
  [],
  [null],
  [INSTANCE],
  [['x']],
  {},
  { a: null },
  { a: { b: 1 } },
  { '': 1 },
  { ['k'.repeat(129)]: 1 },
];

/** Text that a query or form may say instead of the value itself. */
function readsAs({ schema }: Parameter, value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const isNumber = schema.type === 'integer' && /^\d+$/.test(value);
  return isNumber || schema.type === 'array';
}

/** Values that the parameter cannot have. */
function wrongFor(parameter: Parameter): unknown[] {
  const fits = ajv.compile(parameter.schema);
  return VALUES.filter((value) => !fits(value) && !readsAs(parameter, value));
}

function urlOf({ path }: Operation, id: string): string {
  return path.replace(':login', 'my').replace(':id', id);
}

interface Fixture {
  world: CloudWorld;
  id: string;
  /** Everything that a request could change. */
  picture(): Promise<string>;
}

async function setUp(t: Test): Promise<Fixture> {
  t.comment(`SEED=${rng.seed}`);
  const world = await startCloud(t);
  const body = { instance: INSTANCE, description: 'as it is' };
  const made = await world.call('POST', '/my/aips', { body });
  const { id } = made.body as { id: string };
  const paths = [
    '/aips',
    `/aips/${id}/audit`,
    `/aip_accounts/${ALICE}`,
    '/dataplane',
    '/nat_publics',
  ];
  const picture = async () => {
    const all = await Promise.all(
      paths.map((path) => world.napi.must('GET', path)),
    );
    return JSON.stringify(all);
  };
  return { world, id, picture };
}

/** Whether the value's JSON would do where only text can be sent. */
function fitsAsText(parameter: Parameter, text: string): boolean {
  if (readsAs(parameter, text) || ['true', 'false'].includes(text)) return true;
  return ajv.validate(parameter.schema, text);
}

/** The ways in which one wrong value can be sent. */
function spoiled(
  operation: Operation,
  id: string,
  parameter: Parameter,
  name: string,
  value: unknown,
): { url: string; call: object }[] {
  const url = urlOf(operation, id);
  const body = { instance: SECOND, remap: true, [name]: value };
  const inBody = operation.body.length > 0 ? [{ url, call: { body } }] : [];
  const json = typeof value === 'string' ? value : JSON.stringify(value);
  const text = json.replace(/[\ud800-\udfff]/g, '\ufffd');
  if (fitsAsText(parameter, text)) return inBody;
  const sent = name === 'tag.*' ? 'tag.a' : name;
  const raw = new URLSearchParams([[sent, text]]).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const inForm = inBody.map(() => ({ url, call: { raw, headers } }));
  return [...inBody, ...inForm, { url: `${url}?${raw}`, call: {} }];
}

test('a wrong value of any parameter is 409 and changes nothing', async (t) => {
  const { world, id, picture } = await setUp(t);
  const before = await picture();
  let sent = 0;
  for (const [call, operation] of Object.entries<Operation>(operations)) {
    const parameters = [...operation.query, ...operation.body];
    for (const parameter of parameters) {
      const wrong = rng.shuffle(wrongFor(parameter)).slice(0, 12);
      for (const name of parameter.names) {
        for (const value of wrong) {
          const requests = spoiled(operation, id, parameter, name, value);
          if (requests.length === 0) continue;
          const { url, call: made } = rng.pick(requests);
          const answer = await world.call(operation.method, url, made);
          sent += 1;
          if (answer.status === 409) continue;
          t.fail(`${call} ${name}=${JSON.stringify(value)}: ${answer.text}`);
        }
      }
    }
    if ((await picture()) !== before) t.fail(`${call} changed something`);
  }
  t.ok(sent > 200, `${sent} requests`);
});

const JSON_TYPE = { 'content-type': 'application/json' };

/** Bodies that are no parameters at all. */
const BODIES: [string, string | Buffer, Record<string, string>][] = [
  ['cut off', '{"description": "x', JSON_TYPE],
  ['two values', '{}{}', JSON_TYPE],
  ['a comment', '{/* */}', JSON_TYPE],
  ['an array', '[{}]', JSON_TYPE],
  ['text', '"x"', JSON_TYPE],
  ['null', 'null', JSON_TYPE],
  ['deep', '{"tags":'.repeat(20_000), JSON_TYPE],
  ['deep and whole', `${'['.repeat(9000)}${']'.repeat(9000)}`, JSON_TYPE],
  ['huge', `{"description":"${'x'.repeat(100_001)}"}`, JSON_TYPE],
  ['UTF-16', Buffer.from('{"description":"x"}', 'utf16le'), JSON_TYPE],
  ['a mark of bytes', Buffer.from('\ufeff{"description":"x"}'), JSON_TYPE],
  ['broken UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22]), JSON_TYPE],
  ['bytes', Buffer.from(Array.from({ length: 999 }, (_, i) => i)), JSON_TYPE],
];

test('bodies that are none are refused by every call', async (t) => {
  const { world, id, picture } = await setUp(t);
  const before = await picture();
  for (const [call, operation] of Object.entries<Operation>(operations)) {
    if (operation.method === 'GET' || operation.method === 'DELETE') continue;
    for (const [kind, raw, headers] of BODIES) {
      const url = urlOf(operation, id);
      const { status } = await world.call(operation.method, url, {
        raw,
        headers,
      });
      t.ok(status >= 400 && status < 500, `${call}, ${kind}: ${status}`);
    }
  }
  t.equal(await picture(), before);
});

/** Characters that a header may have, and many of them. */
function headerValue(random: Rng): string {
  const length = random.pick([0, 1, 8, 300, 1500]);
  return Array.from({ length }, () =>
    String.fromCharCode(random.pick([random.between(33, 126), 0xe9, 0xff])),
  ).join('');
}

test('any header and any path is answered below 500', async (t) => {
  const { world, id, picture } = await setUp(t);
  const before = await picture();
  const names = [
    'if-match',
    'if-none-match',
    'idempotency-key',
    'role-tag',
    'accept',
    'accept-version',
    'content-type',
    'content-md5',
    'content-encoding',
    'x-request-id',
    'x-context',
    'x-forwarded-for',
    'authorization',
  ];
  const pieces = ['my', 'aips', id, 'limits', 'audit', '%00', '%ff', '..', '*'];
  let failed = 0;
  for (let i = 0; i < 400; i++) {
    const operation = rng.pick(Object.values<Operation>(operations));
    const method = rng.pick(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH']);
    const odd = Array.from({ length: rng.between(1, 5) }, () =>
      rng.pick(pieces),
    );
    const url = rng.chance(0.5) ? urlOf(operation, id) : `/${odd.join('/')}`;
    const headers = Object.fromEntries(
      Array.from({ length: rng.between(1, 4) }, () => [
        rng.pick(names),
        headerValue(rng),
      ]),
    );
    // What would be right is kept from doing anything.
    const guard = { 'if-match': 'no-such-etag', ...headers };
    const query = '?detach=maybe&really_delete=maybe&instance=x';
    const body = method === 'GET' || method === 'HEAD' ? {} : { body: {} };
    const call = { ...body, headers: guard };
    const { status, text } = await world.call(method, url + query, call);
    if (status < 500) continue;
    failed += 1;
    t.fail(`${method} ${url} ${JSON.stringify(headers)}: ${status} ${text}`);
  }
  t.equal(failed, 0);
  t.equal(await picture(), before);
});
