// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A compute node's varpd as SmartOS has it (facts: svp-portolan-vxlnat 1.4 to
 * 1.8), for tests of what serves it: one connection without PING, ids in its
 * own byte order, and a reset for all that it does not expect. It reads bytes
 * by itself, so that a mistake of our codec is not made twice. Time does not
 * pass by itself: `round` is one turn of its shootdown loop.
 */

import { connect, type Socket } from 'node:net';
import { crc32 } from 'node:zlib';

const HEADER = 16;
/** Ops that it takes, with their exact size; a LOG_ACK is 4 and more. */
const SIZES = new Map([
  [4, 20],
  [6, 28],
  [10, 4],
  [12, 4],
]);
const LOG_BYTES = 1024;
const MAX_REMOVED = 63;

interface Query {
  /** The op that answers it. */
  op: number;
  resolve(body: Buffer): void;
  reject(error: Error): void;
}

interface LogEntry {
  id: Buffer;
  vnet: number;
  /** VL2: a MAC in hex; VL3: an IP, v4-mapped. */
  mac?: string;
  ip?: Buffer;
}

function mapped(ip: string): Buffer {
  const quad = ip.split('.').map(Number);
  return Buffer.from([...Array(10).fill(0), 0xff, 0xff, ...quad]);
}

/** An endpoint in the kernel's cache: `ip:port`. */
function endpoint(ip: Buffer, port: number): string {
  return `${[...ip.subarray(12)].join('.')}:${port}`;
}

/** Walks a LOG_ACK's records; null for one that varpd throws away whole. */
function readLog(body: Buffer): LogEntry[] | null {
  const entries: LogEntry[] = [];
  for (let at = 4; at < body.length; ) {
    const type = body.length < at + 32 ? 0 : body.readUInt32BE(at);
    const size = type === 1 ? 32 : type === 2 ? 44 : 0;
    if (size === 0 || at + size > body.length) return null;
    const one = body.subarray(at, at + size);
    const id = one.subarray(4, 20);
    entries.push(
      type === 1
        ? { id, vnet: one.readUInt32BE(28), mac: one.toString('hex', 20, 26) }
        : { id, vnet: one.readUInt32BE(40), ip: one.subarray(20, 36) },
    );
    at += size;
  }
  return entries;
}

export class Varpd {
  /** Why it dropped its connection, each time. */
  readonly resets: string[] = [];
  /** The kernel's target cache: `vnet mac` (hex) to `ip:port`. */
  readonly cache = new Map<string, string>();
  /** Gratuitous ARPs put into overlays: `vnet ip mac`. */
  readonly arps: string[] = [];
  readonly #at: { host: string; port: number };
  readonly #ul3: string;
  readonly #queries = new Map<number, Query>();
  #socket: Socket | null = null;
  #held = Buffer.alloc(0);
  #lastId = 0;

  /** @param ul3 its own underlay address, dotted quad */
  constructor(at: { host: string; port: number }, ul3: string) {
    this.#at = at;
    this.#ul3 = ul3;
  }

  connect(): Promise<void> {
    const socket = connect(this.#at);
    this.#held = Buffer.alloc(0);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('close', () => this.#lost(socket));
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        this.#socket = socket;
        socket.on('error', () => undefined);
        resolve();
      });
    });
  }

  /** The connection breaks; what is asked is answered locally as FATAL (G7). */
  cut(): void {
    this.#socket?.destroy();
  }

  /** A frame for a MAC that the kernel does not know. Null: dropped. */
  async vl2(vnet: number, mac: string): Promise<string | null> {
    const body = Buffer.alloc(12);
    body.write(mac, 'hex');
    body.writeUInt32BE(vnet, 8);
    const answer = await this.ask(3, body);
    // Its 32-bit swap of a 16-bit field: only zero matters (G2).
    if (answer.readUInt16BE(0) !== 0) return null;
    const at = endpoint(answer.subarray(4, 20), answer.readUInt16BE(2));
    this.cache.set(`${vnet} ${mac}`, at);
    return at;
  }

  /** An ARP request of an instance, or a VL3 record (type 2, G1). */
  async vl3(
    vnet: number,
    ip: string | Buffer,
    type = 1,
  ): Promise<{ status: number; mac: string; at: string }> {
    const body = Buffer.alloc(24);
    (typeof ip === 'string' ? mapped(ip) : ip).copy(body);
    body.writeUInt32BE(type, 16);
    body.writeUInt32BE(vnet, 20);
    const answer = await this.ask(5, body);
    const status = answer.readUInt32BE(0);
    const mac = answer.toString('hex', 4, 10);
    const at = endpoint(answer.subarray(12, 28), answer.readUInt16BE(10));
    if (status === 0) this.cache.set(`${vnet} ${mac}`, at);
    return { status, mac, at };
  }

  /**
   * Asks for the log and acts on it, without removing anything yet.
   * @returns ids that it is done with
   */
  async act(): Promise<Buffer[]> {
    const body = Buffer.alloc(20);
    body.writeUInt32BE(LOG_BYTES, 0);
    mapped(this.#ul3).copy(body, 4);
    const answer = await this.ask(9, body);
    const entries = answer.readUInt32BE(0) === 0 ? readLog(answer) : [];
    const done: Buffer[] = [];
    for (const { id, vnet, mac, ip } of entries ?? []) {
      if (mac !== undefined) this.cache.delete(`${vnet} ${mac}`);
      if (ip !== undefined && !(await this.#announce(vnet, ip))) continue;
      if (done.length < MAX_REMOVED) done.push(id);
    }
    return done;
  }

  /** One turn of its shootdown loop; how many records it removed. */
  async round(): Promise<number> {
    const ids = await this.act();
    if (ids.length === 0) return 0;
    const count = Buffer.alloc(4);
    count.writeUInt32BE(ids.length);
    await this.ask(11, Buffer.concat([count, ...ids]));
    return ids.length;
  }

  /** Sends a request; resolves to the body of the answer that it insists on. */
  ask(op: number, body: Buffer): Promise<Buffer> {
    const socket = this.#socket;
    if (socket === null) return Promise.reject(new Error('FATAL'));
    const id = ++this.#lastId;
    const header = Buffer.alloc(HEADER);
    header.writeUInt16BE(1, 0);
    header.writeUInt16BE(op, 2);
    header.writeUInt32BE(body.length, 4);
    header.writeUInt32LE(id, 8);
    header.writeUInt32BE(crc32(body, crc32(header)), 12);
    return new Promise((resolve, reject) => {
      this.#queries.set(id, { op: op + 1, resolve, reject });
      socket.write(Buffer.concat([header, body]));
    });
  }

  async #announce(vnet: number, ip: Buffer): Promise<boolean> {
    const { status, mac } = await this.vl3(vnet, ip, 2);
    if (status === 0) {
      this.arps.push(`${vnet} ${[...ip.subarray(12)].join('.')} ${mac}`);
    }
    return status === 0 || status === 2;
  }

  #take(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= HEADER) {
      const end = HEADER + this.#held.readUInt32BE(4);
      if (this.#held.length < end) return;
      const frame = this.#held.subarray(0, end);
      this.#held = this.#held.subarray(end);
      const id = frame.readUInt32LE(8);
      const why = this.#refusal(frame, this.#queries.get(id));
      if (why !== null) {
        this.resets.push(why);
        this.cut();
        return;
      }
      this.#queries.get(id)?.resolve(Buffer.from(frame.subarray(HEADER)));
      this.#queries.delete(id);
    }
  }

  /** What of an answer makes it reset the connection (G4), or null. */
  #refusal(frame: Buffer, query: Query | undefined): string | null {
    const [version, op] = [frame.readUInt16BE(0), frame.readUInt16BE(2)];
    const size = frame.length - HEADER;
    const header = Buffer.from(frame.subarray(0, HEADER));
    header.writeUInt32BE(0, 12);
    const crc = crc32(frame.subarray(HEADER), crc32(header));
    if (crc !== frame.readUInt32BE(12)) return 'CRC';
    if (version !== 1) return `version ${version}`;
    const exact = SIZES.get(op);
    if (exact === undefined) return `op ${op}`;
    if (query?.op !== op) return `op ${op} was not asked for`;
    if (size < exact || (op !== 10 && size > exact)) return `size ${size}`;
    // Its buffer is of this size and nothing checks what is written to it.
    if (size > LOG_BYTES) return `overrun by ${size - LOG_BYTES}`;
    return null;
  }

  #lost(socket: Socket): void {
    if (this.#socket === socket) this.#socket = null;
    const asked = [...this.#queries.values()];
    this.#queries.clear();
    for (const { reject } of asked) reject(new Error('FATAL'));
  }
}
