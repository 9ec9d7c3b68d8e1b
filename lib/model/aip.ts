// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Assignable IPs as napi-nat serves them on `/aips` and as zones fold them
 * (RFD 158, "Assignable IP Addresses"). CloudAPI's face of the same object is
 * in services/cloudapi-aip.
 */

/**
 * How far an AIP's assignment has come. `attached`: every zone that could
 * forward for it has applied it; `detached`: none has it any more.
 */
export type AipState = 'detached' | 'attaching' | 'attached' | 'detaching';

/** The states in the order in which an AIP passes them. */
export const AIP_STATES: readonly AipState[] = [
  'detached',
  'attaching',
  'attached',
  'detaching',
];

/** The internal shape: `GET /aips/:uuid`. Absent optional fields are omitted. */
export interface Aip {
  uuid: string;
  owner_uuid: string;
  /** The public address. */
  ip: string;
  /** Of `ip` and `private_ip`; IPv6 has the same shape. */
  family: 'ipv4';
  state: AipState;
  /** Whether DeleteAIP is refused. */
  deletion_protection: boolean;
  /** Public network that the address was taken from. */
  network_uuid: string;
  description?: string;
  tags?: Record<string, string | number | boolean>;
  /** UUIDs of the roles whose holders may use it (facts: cloudapi 1.6). */
  role_tags?: string[];
  /** Set together while the AIP is assigned. */
  belongs_to_uuid?: string;
  belongs_to_type?: 'Instance';
  private_ip?: string;
  vnet_id?: number;
  vlan_id?: number;
  fabric_network_uuid?: string;
  /** ISO 8601 with milliseconds. */
  created_timestamp: string;
  modified_timestamp: string;
}
