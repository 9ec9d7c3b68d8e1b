// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Parameters of NICs (facts: triton-napi 5.2, 5.3, 5.4). */

import { invalidParameter } from '#lib/errors.js';
import { tagList, tagOfNic } from '../nic-tag/exists.js';
import { mac, nicIp } from '../validate/addresses.js';
import { type Check, Fault, invalid, type Values } from '../validate/params.js';
import {
  bool,
  isUuid,
  limit,
  offset,
  oneOf,
  someUuids,
  string,
  stringOrArray,
  uuid,
  vlanId,
} from '../validate/values.js';
import { BELONGS_TO_TYPES, NIC_STATES } from './record.js';

/** A network's UUID, or `admin`. */
const networkId: Check<string> = (value) =>
  value === 'admin' || isUuid(value) ? value : new Fault('invalid UUID');

const flags = {
  allow_dhcp_spoofing: bool,
  allow_ip_spoofing: bool,
  allow_mac_spoofing: bool,
  allow_restricted_traffic: bool,
  allow_unfiltered_promisc: bool,
};

const owners = {
  belongs_to_uuid: uuid,
  belongs_to_type: oneOf(...BELONGS_TO_TYPES),
  owner_uuid: uuid,
};

const common = {
  ip: nicIp,
  network_uuid: networkId,
  nic_tag: tagOfNic,
  vlan_id: vlanId,
  cn_uuid: uuid,
  primary: bool,
  reserved: bool,
  model: string,
  state: oneOf(...NIC_STATES),
  underlay: bool,
  check_owner: bool,
  nic_tags_provided: tagList,
  nic_tags_available: tagList,
  ...flags,
};

export const createSpec = { required: owners, optional: { ...common, mac } };
export const updateSpec = { optional: { ...common, ...owners } };

export type CommonInput = Partial<Values<typeof common>>;
export type CreateInput = Values<typeof owners> &
  CommonInput &
  Partial<Values<{ mac: typeof mac }>>;
export type UpdateInput = CommonInput & Partial<Values<typeof owners>>;

export const listSpec = {
  optional: {
    ...flags,
    underlay: bool,
    owner_uuid: someUuids,
    cn_uuid: someUuids,
    belongs_to_uuid: someUuids,
    network_uuid: someUuids,
    belongs_to_type: stringOrArray,
    nic_tag: stringOrArray,
    nic_tags_provided: stringOrArray,
    state: string,
    limit,
    offset,
  },
  strict: true,
};

export type ListInput = Partial<Values<typeof listSpec.optional>>;

/** The tag of `tag/vnet`: the vnet only says which network is meant. */
export function tagName(tag: string): string {
  return tag.split('/', 1)[0] as string;
}

/** Only a server's NIC carries the overlay. @throws ServiceError 422 */
export function refuseUnderlay(
  underlay: boolean | undefined,
  belongsToType: string,
): void {
  if (underlay !== true || belongsToType === 'server') return;
  const message = 'Only server NICs can be underlay NICs';
  throw invalid([invalidParameter('underlay', message)]);
}
