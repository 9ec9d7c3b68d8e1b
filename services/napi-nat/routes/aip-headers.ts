// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What headers say of a request for an AIP: on which revision it may be done
 * (If-Match), which answer it may have been given before (Idempotency-Key),
 * and for whom it is done (x-context, as VMAPI takes it from CloudAPI).
 */

import { invalidParameter } from '#lib/errors.js';
import { conditional } from '#lib/http/conditional.js';
import type { Reply, Request } from '#lib/http/types.js';
import type { AipState } from '#lib/model/aip.js';
import type { Asked } from '../aip/asked.js';
import type { AuditCaller } from '../aip/audit.js';
import { onceKey } from '../aip/once.js';
import { invalid } from '../validate/params.js';

const MAX_TEXT = 512;

/**
 * The etag of an AIP in a state. While its assignment is under way the answer
 * changes without a write, so the state is part of the etag then; for If-Match
 * the write alone counts.
 */
export function etagOfState(etag: string, state: AipState): string {
  const settled = state === 'attached' || state === 'detached';
  return settled ? etag : `${etag}-${state}`;
}

/** A header of etags without the states in them. */
function revisions(header: string): string {
  return header.replace(/-(attaching|detaching)\b/g, '');
}

/** For a GET: a 304 instead of the answer, or null. */
export function unchanged(request: Request, etag: string): Reply | null {
  return conditional(request, etag);
}

function checkOf(request: Request): (etag: string) => void {
  const headers = { ...request.headers };
  for (const name of ['if-match', 'if-none-match']) {
    const value = headers[name];
    if (value !== undefined) headers[name] = revisions(value);
  }
  return (etag) => void conditional({ ...request, headers }, etag);
}

/** The caller that x-context names; who sends none is an operator. */
function callerOf(request: Request): AuditCaller {
  const ip = request.remoteAddress;
  const unknown: AuditCaller = { type: 'operator', ip };
  const header = request.headers['x-context'];
  if (header === undefined) return unknown;
  try {
    const { caller } = JSON.parse(header) as { caller?: unknown };
    const given = caller as Record<string, unknown> | null | undefined;
    if (given?.['type'] !== 'signature') return unknown;
    const named = ['ip', 'user', 'keyId'].flatMap((name) => {
      const value = given[name];
      const short = typeof value === 'string' && value.length <= MAX_TEXT;
      return short ? [[name, value]] : [];
    });
    return { type: 'signature', ...Object.fromEntries(named) };
  } catch {
    return unknown;
  }
}

/**
 * How a change is asked for.
 * @param owner whose Idempotency-Key it is; none is the operator
 * @param what the validated request
 * @throws ServiceError 422 for an Idempotency-Key that is not one
 */
export function askedBy(
  request: Request,
  owner: string | undefined,
  what: object,
): Asked {
  const key = request.headers['idempotency-key'];
  const asked: Asked = {
    caller: callerOf(request),
    check: checkOf(request),
  };
  if (key === undefined) return asked;
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    const message = 'must be 1 to 255 printable ASCII characters';
    throw invalid([invalidParameter('Idempotency-Key', message)]);
  }
  const { method } = request;
  const verb = { method, route: request.route, what };
  return { ...asked, once: onceKey(owner ?? '', key, verb) };
}
