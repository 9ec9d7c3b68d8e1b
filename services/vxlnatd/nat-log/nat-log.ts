// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Where NAT events go: an IPFIX collector over UDP, a file of JSON lines, or
 * both. A sink that cannot keep up loses events and counts them; it never
 * holds packets up and never grows without bound.
 */

import { createSocket, type Socket } from 'node:dgram';
import { createWriteStream, type WriteStream } from 'node:fs';
import type { Logger } from '#lib/service/log.js';
import type { NatEvent } from './event.js';
import { IpfixEncoder } from './ipfix.js';
import { formatLine } from './json-lines.js';

/** What a file may hold back before lines are lost. */
const FILE_BACKLOG_BYTES = 16 * 1024 * 1024;

/** The `nat_log` part of the configuration. */
export interface NatLogConfig {
  /** `HOST:PORT` of a collector, by IP address; null for none. */
  ipfix: string | null;
  /** File of JSON lines; null for none. */
  file: string | null;
  /** Whether the destination is told (RFC 6888 REQ-12: not by default). */
  remotes: boolean;
}

/** What the log did; `lost` events reached no reader. */
export interface NatLogStats {
  events: number;
  lost: number;
}

interface Sink {
  write(events: readonly NatEvent[]): void;
  reopen(): void;
  close(): Promise<void>;
}

class Collector implements Sink {
  readonly #socket: Socket;
  readonly #encoder: IpfixEncoder;
  readonly #host: string;
  readonly #port: number;
  readonly #onLost: (events: number) => void;

  constructor(
    address: string,
    encoder: IpfixEncoder,
    onLost: (events: number) => void,
  ) {
    const colon = address.lastIndexOf(':');
    this.#host = address.slice(0, colon);
    this.#port = Number(address.slice(colon + 1));
    this.#encoder = encoder;
    this.#onLost = onLost;
    this.#socket = createSocket('udp4');
    // What an ICMP error says about an earlier datagram ends nothing.
    this.#socket.on('error', () => undefined);
    this.#socket.unref();
  }

  write(events: readonly NatEvent[]): void {
    for (const message of this.#encoder.encode(events, Date.now())) {
      this.#socket.send(message.bytes, this.#port, this.#host, (error) => {
        if (error) this.#onLost(message.events);
      });
    }
  }

  reopen(): void {}

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.close(() => resolve());
    });
  }
}

class LineFile implements Sink {
  readonly #path: string;
  readonly #format: (event: NatEvent) => string;
  readonly #onLost: (events: number) => void;
  readonly #log: Logger;
  #stream: WriteStream;

  constructor(
    path: string,
    format: (event: NatEvent) => string,
    onLost: (events: number) => void,
    log: Logger,
  ) {
    this.#path = path;
    this.#format = format;
    this.#onLost = onLost;
    this.#log = log;
    this.#stream = this.#open();
  }

  write(events: readonly NatEvent[]): void {
    const full = this.#stream.writableLength > FILE_BACKLOG_BYTES;
    if (full || this.#stream.destroyed) {
      this.#onLost(events.length);
      return;
    }
    this.#stream.write(events.map(this.#format).join(''));
  }

  reopen(): void {
    this.#stream.end();
    this.#stream = this.#open();
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream.destroyed) resolve();
      else this.#stream.end(() => resolve());
    });
  }

  #open(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: 'a', mode: 0o640 });
    stream.on('error', (err) => {
      this.#log.error({ err, path: this.#path }, 'NAT log');
    });
    return stream;
  }
}

export class NatLog {
  readonly #sinks: Sink[] = [];
  readonly stats: NatLogStats = { events: 0, lost: 0 };

  /**
   * @param zoneUuid whose events these are
   * @param log told when a file cannot be written
   */
  constructor(config: NatLogConfig, zoneUuid: string, log: Logger) {
    const lost = (events: number) => {
      this.stats.lost += events;
    };
    if (config.ipfix !== null) {
      const domain = Number.parseInt(zoneUuid.slice(0, 8), 16);
      const encoder = new IpfixEncoder(domain, config.remotes);
      this.#sinks.push(new Collector(config.ipfix, encoder, lost));
    }
    if (config.file !== null) {
      const format = (e: NatEvent) => formatLine(e, zoneUuid, config.remotes);
      this.#sinks.push(new LineFile(config.file, format, lost, log));
    }
  }

  /** Hands events, in their order, to every sink. */
  write(events: readonly NatEvent[]): void {
    this.stats.events += events.length;
    for (const sink of this.#sinks) sink.write(events);
  }

  /** SIGHUP: opens the file anew, after it was rotated away. */
  reopen(): void {
    for (const sink of this.#sinks) sink.reopen();
  }

  /** Writes what is held back and ends. */
  async close(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.close()));
  }
}
