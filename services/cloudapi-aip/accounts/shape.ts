// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The shape of what mahi answers for an account (facts: cloudapi 2.5), which
 * is also the shape of one element of an account file. mahi says more than we
 * read; what we do read has the type we expect, so that a `"disabled": "true"`
 * is an error and not an enabled account.
 */

const text = { type: 'string', minLength: 1 };
const texts = { type: 'array', items: text };
const boolean = { type: 'boolean' };
const uuid = {
  type: 'string',
  pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
  description: 'must be a UUID in lower case',
};

/** Fingerprint -> key. */
const keys = { type: 'object', additionalProperties: text };

const account = {
  type: 'object',
  required: ['uuid', 'login', 'keys'],
  additionalProperties: true,
  properties: {
    uuid,
    login: text,
    keys,
    isOperator: boolean,
    groups: texts,
    disabled: boolean,
  },
};

const user = {
  type: 'object',
  required: ['uuid', 'login', 'account', 'keys'],
  additionalProperties: true,
  properties: {
    uuid,
    login: text,
    account: uuid,
    keys,
    roles: texts,
    defaultRoles: texts,
    disabled: boolean,
  },
};

const role = {
  type: 'object',
  required: ['name'],
  additionalProperties: true,
  properties: {
    name: text,
    account: uuid,
    rules: {
      type: 'array',
      items: { anyOf: [text, { type: 'array', minItems: 2 }] },
    },
  },
};

/** JSON schema of `AccountInfo`. */
export const accountInfoSchema = {
  type: 'object',
  required: ['account'],
  additionalProperties: true,
  properties: {
    account,
    user,
    roles: { type: 'object', additionalProperties: role },
    key_names: keys,
  },
};
