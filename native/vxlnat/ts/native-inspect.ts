// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What crosses the bridge when somebody looks into a running engine: taps,
 * questions, counters and the log of flows; see engine/inspect.h.
 */

/** Narrows what is looked at; null means any. */
export interface FlowMatchDto {
  vnet: number | null;
  private_ip: string | null;
  public_ip: string | null;
  remote_ip: string | null;
  proto: number | null;
  /** The private, public or remote one; of ICMP the identifier. */
  port: number | null;
}

/** Where on its way a packet is copied; see engine/inspect.h. */
export type PointDto = 'outer' | 'inner' | 'translated' | 'drop';

/** One look into the engine: which packets, and what of them. */
export interface TapSpecDto {
  filter: FlowMatchDto;
  /** `out` from a fabric, `in` from the Internet. */
  direction: 'out' | 'in' | null;
  /** Only packets dropped for this reason of drops.def. */
  drop: string | null;
  /** Where packets are copied; none: each packet's story is told. */
  points: PointDto[];
  /** Bytes of a packet that are copied. */
  snap: number;
  /** How many are taken, then it ends. */
  packets: number;
  lifetime_ms: number;
  /** Bytes kept until somebody reads them. */
  room: number;
}

/** What a tap has taken since it was last read. */
export interface TapReadDto {
  /** Lines of JSON, or FrameHeads (engine/inspect.h) with their bytes. */
  data: ArrayBuffer;
  /** The engine's clock, which the times in `data` are of. */
  now_ms: number;
  done: boolean;
  seen: number;
  lost: number;
}

/** A packet to explain. */
export interface QuestionDto {
  direction: 'out' | 'in';
  vnet: number;
  src: string;
  dst: string;
  /** ICMP echo: the identifier, with either port. */
  sport: number;
  dport: number;
  proto: number;
  tcp_flags: number;
  icmp_type: number;
  ttl: number;
  size: number;
}

/** What a vnet or a public address has of flows, and has had. */
export interface TallyDto {
  flows: number;
  /** Most flows at one time. */
  high_water: number;
  created: number;
  expired: number;
}

/** Inner packets that were translated, and their bytes. */
export interface TrafficDto {
  packets_out: number;
  bytes_out: number;
  packets_in: number;
  bytes_in: number;
}

export interface VnetCountsDto extends TallyDto, TrafficDto {
  vnet: number;
  /** Flows of TCP that are not established. */
  opening: number;
  /** Dropped packets by reason; reasons that never happened are left out. */
  drops: Record<string, number>;
}

export interface PublicCountsDto extends TallyDto, TrafficDto {
  ip: string;
  /** Of a 1:1 entry; null for an address of rules. */
  vnet: number | null;
}

export interface CountsDto {
  vnets: VnetCountsDto[];
  publics: PublicCountsDto[];
}

/** A remote that holds many ports of a public address. */
export interface HotRemoteDto {
  public_ip: string;
  remote_ip: string;
  remote_port: number;
  proto: number;
  flows: number;
}

/** Flows that began, ended or were refused, since they were last read. */
export interface FlowEventsDto {
  /** FlowEvents of engine/events.h, 64 bytes each. */
  data: ArrayBuffer;
  /** The engine's clock, which the times in `data` are of. */
  now_ms: number;
  /** Since the start; the oldest are lost when nobody reads. */
  lost: number;
}
