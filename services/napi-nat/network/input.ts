// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Parameters of networks (facts: triton-napi 3.2, 3.4, 3.5). */

import { gateway, ip, ipArray, routes, subnet } from '../validate/addresses.js';
import type { Values } from '../validate/params.js';
import {
  anything,
  bool,
  clearableString,
  fields,
  limit,
  mtu,
  offset,
  oneOf,
  string,
  stringOrArray,
  tagName,
  uuid,
  uuidArray,
  uuidPrefix,
  vlanId,
  vnetId,
} from '../validate/values.js';
import { NETWORK_FIELDS } from './record.js';

const networkMtu = mtu(576);
export const networkFields = fields(NETWORK_FIELDS);

export const createSpec = {
  required: { name: string, nic_tag: tagName, vlan_id: vlanId },
  optional: {
    subnet,
    provision_start_ip: ip,
    provision_end_ip: ip,
    description: clearableString,
    fabric: bool,
    subnet_alloc: bool,
    family: oneOf('ipv4'),
    subnet_prefix: anything,
    fields: networkFields,
    gateway,
    internet_nat: bool,
    mtu: networkMtu,
    owner_uuids: uuidArray,
    routes,
    resolvers: ipArray,
    uuid,
    vnet_id: vnetId,
    nat_reform_public: anything,
  },
};

export type CreateInput = Values<typeof createSpec.required> &
  Partial<Values<typeof createSpec.optional>>;

export const updateSpec = {
  optional: {
    name: string,
    description: clearableString,
    owner_uuids: uuidArray,
    mtu: networkMtu,
    gateway: ip,
    provision_start_ip: ip,
    provision_end_ip: ip,
    resolvers: ipArray,
    routes,
    nat_reform_public: anything,
  },
};

export type UpdateInput = Partial<Values<typeof updateSpec.optional>>;

/** Compared with what is stored: a different value is refused. */
export const FIXED_FIELDS = [
  'fabric',
  'family',
  'gateway_provisioned',
  'nic_tag',
  'vlan_id',
  'vnet_id',
  'subnet',
] as const;

export const listSpec = {
  optional: {
    uuid: uuidPrefix,
    fabric: bool,
    family: oneOf('ipv4', 'ipv6'),
    limit,
    name: stringOrArray,
    nic_tag: stringOrArray,
    offset,
    owner_uuid: uuid,
    provisionable_by: uuid,
    vlan_id: vlanId,
  },
  strict: true,
};

export type ListInput = Partial<Values<typeof listSpec.optional>>;
