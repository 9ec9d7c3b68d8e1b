// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Parameters of networks (facts: triton-napi 3.2, 3.4, 3.5). */

import type { NapiConfig } from '../config.js';
import { oneTag } from '../nic-tag/exists.js';
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
  subnetPrefix,
  uuid,
  uuidArray,
  uuidPrefix,
  vlanId,
  vnetId,
} from '../validate/values.js';
import { NETWORK_FIELDS } from './record.js';

const networkMtu = mtu(576);
export const networkFields = fields(NETWORK_FIELDS);

const required = { name: string, nic_tag: oneTag, vlan_id: vlanId };

function createChecks(linkLocal: boolean) {
  return {
    subnet,
    provision_start_ip: ip,
    provision_end_ip: ip,
    description: clearableString,
    fabric: bool,
    subnet_alloc: bool,
    family: oneOf('ipv4'),
    subnet_prefix: subnetPrefix,
    fields: networkFields,
    gateway,
    internet_nat: bool,
    mtu: networkMtu,
    owner_uuids: uuidArray,
    routes: routes(linkLocal),
    resolvers: ipArray,
    uuid,
    vnet_id: vnetId,
    nat_reform_public: anything,
  };
}

export type CreateInput = Values<typeof required> &
  Partial<Values<ReturnType<typeof createChecks>>>;

function updateChecks(linkLocal: boolean) {
  return {
    name: string,
    description: clearableString,
    owner_uuids: uuidArray,
    mtu: networkMtu,
    gateway: ip,
    provision_start_ip: ip,
    provision_end_ip: ip,
    resolvers: ipArray,
    routes: routes(linkLocal),
    nat_reform_public: anything,
  };
}

/** Compared with what is stored: a different value is refused. */
const fixed = {
  fabric: bool,
  family: oneOf('ipv4', 'ipv6'),
  gateway_provisioned: bool,
  internet_nat: bool,
  nic_tag: string,
  subnet,
  vlan_id: vlanId,
  vnet_id: vnetId,
};
export type FixedInput = Partial<Values<typeof fixed>>;
export const FIXED_FIELDS = Object.keys(fixed) as (keyof FixedInput)[];

export type ChangeInput = Partial<Values<ReturnType<typeof updateChecks>>>;
export type UpdateInput = ChangeInput & FixedInput;

/** What a new network, and a change of one, may say. */
export function networkSpecs({
  allow_linklocal: linkLocal = false,
}: Pick<NapiConfig, 'allow_linklocal'>) {
  return {
    create: { required, optional: createChecks(linkLocal) },
    update: { optional: { ...updateChecks(linkLocal), ...fixed } },
  };
}

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
