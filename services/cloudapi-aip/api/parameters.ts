// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Every parameter that a customer can send, once: its names, the schema that
 * it is held to, and what it is for. aips/input.ts validates with these
 * schemas and openapi.ts shows them, so the document cannot say otherwise than
 * the service does.
 */

import type { Schema } from '#lib/schema/validate.js';

export interface Parameter {
  /** CloudAPI's name first, then RFD 158's. */
  names: readonly [string, ...string[]];
  schema: Schema;
  /** What the customer is told of a value that does not fit. */
  must: string;
  /** What it is for. */
  about: string;
}

const MAX_TEXT = 1024;
const MAX_TAGS = 128;

export const UUID_PATTERN = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const uuid: Schema = { type: 'string', pattern: UUID_PATTERN };
const ipv4: Schema = {
  type: 'string',
  pattern: `^${OCTET}(\\.${OCTET}){3}$`,
};
const boolean: Schema = { type: 'boolean' };
/** No control characters but tab and line feed, no halves of pairs. */
const text: Schema = {
  type: 'string',
  maxLength: MAX_TEXT,
  pattern: '^(?:[\\t\\n]|[^\\p{Cc}\\p{Cs}])*$',
};

export const STATES = ['detached', 'attaching', 'attached', 'detaching'];
const state: Schema = { type: 'string', enum: STATES };
const MUST_STATE = `must be one of ${STATES.join(', ')}`;

export const tags: Schema = {
  type: 'object',
  maxProperties: MAX_TAGS,
  propertyNames: { minLength: 1, maxLength: MAX_TAGS },
  additionalProperties: {
    anyOf: [text, { type: 'number' }, { type: 'boolean' }],
  },
};

const MUST_UUID = 'must be a UUID';
const MUST_IPV4 = 'must be an IPv4 address';
const MUST_BOOLEAN = 'must be true or false';

export const instance: Parameter = {
  names: ['instance'],
  schema: uuid,
  must: MUST_UUID,
  about: 'one of your instances',
};
export const privateIp: Parameter = {
  names: ['private_ip', 'private-ip'],
  schema: ipv4,
  must: MUST_IPV4,
  about:
    "which of the instance's fabric addresses; without it the primary, which must be a fabric address",
};
export const remap: Parameter = {
  names: ['remap'],
  schema: boolean,
  must: MUST_BOOLEAN,
  about: 'true to move an AIP that is assigned to another instance',
};
export const description: Parameter = {
  names: ['description'],
  schema: text,
  must: `must be text of at most ${MAX_TEXT} printable characters`,
  about: 'free text; an empty one in an update clears it',
};
export const tagsParameter: Parameter = {
  names: ['tags'],
  schema: tags,
  must: `must be an object of at most ${MAX_TAGS} texts, numbers and booleans`,
  about: 'labels; an empty object in an update clears them',
};
export const deletionProtection: Parameter = {
  names: ['deletion_protection'],
  schema: boolean,
  must: MUST_BOOLEAN,
  about: 'true to have DeleteAIP refused',
};
export const roleTag: Parameter = {
  names: ['role-tag'],
  schema: {
    type: 'array',
    maxItems: 64,
    items: { type: 'string', minLength: 1, maxLength: 256 },
  },
  must: 'must be a list of at most 64 names of roles',
  about: 'names of the roles whose holders may use it',
};
export const limit: Parameter = {
  names: ['limit'],
  schema: { type: 'integer', minimum: 1, maximum: 1000, default: 1000 },
  must: 'must be an integer from 1 to 1000',
  about: 'the most entries to list',
};
export const offset: Parameter = {
  names: ['offset'],
  schema: { type: 'integer', minimum: 0, maximum: 2 ** 31, default: 0 },
  must: `must be an integer from 0 to ${2 ** 31}`,
  about: 'how many entries to leave out first',
};
export const marker: Parameter = {
  names: ['marker'],
  schema: uuid,
  must: MUST_UUID,
  about: 'list strictly after this AIP',
};
export const ip: Parameter = {
  names: ['ip'],
  schema: ipv4,
  must: MUST_IPV4,
  about: 'the AIP with this public address',
};
export const ofInstance: Parameter = {
  names: ['instance', 'belongs_to_uuid'],
  schema: uuid,
  must: MUST_UUID,
  about: 'AIPs of this instance',
};
export const inState: Parameter = {
  names: ['state'],
  schema: state,
  must: MUST_STATE,
  about: 'AIPs in this state',
};
export const attached: Parameter = {
  names: ['attached'],
  schema: boolean,
  must: MUST_BOOLEAN,
  about: 'whether they belong to an instance',
};
export const wait: Parameter = {
  names: ['wait'],
  schema: state,
  must: MUST_STATE,
  about: 'answer when the AIP is in this state, or when the time is up',
};
export const timeout: Parameter = {
  names: ['timeout'],
  schema: { type: 'integer', minimum: 0, maximum: 50, default: 30 },
  must: 'must be an integer from 0 to 50',
  about: 'how many seconds to wait at most',
};
export const detach: Parameter = {
  names: ['detach'],
  schema: { type: 'boolean', const: true },
  must: 'must be true: no other action is known',
  about: 'the action',
};
export const reallyDelete: Parameter = {
  names: ['really_delete', 'really-delete'],
  schema: { ...boolean, default: false },
  must: MUST_BOOLEAN,
  about: 'true to delete an AIP that is assigned',
};
/** `tag.k=v`, any number of them. */
export const tagFilter: Parameter = {
  names: ['tag.*'],
  schema: text,
  must: `must be given once, with at most ${MAX_TEXT} characters`,
  about: 'AIPs whose tag of that name has this value as text',
};
