// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Holds answers to the OpenAPI document: path, method, status, media type and
 * body. Every answer that a test of cloudapi-aip receives passes through here.
 */

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { openApi } from '../../../services/cloudapi-aip/api/openapi.js';

interface Response {
  content?: { 'application/json': { schema: object } };
}
type Paths = Record<
  string,
  Record<string, { responses: Record<string, Response> }>
>;

const document = openApi('0.0.0') as {
  paths: Paths;
  components: { schemas: Record<string, object> };
};
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema({ $id: 'doc', components: document.components });
const compiled = new Map<object, ValidateFunction>();

function validator(schema: object): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const text = JSON.stringify(schema).replaceAll('"#/', '"doc#/');
  const made = ajv.compile(JSON.parse(text));
  compiled.set(schema, made);
  return made;
}

/** The path of the document that a request's path is. */
function pathOf(url: string): Record<string, { responses: object }> | null {
  const path = url.split('?', 1)[0] as string;
  const segments = path.split('/');
  const fits = (template: string) => {
    const parts = template.split('/');
    return (
      parts.length === segments.length &&
      parts.every((part, i) =>
        part.startsWith('{') ? segments[i] !== '' : part === segments[i],
      )
    );
  };
  // One without parameters goes first, as in the router.
  const found = Object.keys(document.paths)
    .sort((a, b) => a.split('{').length - b.split('{').length)
    .find(fits);
  return found === undefined ? null : (document.paths[found] ?? null);
}

/** What an answer is checked by. */
export interface Given {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  body: unknown;
}

const ERROR = { $ref: '#/components/schemas/Error' };

/**
 * @returns what the document does not allow in the answer, or null; calls that
 *   it does not know must end as errors do; it does not describe itself
 */
export function complaint(
  method: string,
  url: string,
  answer: Given,
): string | null {
  const { status, text, body, headers } = answer;
  if (url.startsWith('/docs')) return null;
  const said = `${method} ${url}: ${status}`;
  const operation = pathOf(url)?.[method.toLowerCase()];
  const responses = (operation?.responses ?? {}) as Record<string, Response>;
  if (operation === undefined && status < 400) return `${said} is unknown`;
  const isDocumented = operation === undefined || String(status) in responses;
  if (!isDocumented) return `${said} is not in the document`;
  if (method === 'HEAD') return text === '' ? null : `${said} has a body`;
  const schema =
    operation === undefined
      ? ERROR
      : responses[status]?.content?.['application/json'].schema;
  if (schema === undefined) return text === '' ? null : `${said} has a body`;
  if (headers['content-type'] !== 'application/json') {
    return `${said} is ${headers['content-type']}`;
  }
  const validate = validator(schema);
  if (validate(body)) return null;
  return `${said}: ${ajv.errorsText(validate.errors)}: ${text}`;
}

/** Names of the document's calls. */
export function operationIds(): string[] {
  return Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map(
      (each) => (each as unknown as { operationId: string }).operationId,
    ),
  );
}
