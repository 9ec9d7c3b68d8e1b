// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * NAT events as IPFIX messages: RFC 7011 for the framing, RFC 8158 for what is
 * in them. Pure: events and a time in, messages out.
 *
 * A message is at most 1,400 bytes, so that no datagram is fragmented. Over
 * UDP a collector may have missed the templates, so they are in the first
 * message and again every `TEMPLATE_MS` (RFC 7011 section 8.4). The sequence
 * number counts data records (section 3.1). The vnet is ingressVRFID, for it
 * tells apart the realms whose addresses overlap; the zone is natInstanceID.
 */

import { NAT_EVENTS, type NatEvent } from './event.js';

const VERSION = 10;
const HEADER_BYTES = 16;
const SET_HEADER_BYTES = 4;
const TEMPLATE_SET = 2;
const MESSAGE_BYTES = 1400;
/** Templates are told again after this many milliseconds. */
const TEMPLATE_MS = 60_000;

/** An information element: number, bytes, and where its value comes from. */
type Element = readonly [
  id: number,
  bytes: 1 | 2 | 4 | 8,
  value: (event: NatEvent, zone: number) => number,
];

const time: Element = [323, 8, (e) => e.time_ms];
const natEvent: Element = [230, 1, (e) => NAT_EVENTS[e.event]];
const instance: Element = [463, 4, (_, zone) => zone];
const vrf: Element = [234, 4, (e) => e.vnet];
const privateIp: Element = [8, 4, (e) => e.private_ip];
const publicIp: Element = [225, 4, (e) => e.public_ip];
const proto: Element = [4, 1, (e) => e.proto];

const SESSION: readonly Element[] = [
  time,
  natEvent,
  instance,
  vrf,
  privateIp,
  publicIp,
  proto,
  [7, 2, (e) => e.private_port],
  [227, 2, (e) => e.public_port],
];
/** Destinations are told only when asked for (RFC 6888 REQ-12). */
const REMOTE: readonly Element[] = [
  [12, 4, (e) => e.remote_ip],
  [11, 2, (e) => e.remote_port],
];
const BLOCK: readonly Element[] = [
  time,
  natEvent,
  instance,
  vrf,
  privateIp,
  publicIp,
  [361, 2, (e) => e.public_port],
  [362, 2, (e) => e.public_port_end],
];
const EXHAUSTED: readonly Element[] = [
  time,
  natEvent,
  instance,
  vrf,
  publicIp,
  proto,
];
const QUOTA: readonly Element[] = [
  time,
  natEvent,
  instance,
  vrf,
  [466, 4, (e) => e.detail],
];
const THRESHOLD: readonly Element[] = [
  time,
  natEvent,
  instance,
  vrf,
  [467, 4, (e) => e.detail],
];
/** The element of a limit, by its number. */
const limit = (id: number): Element => [id, 4, (e) => e.limit];

/** One datagram for a collector. */
export interface IpfixMessage {
  bytes: Buffer;
  /** How many events are in it. */
  events: number;
}

interface Template {
  id: number;
  elements: readonly Element[];
  bytes: number;
}

function template(id: number, elements: readonly Element[]): Template {
  const bytes = elements.reduce((sum, [, size]) => sum + size, 0);
  return { id, elements, bytes };
}

/**
 * The templates of an observation domain, by event; those of limits also by
 * which limit it is (RFC 8158 sections 5.6.8 and 5.6.9).
 */
function templatesFor(remotes: boolean) {
  const session = template(256, remotes ? [...SESSION, ...REMOTE] : SESSION);
  const block = template(257, BLOCK);
  const plain = {
    session_create: session,
    session_delete: session,
    block_alloc: block,
    block_free: block,
    ports_exhausted: template(258, EXHAUSTED),
  };
  const limits = {
    quota_exceeded: new Map([
      [1, template(259, [...QUOTA, limit(471)])],
      [2, template(260, [...QUOTA, limit(472)])],
      [3, template(261, [...QUOTA, privateIp, limit(473)])],
      [4, template(262, [...QUOTA, limit(474)])],
    ]),
    threshold: new Map([
      [1, template(263, [...THRESHOLD, publicIp, limit(476)])],
      [2, template(264, [...THRESHOLD, publicIp, limit(477)])],
      [3, template(265, [...THRESHOLD, limit(478)])],
      [4, template(266, [...THRESHOLD, privateIp, limit(480)])],
    ]),
  };
  const all = new Set([
    ...Object.values(plain),
    ...limits.quota_exceeded.values(),
    ...limits.threshold.values(),
  ]);
  const of = ({ event, detail }: NatEvent): Template | undefined =>
    event === 'quota_exceeded' || event === 'threshold'
      ? limits[event].get(detail)
      : plain[event];
  return { all: [...all], of };
}

function templateSet(templates: Template[]): Buffer {
  const fields = templates.flatMap(({ id, elements }) => {
    const pairs = elements.map(([element, bytes]) => [element, bytes]);
    return [id, elements.length, ...pairs.flat()];
  });
  const set = Buffer.alloc(SET_HEADER_BYTES + fields.length * 2);
  set.writeUInt16BE(TEMPLATE_SET, 0);
  set.writeUInt16BE(set.length, 2);
  fields.forEach((field, i) => {
    set.writeUInt16BE(field, SET_HEADER_BYTES + i * 2);
  });
  return set;
}

export class IpfixEncoder {
  readonly #zone: number;
  readonly #templateOf: (event: NatEvent) => Template | undefined;
  readonly #templateSet: Buffer;
  #sequence = 0;
  #toldAt: number | null = null;

  /**
   * @param zone observation domain and natInstanceID, 32 bits
   * @param remotes whether sessions name their destination
   */
  constructor(zone: number, remotes: boolean) {
    this.#zone = zone;
    const { all, of } = templatesFor(remotes);
    this.#templateOf = of;
    this.#templateSet = templateSet(all);
  }

  /**
   * Encodes events in their order, but for limits that RFC 8158 has not.
   * @param nowMs milliseconds since 1970: the export time
   * @returns messages of at most 1,400 bytes; none for no events
   */
  encode(all: readonly NatEvent[], nowMs: number): IpfixMessage[] {
    const events = all.filter((e) => this.#templateOf(e) !== undefined);
    const messages: IpfixMessage[] = [];
    for (let at = 0; at < events.length; ) {
      const message = Buffer.alloc(MESSAGE_BYTES);
      const told = this.#writeTemplates(message, nowMs);
      const { end, next } = this.#writeRecords(message, told, events, at);
      this.#writeHeader(message, end, nowMs);
      this.#sequence = (this.#sequence + next - at) >>> 0;
      messages.push({ bytes: message.subarray(0, end), events: next - at });
      at = next;
    }
    return messages;
  }

  /** Where the data sets begin. */
  #writeTemplates(message: Buffer, nowMs: number): number {
    if (this.#toldAt !== null && nowMs - this.#toldAt < TEMPLATE_MS) {
      return HEADER_BYTES;
    }
    this.#toldAt = nowMs;
    this.#templateSet.copy(message, HEADER_BYTES);
    return HEADER_BYTES + this.#templateSet.length;
  }

  #writeRecords(
    message: Buffer,
    start: number,
    events: readonly NatEvent[],
    first: number,
  ): { end: number; next: number } {
    let end = start;
    let set = -1;
    let open: Template | null = null;
    let next = first;
    for (; next < events.length; next++) {
      const event = events[next] as NatEvent;
      const wanted = this.#templateOf(event) as Template;
      const header = wanted === open ? 0 : SET_HEADER_BYTES;
      if (end + header + wanted.bytes > MESSAGE_BYTES) break;
      if (header > 0) {
        set = end;
        open = wanted;
        message.writeUInt16BE(wanted.id, set);
        end += header;
      }
      end = this.#writeRecord(message, end, wanted, event);
      message.writeUInt16BE(end - set, set + 2);
    }
    return { end, next };
  }

  #writeRecord(
    message: Buffer,
    start: number,
    { elements }: Template,
    event: NatEvent,
  ): number {
    let at = start;
    for (const [, bytes, value] of elements) {
      const number = value(event, this.#zone);
      if (bytes === 8) message.writeBigUInt64BE(BigInt(number), at);
      else message.writeUIntBE(number, at, bytes);
      at += bytes;
    }
    return at;
  }

  #writeHeader(message: Buffer, length: number, nowMs: number): void {
    message.writeUInt16BE(VERSION, 0);
    message.writeUInt16BE(length, 2);
    message.writeUInt32BE(Math.floor(nowMs / 1000), 4);
    message.writeUInt32BE(this.#sequence, 8);
    message.writeUInt32BE(this.#zone, 12);
  }
}
