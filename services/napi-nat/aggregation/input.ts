// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Parameters of aggregations (facts: triton-napi 6.4). */

import type { Mac } from '#lib/net/mac.js';
import { tagList } from '../nic-tag/exists.js';
import { mac, macArray } from '../validate/addresses.js';
import { type Check, Fault, type Values } from '../validate/params.js';
import { limit, offset, string, tagName, uuid } from '../validate/values.js';
import { LACP_MODES } from './record.js';

const MAX_MACS = 16;

/** The name of an interface: a NIC tag's, with a number at its end. */
const interfaceName: Check<string> = (value) => {
  const name = tagName(value);
  if (name instanceof Fault) return name;
  return /[0-9]$/.test(name) ? name : new Fault('must end in a number');
};

const members: Check<Mac[]> = (value) => {
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list)) {
    return new Fault('must be an array of MAC addresses');
  }
  const wrong = list
    .filter((item) => typeof item !== 'string' || mac(item) instanceof Fault)
    .map((item) => (typeof item === 'object' ? 'object' : String(item)));
  if (wrong.length > 0) {
    const invalid = [...new Set(wrong)].sort();
    return new Fault('invalid MAC addresses', { invalid });
  }
  const macs = [...new Set(list.map((item) => mac(item) as Mac))];
  if (macs.length > MAX_MACS) {
    return new Fault(`maximum of ${MAX_MACS} MAC addresses supported`);
  }
  return macs.length === 0
    ? new Fault('must specify at least one MAC address')
    : macs;
};

const lacpMode: Check<(typeof LACP_MODES)[number]> = (value) => {
  const text = string(value);
  if (text instanceof Fault) return text;
  return (
    LACP_MODES.find((mode) => mode === text) ??
    new Fault(`Invalid LACP mode. Supported modes: ${LACP_MODES.join(', ')}`)
  );
};

const changeable = { lacp_mode: lacpMode, nic_tags_provided: tagList };

export const createSpec = {
  required: { name: interfaceName, macs: members },
  optional: changeable,
};
export type CreateInput = Values<typeof createSpec.required> &
  Partial<Values<typeof changeable>>;

export const updateSpec = { optional: { ...changeable, macs: members } };
export type UpdateInput = Partial<Values<typeof updateSpec.optional>>;

export const listSpec = {
  optional: {
    belongs_to_uuid: uuid,
    macs: macArray,
    nic_tags_provided: tagList,
    limit,
    offset,
  },
  strict: true,
};
export type ListInput = Partial<Values<typeof listSpec.optional>>;
