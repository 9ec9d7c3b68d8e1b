// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The document is a valid one, is served to anybody, and names every call. That
 * answers keep to it is checked with every answer of every test (conform.ts).
 */

import { Validator } from '@seriousme/openapi-schema-validator';
import test from 'tape';
import { openApi } from '../../../services/cloudapi-aip/api/openapi.js';
import { operations } from '../../../services/cloudapi-aip/api/operations.js';
import { complaint, operationIds } from './conform.js';
import { deploy } from './deployment.js';

test('it is OpenAPI 3.1', async (t) => {
  const document = openApi('1.2.3');
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  t.deepEqual([result.valid, result.errors], [true, undefined]);
  t.equal(validator.version, '3.1');
  t.equal((document['info'] as { version: string }).version, '1.2.3');
  const broken = structuredClone(document) as { paths: object };
  Object.assign(broken.paths, { '/x': { get: { responses: 7 } } });
  t.equal((await new Validator().validate(broken)).valid, false, 'it can fail');
});

test('every call is in it, and every GET has its HEAD', (t) => {
  const names = Object.keys(operations);
  const gets = Object.entries(operations)
    .filter(([, { method }]) => method === 'GET')
    .map(([name]) => `Head${name}`);
  t.deepEqual(operationIds().sort(), [...names, ...gets].sort());
  t.end();
});

test('it is served without a signature', async (t) => {
  const { send } = await deploy(t);
  const json = await send('GET', '/docs/openapi.json', {
    'accept-version': '~7.2',
  });
  const { openapi, paths } = json.body as { openapi: string; paths: object };
  t.deepEqual([json.status, openapi], [200, '3.1.0']);
  const page = await send('GET', '/docs', {
    accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
  });
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  for (const [name, { path }] of Object.entries(operations)) {
    t.ok(page.text.includes(`id="${name}"`), `the page has ${name}`);
    t.ok(path.replace(/:(\w+)/g, '{$1}') in paths, path);
  }
  t.equal((await send('HEAD', '/docs')).status, 200);
});

test('what an answer must not be is found', (t) => {
  const headers = { 'content-type': 'application/json' };
  const given = (status: number, body: unknown) => ({
    status,
    headers,
    body,
    text: body === undefined ? '' : JSON.stringify(body),
  });
  const id = '44444444-0000-4000-8000-000000000001';
  const error = { code: 'ResourceNotFound', message: 'aip not found' };
  const one = `/my/aips/${id}?x=1`;
  t.equal(complaint('GET', one, given(404, error)), null);
  t.ok(complaint('GET', one, given(404, { message: 'x' })), 'no code');
  t.ok(complaint('GET', one, given(418, error)), 'a status that is not there');
  t.ok(complaint('GET', one, given(200, { id })), 'half an AIP');
  t.ok(complaint('GET', '/my/aips', given(200, {})), 'no array');
  t.ok(complaint('DELETE', one, given(204, {})), 'a body too many');
  t.ok(complaint('GET', '/my/other', given(200, {})), 'an unknown path');
  t.ok(
    complaint('GET', one, { ...given(404, error), headers: {} }),
    'no media type',
  );
  t.end();
});
