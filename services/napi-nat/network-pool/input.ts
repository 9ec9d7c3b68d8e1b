// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Parameters of network pools (facts: triton-napi 6.2). */

import { type Check, Fault, type Values } from '../validate/params.js';
import {
  clearableString,
  limit,
  offset,
  oneOf,
  string,
  uuid,
  uuidArray,
  uuidPrefix,
} from '../validate/values.js';

const MAX_NETWORKS = 64;

/** The networks of a pool. */
const members: Check<string[]> = (value) => {
  const list = uuidArray(value);
  if (list instanceof Fault) return list;
  if (list.length === 0) {
    return new Fault('network pool must contain at least one network');
  }
  return list.length > MAX_NETWORKS
    ? new Fault(`maximum ${MAX_NETWORKS} networks per network pool`)
    : list;
};

/** The one network that a filter names. */
const oneNetwork: Check<string> = (value) => {
  const list = uuidArray(value);
  if (list instanceof Fault) return list;
  return list.length === 1
    ? (list[0] as string)
    : new Fault('Only one network UUID allowed');
};

/** Owners, where nothing means nobody in particular. */
const clearableOwners: Check<string[]> = (value) =>
  value === null || value === '' ? [] : uuidArray(value);

export const createSpec = {
  required: { name: string, networks: members },
  optional: {
    description: clearableString,
    owner_uuids: uuidArray,
    uuid,
  },
};
export type CreateInput = Values<typeof createSpec.required> &
  Partial<Values<typeof createSpec.optional>>;

export const updateSpec = {
  optional: {
    name: string,
    description: clearableString,
    networks: members,
    owner_uuids: clearableOwners,
  },
};
export type UpdateInput = Partial<Values<typeof updateSpec.optional>>;

export const listSpec = {
  optional: {
    uuid: uuidPrefix,
    name: string,
    family: oneOf('ipv4', 'ipv6'),
    networks: oneNetwork,
    provisionable_by: uuid,
    limit,
    offset,
  },
  strict: true,
};
export type ListInput = Partial<Values<typeof listSpec.optional>>;
