// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Values that a parameter of cloudapi-aip cannot have, by its own schema, each
 * sent in a body, a form or a query. All of them are 409, and the answer is as
 * the OpenAPI document says.
 */

import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Attack } from '#test/http-fuzz/attacks.js';
import type { RawAnswer } from '#test/http-fuzz/raw.js';
import { FORM_TYPE, JSON_TYPE } from '#test/http-fuzz/wrong.js';
import type { Rng } from '#test/rng.js';
import {
  type Operation,
  operations,
} from '../../services/cloudapi-aip/api/operations.js';
import type { Parameter } from '../../services/cloudapi-aip/api/parameters.js';
import { complaint } from '../unit/cloudapi-aip/conform.js';

/** Wrong values of one parameter in one run. */
const MOST = 12;

/** What stands for the names in a path, and another instance. */
export interface Known {
  id: string;
  instance: string;
}

const ajv = new Ajv2020({ strict: false });

/** Values of all kinds; each parameter has its own opinion of them. */
const valuesBeside = (instance: string): unknown[] => [
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
  instance.toUpperCase(),
  `${instance} `,
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
  [instance],
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
function wrongFor(parameter: Parameter, instance: string): unknown[] {
  const fits = ajv.compile(parameter.schema);
  return valuesBeside(instance).filter(
    (value) => !fits(value) && !readsAs(parameter, value),
  );
}

/** Whether the value's JSON would do where only text can be sent. */
function fitsAsText(parameter: Parameter, text: string): boolean {
  if (readsAs(parameter, text) || ['true', 'false'].includes(text)) return true;
  return ajv.validate(parameter.schema, text);
}

/** How one wrong value can be sent: what differs from a bare request. */
function ways(
  operation: Operation,
  known: Known,
  parameter: Parameter,
  name: string,
  value: unknown,
): Partial<Attack>[] {
  const whole = { instance: known.instance, remap: true, [name]: value };
  const takesBody = operation.body.length > 0;
  const body = { headers: { ...JSON_TYPE }, body: JSON.stringify(whole) };
  const inBody = takesBody ? [body] : [];
  const json = typeof value === 'string' ? value : JSON.stringify(value);
  const text = json.replace(/[\ud800-\udfff]/g, '\ufffd');
  if (fitsAsText(parameter, text)) return inBody;
  const sent = name === 'tag.*' ? 'tag.a' : name;
  const form = new URLSearchParams([[sent, text]]).toString();
  const inForm = takesBody ? [{ headers: { ...FORM_TYPE }, body: form }] : [];
  return [...inBody, ...inForm, { url: `${urlOf(operation, known)}?${form}` }];
}

export function urlOf({ path }: Operation, { id }: Known): string {
  return path.replace(':login', 'my').replace(':id', id);
}

function isInvalid(method: string, url: string, answer: RawAnswer) {
  const { status, headers, body: text } = answer;
  if (status !== 409) return 'it is not 409';
  const given = { status, headers, text, body: JSON.parse(text) };
  return complaint(method, url, given);
}

/** Every parameter of every call, wrong in up to a dozen ways. */
export function schemaAttacks(rng: Rng, known: Known): Attack[] {
  const attacks: Attack[] = [];
  for (const operation of Object.values<Operation>(operations)) {
    const { method } = operation;
    for (const parameter of [...operation.query, ...operation.body]) {
      const wrong = rng.shuffle(wrongFor(parameter, known.instance));
      for (const name of parameter.names) {
        for (const value of wrong.slice(0, MOST)) {
          const sent = ways(operation, known, parameter, name, value);
          if (sent.length === 0) continue;
          const bare = { method, url: urlOf(operation, known), headers: {} };
          const attack = { ...bare, ...rng.pick(sent) };
          attacks.push({
            what: `${name} = ${JSON.stringify(value).slice(0, 60)}`,
            ...attack,
            may: false,
            judge: (answer) => isInvalid(method, attack.url, answer),
          });
        }
      }
    }
  }
  return attacks;
}
