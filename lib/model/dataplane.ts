// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a zone folds: the data plane's view of fabric networks, AIPs, public
 * IPs and zones. `GET /dataplane` answers a `Dataplane`; each changefeed item
 * to an extended subscriber carries one of these objects, or null when it is
 * gone. Resources and ids: `network` uuid -> FabricRule | null, `aip` uuid ->
 * OneToOne | null, `nat_public` ip -> NatPublic | null, `nat_zone` uuid ->
 * NatZone | null.
 */

import type { RuleOptions } from './rule-options.js';

/** A fabric network whose default router is a NAT Reform zone. */
export interface FabricRule {
  network_uuid: string;
  owner_uuid: string;
  vnet_id: number;
  vlan_id: number;
  /** CIDR of the fabric network. */
  subnet: string;
  /** Default router: VL3 and VL2. The MAC never changes (design 4.3). */
  gateway: string;
  router_mac: string;
  nat_reform_public: string;
  /** Absent: none. Rules files have them. */
  options?: RuleOptions;
}

/** An assigned AIP; a detached one is null to the data plane. */
export interface OneToOne {
  aip_uuid: string;
  vnet_id: number;
  vlan_id: number;
  private_ip: string;
  public_ip: string;
}

/** Which zone serves a public IP: placement. */
export interface NatPublic {
  ip: string;
  kind: 'snat' | 'aip';
  /** Null: nobody announces it (a detached AIP). */
  zone_uuid: string | null;
  /** Owner under the `per-owner` policy, else null. */
  owner_uuid: string | null;
  network_uuid: string;
}

/** `up`: serves; `standby`: up and held in reserve; `draining`: no new work. */
export type ZoneState = 'new' | 'up' | 'standby' | 'draining' | 'down';

/** A NAT Reform zone. */
export interface NatZone {
  uuid: string;
  ul3_ip: string;
  ul3_port: number;
  /** Dedicated external IP (RFD 158, "Dedicated etherstub"). */
  external_ip: string;
  /** Compute node the zone runs on, or null. */
  server_uuid: string | null;
  state: ZoneState;
  /** Held in reserve by the `standby` policy. */
  standby: boolean;
  /** Relative share under `spread`; 1 unless told otherwise. */
  weight: number;
  /** The zone that serves this one's UL3 by takeover, or null. */
  ul3_served_by: string | null;
}

/** The snapshot that a zone boots from. */
export interface Dataplane {
  /** Journal position that the snapshot is of. */
  position: number;
  /** `rulesDigest` of fabrics and AIPs. */
  digest: string;
  fabrics: FabricRule[];
  one_to_ones: OneToOne[];
  publics: NatPublic[];
  zones: NatZone[];
}

/** What vxlnatd posts to `/nat_zones/:uuid/heartbeat`. */
export interface Heartbeat {
  /** The engine's own progress counter (StatsDto.progress). */
  progress: number;
  /** Journal position applied so far. */
  position: number;
  /** `rulesDigest` of the rules applied in the engine. */
  digest: string;
  /** Public IPs announced now; of very many the first thousand. */
  announced: string[];
  flows: number;
}

/** The answer to a heartbeat. */
export interface HeartbeatReply {
  state: ZoneState;
  /** Newest journal position: the zone sees how far behind it is. */
  position: number;
  interval_ms: number;
}
