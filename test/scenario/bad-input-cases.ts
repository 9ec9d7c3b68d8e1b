// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the bad input of `bad-input-napi.test.ts` is made of: every
 * route that writes, with its fields by kind. `bad-input-values.ts` has the
 * values that a kind cannot have.
 */

import { type Fixtures, INSTANCE, OWNER, ZONE } from './bad-input-world.js';

export interface Case {
  method: string;
  path: string;
  /** A body that would be accepted; one field at a time is spoiled. */
  good: Record<string, unknown>;
  /** Fields by kind; `!` marks those where null is refused as well. */
  fields: Record<string, string>;
}

/** Every route that writes, with its fields. */
export function cases(world: Fixtures): Case[] {
  const { network, mac, privateIp, aip } = world;
  const vlans = `/fabrics/${OWNER}/vlans`;
  const network_ = {
    name: 'text!',
    subnet: 'subnet',
    provision_start_ip: 'ip!',
    provision_end_ip: 'ip!',
    description: 'text',
    gateway: 'ip',
    internet_nat: 'bool!',
    routes: 'routes!',
    resolvers: 'ips!',
    fields: 'fields!',
    uuid: 'uuid!',
    nat_reform_public: 'ip',
  };
  const nic = {
    belongs_to_uuid: 'uuid!',
    belongs_to_type: 'word!',
    owner_uuid: 'uuid!',
    ip: 'ip!',
    network_uuid: 'uuid!',
    nic_tag: 'text!',
    vlan_id: 'vlan!',
    cn_uuid: 'uuid!',
    primary: 'bool!',
    reserved: 'bool!',
    model: 'text!',
    state: 'word!',
    underlay: 'bool!',
    check_owner: 'bool!',
    nic_tags_provided: 'texts!',
    allow_dhcp_spoofing: 'bool!',
    allow_ip_spoofing: 'bool!',
    allow_mac_spoofing: 'bool!',
    allow_restricted_traffic: 'bool!',
    allow_unfiltered_promisc: 'bool!',
    nic_tags_available: 'texts!',
  };
  const zone = {
    ul3_ip: 'ip',
    ul3_port: 'count',
    external_ip: 'ip',
    server_uuid: 'uuid',
    standby: 'bool',
    weight: 'count',
  };
  const pool = { name: 'text!', description: 'text', networks: 'members!' };
  const aggregation = {
    macs: 'macs!',
    lacp_mode: 'word!',
    nic_tags_provided: 'texts!',
  };
  const range = {
    subnet: '10.9.9.0/24',
    provision_start_ip: '10.9.9.2',
    provision_end_ip: '10.9.9.250',
    gateway: '10.9.9.1',
  };
  const owned = {
    belongs_to_uuid: INSTANCE,
    belongs_to_type: 'zone',
    owner_uuid: OWNER,
  };
  return [
    {
      method: 'POST',
      path: '/networks',
      good: {
        name: 'n',
        nic_tag: 'external',
        vlan_id: 7,
        ...range,
      },
      fields: {
        ...network_,
        nic_tag: 'word!',
        vlan_id: 'vlan!',
        mtu: 'mtu!',
        owner_uuids: 'uuids!',
        vnet_id: 'vnet!',
        fabric: 'bool!',
        family: 'word!',
        subnet_alloc: 'bool!',
        subnet_prefix: 'prefix!',
      },
    },
    {
      method: 'PUT',
      path: `/networks/${network}`,
      good: {},
      fields: {
        name: 'text!',
        description: 'text',
        mtu: 'mtu!',
        gateway: 'ip',
        provision_start_ip: 'ip!',
        provision_end_ip: 'ip!',
        resolvers: 'ips!',
        routes: 'routes!',
        owner_uuids: 'uuids!',
        nat_reform_public: 'ip!',
        subnet: 'subnet!',
        vnet_id: 'vnet!',
        fabric: 'fixed!',
        vlan_id: 'vlan!',
        nic_tag: 'text!',
        family: 'fixed!',
        internet_nat: 'fixed!',
        gateway_provisioned: 'fixed!',
      },
    },
    {
      method: 'POST',
      path: vlans,
      good: { vlan_id: 9, name: 'nine' },
      fields: {
        vlan_id: 'vlan!',
        name: 'text!',
        description: 'text',
        fields: 'fields!',
      },
    },
    {
      method: 'PUT',
      path: `${vlans}/2`,
      good: {},
      fields: { name: 'text!', description: 'text', fields: 'fields!' },
    },
    {
      method: 'POST',
      path: `${vlans}/2/networks`,
      good: { name: 'nine', ...range },
      fields: network_,
    },
    {
      method: 'PUT',
      path: `${vlans}/2/networks/${network}`,
      good: {},
      fields: {
        name: 'text!',
        description: 'text',
        routes: 'routes!',
        resolvers: 'ips!',
        provision_start_ip: 'ip!',
        subnet: 'subnet!',
        nat_reform_public: 'ip!',
      },
    },
    {
      method: 'POST',
      path: '/nics',
      good: { ...owned, network_uuid: network },
      fields: { ...nic, mac: 'mac!' },
    },
    {
      method: 'POST',
      path: `/networks/${network}/nics`,
      good: owned,
      fields: { ...nic, network_uuid: '', mac: 'mac!' },
    },
    { method: 'PUT', path: `/nics/${mac}`, good: {}, fields: nic },
    {
      method: 'PUT',
      path: `/networks/${network}/ips/10.4.5.9`,
      good: {},
      fields: {
        owner_uuid: 'uuid!',
        belongs_to_uuid: 'uuid!',
        belongs_to_type: 'text!',
        reserved: 'bool!',
        unassign: 'bool!',
        free: 'bool!',
        check_owner: 'bool!',
      },
    },
    {
      method: 'POST',
      path: '/nic_tags',
      good: { name: 'newtag' },
      fields: { name: 'word_name!', uuid: 'uuid!', mtu: 'mtu!' },
    },
    {
      method: 'PUT',
      path: '/nic_tags/external',
      good: {},
      fields: { name: 'word_name!', mtu: 'mtu!' },
    },
    {
      method: 'POST',
      path: '/network_pools',
      good: { name: 'newpool', networks: [network] },
      fields: { ...pool, uuid: 'uuid!', owner_uuids: 'uuids!' },
    },
    {
      method: 'PUT',
      path: `/network_pools/${world.pool}`,
      good: {},
      fields: { ...pool, owner_uuids: 'uuids' },
    },
    {
      method: 'POST',
      path: '/aggregations',
      good: { name: 'aggr1', macs: [world.serverMac] },
      fields: { ...aggregation, name: 'word_name!' },
    },
    {
      method: 'PUT',
      path: `/aggregations/${world.aggregation}`,
      good: {},
      fields: aggregation,
    },
    {
      method: 'POST',
      path: '/aips',
      good: { owner_uuid: OWNER },
      fields: {
        owner_uuid: 'uuid!',
        uuid: 'uuid',
        instance: 'uuid',
        private_ip: 'ip',
        description: 'text',
        tags: 'tags',
        deletion_protection: 'bool',
        role_tags: 'uuids',
      },
    },
    {
      method: 'PUT',
      path: `/aips/${aip}`,
      good: { private_ip: privateIp },
      fields: {
        owner_uuid: 'uuid',
        instance: 'uuid',
        private_ip: 'ip',
        remap: 'bool',
        description: 'text',
        tags: 'tags',
        deletion_protection: 'bool',
        role_tags: 'uuids',
      },
    },
    {
      method: 'PUT',
      path: `/aip_accounts/${OWNER}`,
      good: {},
      fields: { quota: 'count', role_tags: 'uuids' },
    },
    {
      method: 'POST',
      path: '/nat_zones',
      good: {
        ul3_ip: '127.0.0.99',
        external_ip: '3.3.3.9',
      },
      fields: { ...zone, uuid: 'uuid' },
    },
    {
      method: 'PUT',
      path: `/nat_zones/${ZONE}`,
      good: {},
      fields: { ...zone, action: 'word' },
    },
    {
      method: 'POST',
      path: `/nat_zones/${ZONE}/heartbeat`,
      good: {
        progress: 2,
        position: 1,
        digest: 'x',
      },
      fields: {
        progress: 'count!',
        position: 'count!',
        digest: 'text!',
        announced: 'texts_any',
        flows: 'count',
      },
    },
  ];
}
