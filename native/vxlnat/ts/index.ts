// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The native engine as TypeScript sees it.
 *
 * Purpose. `VxlNat` runs one translating engine with its own threads, one
 * VXLAN socket, one TUN device and, where it works, XDP on the interfaces.
 * Packets never enter JavaScript: it sends operations, and reads counters,
 * flows and events.
 *
 * Interface. `VxlNat.open` makes and starts an engine, `apply` changes its
 * configuration, `attach` puts its XDP program in place once it has its rules,
 * `stats`, `io`, `drops` and `flows` read it, `close` ends it. Events arrive in
 * batches, coalesced by the native side, on the main thread.
 *
 * Invariants. Operations are applied in the order given, and calls in the
 * order made. A batch with a field error is refused whole before anything is
 * applied; an operation that the engine itself refuses (a public IP with two
 * roles, say) reports its own error in its place and the others still apply.
 * Setting what is set and removing what is gone change nothing.
 *
 * Failure. Every error is a `VxlNatError` with a `code`; field errors carry
 * the path. After `close`, or after the process ends, the kernel removes the
 * TUN device and nothing is forwarded. A second `close` does nothing; any
 * other call on a closed engine throws `EngineClosedError`. `close` resolves
 * only when the worker has ended and no event will follow.
 *
 * Threads. This object belongs to one JavaScript thread. The worker's rules
 * are written at the head of io/worker.h.
 */

import { loadBinding } from './binding.js';
import {
  asVxlNatError,
  EngineClosedError,
  InvalidValueError,
} from './errors.js';
import type {
  CountsDto,
  DropDto,
  EngineEvent,
  FlowEventsDto,
  FlowFilterDto,
  FlowPageDto,
  HotRemoteDto,
  IoStatusDto,
  NativeBinding,
  Operation,
  OperationResult,
  QuestionDto,
  StatsDto,
  TapReadDto,
  TapSpecDto,
  TimersDto,
} from './native.js';
import {
  type EngineOptions,
  engineConfig,
  type IoOptions,
  ioConfig,
} from './options.js';
import { completeOperations } from './rule-options.js';

export * from './errors.js';
export type * from './native.js';
export type { EngineOptions, IoOptions } from './options.js';

/** An open tap; whoever opened it closes it. */
export interface Tap {
  /** What was taken since the last time. */
  read(): Promise<TapReadDto>;
  /** Ends it and frees its memory; harmless when called again. */
  close(): Promise<void>;
}

/** Receives events in small batches. */
export type EventHandler = (events: EngineEvent[]) => void;

/** The most operations in one call: a bound on the worker's pause. */
export const MAX_OPERATIONS = 65_536;
/** The most flows in one page. */
export const MAX_FLOW_PAGE = 10_000;

function calling<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw asVxlNatError(thrown);
  }
}

/** One running engine. */
export class VxlNat {
  readonly #binding: NativeBinding;
  readonly #handle: object;
  /** What a rule's idle times begin with. */
  readonly #timers: TimersDto;
  #closing: Promise<void> | null = null;

  private constructor(
    binding: NativeBinding,
    handle: object,
    timers: TimersDto,
  ) {
    this.#binding = binding;
    this.#handle = handle;
    this.#timers = timers;
  }

  /**
   * Opens the sockets and the TUN device and starts the worker.
   * @param config what differs from the defaults
   * @param io which interface and TUN device
   * @param onEvents called with remote misses and log lines
   * @throws InvalidValueError, EngineIoError, AddonMissingError
   */
  static open(
    config: EngineOptions,
    io: IoOptions,
    onEvents: EventHandler,
  ): VxlNat {
    const engine = engineConfig(config);
    const ports = ioConfig(io);
    if (typeof onEvents !== 'function') {
      throw new InvalidValueError('onEvents', 'expected a function');
    }
    const binding = loadBinding();
    return new VxlNat(
      binding,
      calling(() => binding.engineOpen(engine, ports, onEvents)),
      engine.timers,
    );
  }

  /**
   * Applies operations in order.
   * @returns one result for each, when all have been applied
   * @throws InvalidValueError (nothing applied), EngineBusyError,
   *   EngineClosedError
   */
  async apply(operations: Operation[]): Promise<OperationResult[]> {
    this.#open();
    if (Array.isArray(operations) && operations.length > MAX_OPERATIONS) {
      throw new InvalidValueError(
        'operations',
        `expected at most ${MAX_OPERATIONS}, got ${operations.length}`,
      );
    }
    return this.#wait(() =>
      this.#binding.engineApply(
        this.#handle,
        completeOperations(operations, this.#timers),
      ),
    );
  }

  /** Totals and gauges, at most one pass of the worker old. */
  stats(): StatsDto {
    this.#open();
    return calling(() => this.#binding.engineStats(this.#handle));
  }

  /** Every drop reason with its count, zeros included. */
  drops(): DropDto[] {
    this.#open();
    return calling(() => this.#binding.engineDrops(this.#handle));
  }

  /**
   * One page of live flows.
   * @param filter null or absent means any; the default limit is 1000
   */
  async flows(filter: Partial<FlowFilterDto> = {}): Promise<FlowPageDto> {
    this.#open();
    const whole: FlowFilterDto = {
      vnet: filter.vnet ?? null,
      private_ip: filter.private_ip ?? null,
      public_ip: filter.public_ip ?? null,
      remote_ip: filter.remote_ip ?? null,
      proto: filter.proto ?? null,
      port: filter.port ?? null,
      limit: filter.limit ?? 1000,
      cursor: filter.cursor ?? 0,
    };
    if (!(whole.limit >= 1 && whole.limit <= MAX_FLOW_PAGE)) {
      throw new InvalidValueError(
        'filter.limit',
        `expected 1 to ${MAX_FLOW_PAGE}, got ${whole.limit}`,
      );
    }
    return this.#wait(() => this.#binding.engineFlows(this.#handle, whole));
  }

  /**
   * Opens a tap on the packets that match.
   * @throws InvalidValueError when it cannot be opened so
   */
  async openTap(spec: TapSpecDto): Promise<Tap> {
    this.#open();
    const { error, id } = await this.#wait(() =>
      this.#binding.engineTapOpen(this.#handle, spec),
    );
    if (error !== null) throw new InvalidValueError('tap', error);
    return {
      read: async () => {
        const read = await this.#wait(() =>
          this.#binding.engineTapRead(this.#handle, id, spec.room),
        );
        if (read === null) throw new EngineClosedError('the tap is closed');
        return read;
      },
      close: async () => {
        if (this.#closing !== null) return;
        await this.#wait(() => this.#binding.engineTapClose(this.#handle, id));
      },
    };
  }

  /**
   * What would become of a packet; nothing is sent and nothing changes.
   * @returns the packet's story as JSON text
   * @throws InvalidValueError when there is no such packet
   */
  async explain(question: QuestionDto): Promise<string> {
    this.#open();
    const { error, answer } = await this.#wait(() =>
      this.#binding.engineExplain(this.#handle, question),
    );
    if (error !== null) throw new InvalidValueError('question', error);
    return answer;
  }

  /** Counters of every vnet and public address. */
  async counts(): Promise<CountsDto> {
    this.#open();
    return this.#wait(() => this.#binding.engineCounts(this.#handle));
  }

  /**
   * Where public ports are scarcest. Walks over all flows, a little at a time.
   * @param most how many remotes of each public address
   */
  async hot(most: number): Promise<HotRemoteDto[]> {
    this.#open();
    return this.#wait(() => this.#binding.engineHot(this.#handle, most));
  }

  /**
   * Switches the log of flows on or off.
   * @param room how many events wait until they are read; 0 switches it off
   */
  async openEvents(room: number): Promise<void> {
    this.#open();
    await this.#wait(() => this.#binding.engineEventsOpen(this.#handle, room));
  }

  /** At most so many events, the oldest first. */
  async readEvents(most: number): Promise<FlowEventsDto> {
    this.#open();
    return this.#wait(() => this.#binding.engineEventsRead(this.#handle, most));
  }

  /** By which path packets go, why, and what it has counted. */
  io(): IoStatusDto {
    this.#open();
    return calling(() => this.#binding.engineIo(this.#handle));
  }

  /**
   * Puts this engine's XDP program in place, instead of the one that a
   * predecessor has left. Until then packets go by socket and TUN device.
   * Nothing to do, and no harm, on the path `tun`.
   * @returns the status; its `why` says what did not work
   */
  attach(): IoStatusDto {
    this.#open();
    return calling(() => this.#binding.engineAttach(this.#handle));
  }

  /**
   * Takes the XDP program away; packets then go by socket and TUN device.
   * @returns the status
   */
  detach(): IoStatusDto {
    this.#open();
    return calling(() => this.#binding.engineDetach(this.#handle));
  }

  /**
   * Ends the threads and frees everything; harmless when called again.
   * @param keep leaves the XDP program in place for a successor, if pinned
   */
  close(keep = false): Promise<void> {
    this.#closing ??= this.#wait(() =>
      this.#binding.engineClose(this.#handle, keep),
    );
    return this.#closing;
  }

  async #wait<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (thrown) {
      throw asVxlNatError(thrown);
    }
  }

  #open(): void {
    if (this.#closing !== null) throw new EngineClosedError();
  }
}

/**
 * Takes away the XDP program that an ended process left in place.
 * @param pins as that process was given it
 * @throws EngineIoError
 */
export function detach(pins: string): void {
  const binding = loadBinding();
  calling(() => binding.detach(pins));
}

/**
 * Announces that this host answers for an address: one gratuitous ARP request
 * (RFC 5227 section 2.3), so that neighbours replace what they had cached.
 * @param interfaceName an Ethernet interface
 * @param ip dotted quad
 * @throws InvalidValueError for a bad address, EngineIoError when the
 *   interface does not exist, is down, or is not Ethernet
 */
export function announceArp(interfaceName: string, ip: string): void {
  const binding = loadBinding();
  calling(() => binding.announceArp(interfaceName, ip));
}
