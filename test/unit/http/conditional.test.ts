// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** If-Match and If-None-Match on unquoted etags (facts: triton-napi 1.5). */

import test from 'tape';
import { ServiceError } from '#lib/errors.js';
import { conditional, isConditional } from '#lib/http/conditional.js';
import type { Method, Request } from '#lib/http/types.js';

function request(method: Method, headers: Record<string, string>): Request {
  return { method, headers } as unknown as Request;
}

function outcome(
  method: Method,
  headers: Record<string, string>,
  etag = 'ABCD',
): number | string {
  try {
    return conditional(request(method, headers), etag)?.status ?? 'go on';
  } catch (error) {
    const { status, body } = error as ServiceError;
    return `${status} ${body.code} ${body.message}`;
  }
}

test('If-Match lets through what it names', (t) => {
  for (const header of ['ABCD', '"ABCD"', 'W/"ABCD"', 'x, ABCD', '*']) {
    t.equal(outcome('PUT', { 'if-match': header }), 'go on', header);
  }
  t.equal(
    outcome('PUT', { 'if-match': '"old", x' }),
    `412 PreconditionFailed if-match '"old", x' didn't match etag 'ABCD'`,
  );
  t.equal(outcome('PUT', {}), 'go on');
  t.end();
});

test('If-Match of nothing means create only', (t) => {
  t.equal(outcome('PUT', { 'if-match': '' }, ''), 'go on');
  t.ok(String(outcome('PUT', { 'if-match': '""' })).startsWith('412'));
  t.end();
});

test('If-None-Match answers 304 to readers and 412 to writers', (t) => {
  t.equal(outcome('GET', { 'if-none-match': 'ABCD' }), 304);
  t.equal(outcome('HEAD', { 'if-none-match': '*' }), 304);
  t.equal(outcome('GET', { 'if-none-match': 'other' }), 'go on');
  t.equal(
    outcome('DELETE', { 'if-none-match': 'ABCD' }),
    "412 PreconditionFailed if-none-match 'ABCD' matched etag 'ABCD'",
  );
  t.end();
});

test('a request says whether it is conditional', (t) => {
  t.ok(isConditional(request('GET', { 'if-match': '' })));
  t.notOk(isConditional(request('GET', {})));
  t.ok(new ServiceError(412, { code: 'x', message: 'y' }) instanceof Error);
  t.end();
});
