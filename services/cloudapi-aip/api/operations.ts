// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The calls of the service: the one table from which the routes, the reading
 * of parameters and the OpenAPI document are made. A name is the route's name
 * and, in lower case, the action of role-based access (facts: cloudapi 1.6).
 */

import * as p from './parameters.js';
import type { SchemaName } from './schemas.js';

/** Request headers that a call heeds, with what they are for. */
export const HEADERS = {
  'If-Match': 'do it only when the AIP still has one of these etags',
  'If-None-Match': '304 when the AIP still has one of these etags',
  'Idempotency-Key':
    '1 to 255 printable characters of your choice: the same request with the same key is done once and answered alike for 24 h',
  'role-tag': 'names of the roles whose holders may use it, by commas',
} as const;

export interface Operation {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  summary: string;
  /** False where no signature is asked for. */
  signed: boolean;
  /** Taken from the query alone, as DELETE has no body in the triton CLI. */
  query: p.Parameter[];
  /** Taken from a JSON body, a form or the query; the body wins. */
  body: p.Parameter[];
  headers: (keyof typeof HEADERS)[];
  /** Status and body of success; null has none. */
  success: { status: number; body: SchemaName | null; list: boolean };
}

const COLLECTION = '/:login/aips';
const ONE = '/:login/aips/:id';

function operation(
  method: Operation['method'],
  path: string,
  summary: string,
  success: [number, SchemaName | null, 'list'?],
  more: Partial<Operation> = {},
): Operation {
  const [status, body, list] = success;
  return {
    method,
    path,
    summary,
    signed: true,
    query: [],
    body: [],
    headers: [],
    success: { status, body, list: list === 'list' },
    ...more,
  };
}

export const operations = {
  Ping: operation(
    'GET',
    '/--ping',
    'Whether the service answers',
    [200, 'Ping'],
    {
      signed: false,
    },
  ),
  ListAIPs: operation(
    'GET',
    COLLECTION,
    'Your AIPs, oldest first',
    [200, 'AIP', 'list'],
    {
      query: [
        p.limit,
        p.marker,
        p.offset,
        p.ip,
        p.ofInstance,
        p.inState,
        p.attached,
        p.tagFilter,
      ],
    },
  ),
  CreateAIP: operation(
    'POST',
    COLLECTION,
    'Reserves a public address, and assigns it where an instance is given',
    [201, 'AIP'],
    {
      body: [
        p.instance,
        p.privateIp,
        p.description,
        p.tagsParameter,
        p.deletionProtection,
      ],
      headers: ['Idempotency-Key', 'role-tag'],
    },
  ),
  ReplaceResourceCollectionRoleTags: operation(
    'PUT',
    COLLECTION,
    'Sets whose roles may list and create',
    [200, 'RoleTags'],
    { body: [p.roleTag] },
  ),
  GetAIPLimits: operation(
    'GET',
    `${COLLECTION}/limits`,
    'How many AIPs you have and may have',
    [200, 'Limit', 'list'],
  ),
  GetAIP: operation(
    'GET',
    ONE,
    'One AIP; with wait, as soon as it is in that state',
    [200, 'AIP'],
    { query: [p.wait, p.timeout], headers: ['If-Match', 'If-None-Match'] },
  ),
  UpdateAIP: operation(
    'PUT',
    ONE,
    'Assigns, moves or describes an AIP, or sets its role tags',
    [200, 'AIP'],
    {
      body: [
        p.instance,
        p.privateIp,
        p.remap,
        p.description,
        p.tagsParameter,
        p.deletionProtection,
        p.roleTag,
      ],
      headers: ['If-Match', 'Idempotency-Key'],
    },
  ),
  DetachAIP: operation(
    'POST',
    ONE,
    'Takes an AIP from its instance; it stays yours',
    [204, null],
    { query: [p.detach], headers: ['If-Match', 'Idempotency-Key'] },
  ),
  DeleteAIP: operation('DELETE', ONE, 'Gives an AIP back', [204, null], {
    query: [p.reallyDelete],
    headers: ['If-Match', 'Idempotency-Key'],
  }),
  ListAIPAudit: operation(
    'GET',
    `${ONE}/audit`,
    'What was done to an AIP and by whom, newest first, for 90 days',
    [200, 'AuditEntry', 'list'],
  ),
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;

/** The route name of a call, which is the action that roles allow. */
export function actionOf(name: string): string {
  return name.toLowerCase();
}
