// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What vxlnatd needs of an engine, and the adapter over the native one. The
 * only file of the service that names the native binding; everything else,
 * and every test, works with `Engine`.
 */

import type {
  CountsDto,
  DropDto,
  EngineConfigDto,
  EngineEvent,
  FlowEventsDto,
  FlowFilterDto,
  FlowPageDto,
  HotRemoteDto,
  IoConfigDto,
  IoStatusDto,
  Operation,
  OperationResult,
  QuestionDto,
  StatsDto,
  TapReadDto,
  TapSpecDto,
} from '#native/native.js';

export type {
  CountsDto,
  DropDto,
  EngineConfigDto,
  EngineEvent,
  FlowDto,
  FlowEventsDto,
  FlowFilterDto,
  FlowMatchDto,
  FlowPageDto,
  HotRemoteDto,
  IoConfigDto,
  IoStatusDto,
  LimitsDto,
  Operation,
  OperationResult,
  PublicCountsDto,
  QuestionDto,
  StatsDto,
  TapReadDto,
  TapSpecDto,
  TimersDto,
  VnetCountsDto,
} from '#native/native.js';

/** An open tap. */
export interface Tap {
  read(): Promise<TapReadDto>;
  close(): Promise<void>;
}

/** A running engine. */
export interface Engine {
  /** Applies in order; one result for each operation, in the same order. */
  apply(operations: Operation[]): Promise<OperationResult[]>;
  /** By which path packets go, and why. */
  io(): IoStatusDto;
  /** Puts the XDP program in place, once the first rules are applied. */
  attach(): IoStatusDto;
  /** Takes it away; packets then go by socket and TUN device. */
  detach(): IoStatusDto;
  stats(): StatsDto;
  drops(): DropDto[];
  flows(filter: FlowFilterDto): Promise<FlowPageDto>;
  /** Looks on while packets pass; whoever opens a tap closes it. */
  openTap(spec: TapSpecDto): Promise<Tap>;
  /** The story of a packet that is not sent, as JSON text. */
  explain(question: QuestionDto): Promise<string>;
  /** Counters of every vnet and public address. */
  counts(): Promise<CountsDto>;
  /** The hottest remotes of each public address, hottest first. */
  hot(most: number): Promise<HotRemoteDto[]>;
  /** Switches the log of flows on, with room for so many; 0: off. */
  openEvents(room: number): Promise<void>;
  readEvents(most: number): Promise<FlowEventsDto>;
  /** One gratuitous ARP request (RFC 5227); throws when it cannot be sent. */
  announceArp(interfaceName: string, ip: string): void;
  /**
   * Stops the engine; a second call does nothing.
   * @param keep leaves the XDP program in place for a successor
   */
  close(keep?: boolean): Promise<void>;
}

/** How an app is given its engine: the native one, or a test's. */
export type OpenEngine = (
  config: EngineConfigDto,
  io: IoConfigDto,
  onEvents: (events: EngineEvent[]) => void,
) => Promise<Engine>;

/**
 * Opens the native engine.
 * @param config what it is made with
 * @param io how packets enter and leave
 * @param onEvents receives misses and log lines in small batches
 * @throws an Error naming the field, device or missing build
 */
export async function openNativeEngine(
  config: EngineConfigDto,
  io: IoConfigDto,
  onEvents: (events: EngineEvent[]) => void,
): Promise<Engine> {
  const { VxlNat, announceArp } = await import('#native/index.js');
  const native = VxlNat.open(config, io, onEvents);
  return {
    apply: (operations) => native.apply(operations),
    io: () => native.io(),
    attach: () => native.attach(),
    detach: () => native.detach(),
    stats: () => native.stats(),
    drops: () => native.drops(),
    flows: (filter) => native.flows(filter),
    openTap: (spec) => native.openTap(spec),
    explain: (question) => native.explain(question),
    counts: () => native.counts(),
    hot: (most) => native.hot(most),
    openEvents: (room) => native.openEvents(room),
    readEvents: (most) => native.readEvents(most),
    announceArp,
    close: (keep) => native.close(keep),
  };
}

/**
 * Takes away what a daemon that is dead has left attached in this network
 * namespace; harmless when there is nothing.
 * @param pins as in the daemon's IoConfigDto
 * @throws an Error that says why not
 */
export async function detachPins(pins: string): Promise<void> {
  const { detach } = await import('#native/index.js');
  detach(pins);
}
