// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What crosses the bridge between vxlnatd and the native engine: plain values
 * and function declarations, in the same order and with the same names as
 * `addon/binding.cc`. Optional means `T | null` and always present. Addresses
 * are dotted-quad text, MACs lower-case colon text, prefixes CIDR text, times
 * milliseconds, 64-bit counters `number` (exact up to 2^53). Real validation
 * and defaults belong to `index.ts`; native code checks only what conversion
 * needs and names the field path in its error.
 */

import type {
  CountsDto,
  FlowEventsDto,
  FlowMatchDto,
  HotRemoteDto,
  QuestionDto,
  TapReadDto,
  TapSpecDto,
} from './native-inspect.js';
import type { LimitsDto, RuleOptions } from './native-rule.js';

export type * from './native-inspect.js';
export type * from './native-rule.js';

/** Idle timers in milliseconds (facts: nat-behaviour D6, T6, I2, F5). */
export interface TimersDto {
  tcp_established: number;
  tcp_opening: number;
  tcp_closing: number;
  udp: number;
  icmp: number;
  fragment: number;
  /** Quarantine of an outside tuple after its flow ended (T13). */
  quarantine: number;
}

/** What the engine is made with; nothing here changes while it runs. */
export interface EngineConfigDto {
  /** VXLAN UDP port, 4789 unless a lab says otherwise (RFC 7348 section 4). */
  vxlan_port: number;
  /** vnet on which the engine reflects liveness probes (RFC 7880). */
  probe_vnet: number;
  /** Inner MTU: what fits into one VXLAN datagram on the underlay (M1). */
  inner_mtu: number;
  /** Room for this many flows; memory is taken at start. */
  max_flows: number;
  /** Room for fabrics, and the vnets they are in; memory is taken at start. */
  max_vnets: number;
  max_rules: number;
  /** Room for AIPs, and for places of instances. */
  max_one_to_ones: number;
  max_remotes: number;
  port_low: number;
  port_high: number;
  timers: TimersDto;
  /** 32 hex digits keying the hash and port choice; random in production. */
  seed: string;
  /** TCP RST to an inside host that uses an unknown flow (T11). */
  rst_on_unknown: boolean;
  /** Of each host and each vnet of which nothing else is said (P3). */
  host_limits: LimitsDto;
  vnet_limits: LimitsDto;
}

/**
 * How packets are carried: `xdp` translates what it can in the kernel and the
 * rest in lanes fed by AF_XDP, `af_xdp` everything in lanes, `tun` everything
 * between a UDP socket and a TUN device.
 */
export type IoPath = 'xdp' | 'af_xdp' | 'tun';

/** How packets enter and leave. */
export interface IoConfigDto {
  /** A path that must work, or the best that does. */
  kind: 'auto' | IoPath;
  /** The VXLAN socket and XDP are bound to this device, or null for any. */
  underlay_interface: string | null;
  /** The way to the Internet; null: not known, and only `tun` works. */
  external_interface: string | null;
  /** 802.1Q tag of external packets; 0: that of the interface, or none. */
  external_vlan: number;
  /** Name of the TUN device that carries public addresses. */
  tun_name: string;
  tun_mtu: number;
  /** Packets taken at once. */
  burst: number;
  /** Threads for queues of the network; 0: as many as make sense. */
  lanes: number;
  /**
   * Path on a BPF file system below which the XDP program is kept when this
   * process ends, for its successor; null keeps nothing.
   */
  pins: string | null;
}

/** One interface that carries the XDP program. */
export interface IoPortDto {
  interface: string;
  /** Run by the driver, or by the kernel after it. */
  mode: 'native' | 'generic';
  vlan: number;
  queues: number;
}

/** How packets are carried now. Counts are of lanes and XDP, not of `tun`. */
export interface IoStatusDto {
  path: IoPath;
  /** Why not by a better path; null when this is the best, or was chosen. */
  why: string | null;
  attached: boolean;
  zero_copy: boolean;
  /** The program stays in place when this process ends without `close`. */
  pinned: boolean;
  unpinned_why: string | null;
  lanes: number;
  ports: IoPortDto[];
  flows_taken_over: number;
  /** Left to the kernel: not ours. */
  passed: number;
  /** Given to the engine. */
  raised: number;
  /** Ours, but no lane served the queue: left to socket and TUN device. */
  no_queue: number;
  /** Translated in the kernel, from a fabric and into one. */
  fast_out: number;
  fast_in: number;
  rx_packets: number;
  tx_packets: number;
  /** Came faster than they were taken. */
  rx_overflow: number;
  /** Damaged. */
  rx_invalid: number;
  tx_refused: number;
  /** Sent by the kernel, because of the neighbour, the way or the size. */
  detoured: number;
  detour_lost: number;
}

/** Whose flow it is. */
export interface FlowOwnerDto {
  vnet: number;
  private_ip: string;
  private_port: number;
}

/**
 * One change of the engine's configuration. Every operation may be applied
 * twice: setting what is set and removing what is gone change nothing.
 */
export type Operation =
  /** Serve an underlay address of ours (own UL3, or one taken over). */
  | { op: 'add_ul3'; ip: string }
  | { op: 'remove_ul3'; ip: string }
  /** SNAT rule {vnet, prefix} -> public IP; also the default router. */
  | {
      op: 'set_rule';
      vnet: number;
      vlan: number;
      prefix: string;
      router_ip: string;
      router_mac: string;
      public_ip: string;
      /** Absent or null: the defaults. `VxlNat.apply` completes them. */
      options?: RuleOptions | null;
    }
  | { op: 'remove_rule'; vnet: number; prefix: string }
  /** Limits of a whole vnet; all 0 takes them away (P3). */
  | ({ op: 'set_vnet_limits'; vnet: number } & LimitsDto)
  /** No new flows on a public address of rules; those it has stay (G2). */
  | { op: 'set_drain'; public_ip: string; draining: boolean }
  /** 1:1 entry {vnet, private IP} <-> public IP. */
  | {
      op: 'set_one_to_one';
      vnet: number;
      vlan: number;
      private_ip: string;
      public_ip: string;
    }
  | { op: 'remove_one_to_one'; vnet: number; private_ip: string }
  /** SVP's answer: where {vnet, inner IP} lives. */
  | {
      op: 'set_remote';
      vnet: number;
      ip: string;
      mac: string;
      ul3_ip: string;
      ul3_port: number;
    }
  | { op: 'remove_remote'; vnet: number; ip: string }
  /** Shootdown by MAC (SVP_LOG_VL2): forget every remote with this MAC. */
  | { op: 'remove_remote_mac'; vnet: number; mac: string }
  /** SVP said NOTFOUND: drop what waits, ask again after `retry_ms`. */
  | { op: 'remote_not_found'; vnet: number; ip: string; retry_ms: number }
  /** End one flow by its outside key, which may be another's by then. */
  | {
      op: 'remove_flow';
      proto: number;
      public_ip: string;
      public_port: number;
      remote_ip: string;
      remote_port: number;
      /** Only when it is still this endpoint's; absent or null: anyone's. */
      owner?: FlowOwnerDto | null;
    }
  /** All has been said: what was taken over at the start and not said goes. */
  | { op: 'finish_adoption' };

/** The outcome of one operation: null error when it holds now. */
export interface OperationResult {
  error: string | null;
}

/** What the engine tells the daemon; delivered in small batches. */
export type EngineEvent =
  /** Inbound packet for an inner address whose remote is unknown. */
  | { event: 'remote_miss'; vnet: number; ip: string }
  | { event: 'log'; level: 'info' | 'warn' | 'error'; message: string };

/** One drop reason from drops.def with its count. */
export interface DropDto {
  name: string;
  sentence: string;
  count: number;
}

/** Totals since start, and gauges. */
export interface StatsDto {
  /** Rises with each pass of the worker loop: the engine is alive. */
  progress: number;
  rx_underlay_packets: number;
  rx_underlay_bytes: number;
  tx_underlay_packets: number;
  tx_underlay_bytes: number;
  rx_external_packets: number;
  rx_external_bytes: number;
  tx_external_packets: number;
  tx_external_bytes: number;
  hairpin_packets: number;
  icmp_errors_sent: number;
  gateway_replies: number;
  probes_reflected: number;
  drops: number;
  flows: number;
  flows_created: number;
  flows_expired: number;
  fragments: number;
  rules: number;
  one_to_ones: number;
  vnets: number;
  remotes: number;
  remote_misses: number;
}

/** One live flow as an operator sees it. */
export interface FlowDto {
  vnet: number;
  /** IANA protocol number: 1, 6 or 17. */
  proto: number;
  private_ip: string;
  private_port: number;
  public_ip: string;
  public_port: number;
  remote_ip: string;
  remote_port: number;
  state: string;
  idle_ms: number;
  expires_ms: number;
  packets_out: number;
  packets_in: number;
}

/** Narrows `flows`; `cursor` from the answer before. */
export interface FlowFilterDto extends FlowMatchDto {
  limit: number;
  cursor: number;
}

export interface FlowPageDto {
  flows: FlowDto[];
  /** Where to go on, or null at the end. */
  cursor: number | null;
}

/** The addon's exports, as `binding.cc` registers them. */
export interface NativeBinding {
  /** Opens sockets, starts the worker; throws a named error on failure. */
  engineOpen(
    config: EngineConfigDto,
    io: IoConfigDto,
    onEvents: (events: EngineEvent[]) => void,
  ): object;
  /** Hands operations to the worker; resolves when all have been applied. */
  engineApply(
    handle: object,
    operations: Operation[],
  ): Promise<OperationResult[]>;
  engineStats(handle: object): StatsDto;
  engineDrops(handle: object): DropDto[];
  /** Copies at most `limit` matching flows; the worker does the copying. */
  engineFlows(handle: object, filter: FlowFilterDto): Promise<FlowPageDto>;
  /** Opens a tap; `id` is 0 when `error` says why not. */
  engineTapOpen(
    handle: object,
    spec: TapSpecDto,
  ): Promise<{ error: string | null; id: number }>;
  /** Takes what was kept, or null when there is no such tap. */
  engineTapRead(
    handle: object,
    id: number,
    room: number,
  ): Promise<TapReadDto | null>;
  engineTapClose(handle: object, id: number): Promise<void>;
  /** The story of a packet that is not sent, as JSON text. */
  engineExplain(
    handle: object,
    question: QuestionDto,
  ): Promise<{ error: string | null; answer: string }>;
  /** Counters of every vnet and public address. */
  engineCounts(handle: object): Promise<CountsDto>;
  /** The `most` hottest remotes of each public address, hottest first. */
  engineHot(handle: object, most: number): Promise<HotRemoteDto[]>;
  /** Switches the log of flows on, with room for so many; 0: off. */
  engineEventsOpen(handle: object, room: number): Promise<void>;
  engineEventsRead(handle: object, most: number): Promise<FlowEventsDto>;
  engineIo(handle: object): IoStatusDto;
  /** Puts the XDP program in place. */
  engineAttach(handle: object): IoStatusDto;
  /** Takes it away again; packets then go by socket and TUN device. */
  engineDetach(handle: object): IoStatusDto;
  /**
   * Stops the threads and frees everything; a second call does nothing.
   * `keep` leaves a pinned XDP program in place.
   */
  engineClose(handle: object, keep: boolean): Promise<void>;
  /** Takes away what an ended process left in place with these `pins`. */
  detach(pins: string): void;
  /** Sends one gratuitous ARP request (RFC 5227 announcement) for `ip`. */
  announceArp(interfaceName: string, ip: string): void;
}
