// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Every call of cloudapi-aip with every parameter held against its schema, in a
 * body, a form and a query, before a real napi-nat: 409 that keeps to the OpenAPI
 * document, and the whole state as it was. The seed is printed. What is no
 * request at all: `http-fuzz-cloudapi.test.ts`.
 */

import { Ajv2020 } from 'ajv/dist/2020.js';
import test, { type Test } from 'tape';
import { seededRng, seedOfRun } from '#test/rng.js';
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
