// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The OpenAPI 3.1 document, made from the table of calls and the schemas that
 * validate. Pure.
 */

import type { Schema } from '#lib/schema/validate.js';
import { HEADERS, type Operation, operations } from './operations.js';
import type { Parameter } from './parameters.js';
import { schemas } from './schemas.js';

type Json = Record<string, unknown>;

/** Statuses that calls can fail with, and what they say. */
const FAILURES: Record<string, string> = {
  400: 'The request, its date, version, body or key id cannot be read',
  401: 'No signature, or one that does not verify',
  403: 'Not your account, not your role, a disabled account, or the quota',
  404: 'Not there, or not yours',
  406: 'Replies are JSON',
  408: 'The body does not come in time',
  409: 'A parameter is wrong or missing, or the AIP is in use or protected',
  412: 'The AIP has changed since',
  413: 'The body is too long',
  415: 'The body has an encoding or a charset that is not read',
  422: 'The Idempotency-Key was used for another request',
  429: 'Too many requests',
  500: 'A fault of ours',
  503: 'No address is free, or a service behind does not answer',
};

const ref = (name: string): Schema => ({
  $ref: `#/components/schemas/${name}`,
});

/** `/:login/aips/:id` as OpenAPI writes it. */
export function templateOf(path: string): string {
  return path.replace(/:(\w+)/g, '{$1}');
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    description:
      name === 'login' ? 'a login, the UUID of an account, or my' : 'of an AIP',
    schema: { type: 'string' },
  }));
}

function queryParameter(parameter: Parameter, required: boolean): Json[] {
  const { names, schema, about: description } = parameter;
  if (names[0] === 'tag.*') {
    // An exploded form object: each property is a parameter of its own.
    const patternProperties = { '^tag\\..': schema };
    const object = { type: 'object', patternProperties };
    const style = { style: 'form', explode: true };
    return [
      { name: 'tags', in: 'query', ...style, description, schema: object },
    ];
  }
  return names.map((name, i) => ({
    name,
    in: 'query',
    required: required && names.length === 1,
    description: i === 0 ? description : `the same as ${names[0]}`,
    schema,
  }));
}

function requestBody({ body }: Operation): Json {
  if (body.length === 0) return {};
  const properties = Object.fromEntries(
    body.flatMap(({ names, schema, about }) =>
      names.map((name, i) => [
        name,
        {
          ...schema,
          description: i === 0 ? about : `the same as ${names[0]}`,
        },
      ]),
    ),
  );
  const schema = { type: 'object', properties };
  return { requestBody: { content: { 'application/json': { schema } } } };
}

function content(schema: Schema): Json {
  return { content: { 'application/json': { schema } } };
}

function successOf(name: string, { success, headers }: Operation): Json {
  const { status, body, list } = success;
  const schema = body === null ? null : list ? arrayOf(body) : ref(body);
  const tagged = name === 'UpdateAIP' && schema !== null;
  const either = { anyOf: [schema, ref('RoleTags')] };
  const good = {
    description: 'Done',
    ...(schema === null ? {} : content(tagged ? either : schema)),
  };
  const known = headers.includes('If-None-Match');
  return {
    [status]: good,
    ...(known ? { 304: { description: 'As you know it' } } : {}),
  };
}

function arrayOf(name: string): Schema {
  return { type: 'array', items: ref(name) };
}

/** Whether a call can end with a status of `FAILURES`. */
function canFail(operation: Operation, status: string): boolean {
  const { method, query, body, headers, signed } = operation;
  switch (status) {
    case '400':
    case '406':
    case '500':
      return true;
    case '409':
      return query.length + body.length > 0;
    case '412':
      return headers.includes('If-Match');
    case '408':
    case '413':
    case '415':
      return method !== 'GET';
    case '422':
      return headers.includes('Idempotency-Key');
    default:
      return signed;
  }
}

function failuresOf(operation: Operation): Json {
  const possible = Object.entries(FAILURES).filter(([status]) =>
    canFail(operation, status),
  );
  return Object.fromEntries(
    possible.map(([status, description]) => [
      status,
      { description, ...content(ref('Error')) },
    ]),
  );
}

function operationObject(name: string, operation: Operation): Json {
  const { query, headers, path, summary, signed } = operation;
  const required = name === 'DetachAIP';
  return {
    operationId: name,
    summary,
    ...(signed ? {} : { security: [] }),
    parameters: [
      ...pathParameters(path),
      ...query.flatMap((each) => queryParameter(each, required)),
      ...headers.map((header) => ({
        name: header,
        in: 'header',
        description: HEADERS[header],
        schema: { type: 'string' },
      })),
    ],
    ...requestBody(operation),
    responses: { ...successOf(name, operation), ...failuresOf(operation) },
  };
}

/** HEAD answers as GET does, without its body. */
function headOf(get: Json): Json {
  const responses = Object.fromEntries(
    Object.entries(get['responses'] as Json).map(([status, response]) => {
      const { description } = response as { description: string };
      return [status, { description }];
    }),
  );
  return { ...get, operationId: `Head${get['operationId']}`, responses };
}

/**
 * Builds the document.
 * @param version of the software
 */
export function openApi(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const [name, operation] of Object.entries(operations)) {
    const item = operationObject(name, operation);
    const path = templateOf(operation.path);
    const methods: Json = { [operation.method.toLowerCase()]: item };
    if (operation.method === 'GET') methods['head'] = headOf(item);
    paths[path] = { ...paths[path], ...methods };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Assignable IPs (RFD 158)',
      version,
      license: { name: 'MPL-2.0', identifier: 'MPL-2.0' },
    },
    security: [{ signature: [] }],
    paths,
    components: {
      schemas,
      securitySchemes: {
        signature: {
          type: 'http',
          scheme: 'signature',
          description:
            'HTTP Signature over `date` or `(request-target) date`, as CloudAPI takes it',
        },
      },
    },
  };
}
