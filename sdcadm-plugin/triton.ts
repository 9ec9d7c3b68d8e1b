// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Triton's objects, as far as they are read here (facts:
 * svp-portolan-vxlnat 6.6, 7).
 */

/** SAPI: the `sdc` application. */
export interface Application {
  uuid: string;
  name: string;
  owner_uuid: string;
  metadata: Record<string, unknown>;
}

export interface SapiService {
  uuid: string;
  name: string;
  application_uuid: string;
  params: Record<string, unknown>;
  metadata: Record<string, unknown>;
  /** UUIDs of manifests by name. */
  manifests?: Record<string, string>;
}

export interface SapiManifest {
  uuid: string;
  name: string;
  path: string;
  template: string;
  post_cmd?: string;
  version?: string;
}

/** SAPI: all that an instance's machine is to have, at `/configs/:uuid`. */
export interface SapiConfig {
  manifests: SapiManifest[];
  metadata: Record<string, unknown>;
}

export interface SapiInstance {
  uuid: string;
  service_uuid: string;
  params: { alias?: string; server_uuid?: string };
}

export interface VmNic {
  mac: string;
  ip: string;
  nic_tag: string;
  network_uuid: string;
  primary?: boolean;
}

export interface Vm {
  uuid: string;
  alias: string;
  state: string;
  server_uuid: string;
  image_uuid?: string;
  nics: VmNic[];
}

export interface Server {
  uuid: string;
  hostname: string;
  setup: boolean;
  status: string;
  sysinfo?: {
    'Network Interfaces'?: Record<string, { 'NIC Names'?: string[] }>;
    'Link Aggregations'?: Record<string, { 'NIC Names'?: string[] }>;
  };
}

export interface Package {
  uuid: string;
  name: string;
}

export interface Image {
  uuid: string;
  name: string;
  version: string;
  state?: string;
  published_at?: string;
}

/** NAPI: a network, or a pool, which has no subnet of its own. */
export interface Network {
  uuid: string;
  name: string;
  nic_tag: string;
  fabric?: boolean;
  owner_uuid?: string;
  owner_uuids?: string[];
  vlan_id?: number;
  subnet?: string;
  gateway?: string;
  internet_nat?: boolean;
  nat_reform_public?: string;
  /** Of a conversion that is under way. */
  nat_reform_job?: string;
}

/** napi-nat: a conversion (docs/conversion.md). */
export interface Job {
  uuid: string;
  execution: 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled';
  log: { at: string; step: string; message: string }[];
}

/** napi-nat: a NAT zone as it is registered. */
export interface NatZone {
  uuid: string;
  ul3_ip: string;
  external_ip: string;
  server_uuid: string | null;
  state: string;
  status?: { in_sync?: boolean };
}

/** SAPI: `fabric_cfg` of the application's metadata. */
export interface FabricCfg {
  sdc_underlay_tag?: string;
  sdc_underlay_pool?: string;
  sdc_nat_pool?: string;
}
