// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What the service answers, as JSON schemas: every reply of a test fits one. */

import type { Schema } from '#lib/schema/validate.js';
import { STATES, tags, UUID_PATTERN } from './parameters.js';

const uuid: Schema = { type: 'string', pattern: UUID_PATTERN };
const time: Schema = {
  type: 'string',
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$',
};
/** IPv4 now; a client that stores text needs no change for IPv6. */
const address: Schema = { type: 'string', pattern: '^[0-9a-f.:]+$' };

function closed(required: string[], optional: string[], all: Schema): Schema {
  const properties = Object.fromEntries(
    [...required, ...optional].map((name) => [name, all[name] ?? {}]),
  );
  return { type: 'object', required, additionalProperties: false, properties };
}

const aip = closed(
  [
    'id',
    'uuid',
    'ip',
    'family',
    'state',
    'deletion_protection',
    'owner_uuid',
    'created',
    'updated',
  ],
  [
    'private_ip',
    'private-ip',
    'description',
    'tags',
    'belongs_to_uuid',
    'belongs_to_type',
  ],
  {
    id: uuid,
    uuid,
    ip: address,
    family: { type: 'string', enum: ['ipv4', 'ipv6'] },
    state: { type: 'string', enum: STATES },
    deletion_protection: { type: 'boolean' },
    owner_uuid: uuid,
    created: time,
    updated: time,
    private_ip: address,
    'private-ip': address,
    description: { type: 'string' },
    tags,
    belongs_to_uuid: uuid,
    belongs_to_type: { type: 'string', enum: ['Instance'] },
  },
);

const fault = {
  type: 'object',
  required: ['field', 'code', 'message'],
  properties: {
    field: { type: 'string' },
    code: { type: 'string' },
    message: { type: 'string' },
  },
};

const error = closed(['code', 'message'], ['errors'], {
  code: { type: 'string' },
  message: { type: 'string' },
  errors: { type: 'array', items: fault },
});

const auditEntry = closed(['success', 'time', 'action', 'caller'], [], {
  success: { type: 'string', enum: ['yes', 'no'] },
  time,
  action: {
    type: 'string',
    enum: ['create', 'assign', 'detach', 'update', 'delete'],
  },
  caller: closed(['type'], ['ip', 'user', 'keyId'], {
    type: { type: 'string', enum: ['signature', 'operator', 'system'] },
    ip: { type: 'string' },
    user: { type: 'string' },
    keyId: { type: 'string' },
  }),
});

const limit = closed(['by', 'used'], ['value'], {
  by: { type: 'string', enum: ['aips'] },
  used: { type: 'integer', minimum: 0 },
  value: { type: 'integer', minimum: 0 },
});

const roleTags = closed(['name', 'role-tag'], [], {
  name: { type: 'string' },
  'role-tag': { type: 'array', items: { type: 'string' } },
});

const ping = closed(['ping', 'cloudapi'], [], {
  ping: { type: 'string', enum: ['pong'] },
  cloudapi: closed(['versions'], [], {
    versions: { type: 'array', items: { type: 'string' } },
  }),
});

/** The named schemas of the document. */
export const schemas = {
  AIP: aip,
  Error: error,
  AuditEntry: auditEntry,
  Limit: limit,
  RoleTags: roleTags,
  Ping: ping,
} as const satisfies Record<string, Schema>;

export type SchemaName = keyof typeof schemas;
