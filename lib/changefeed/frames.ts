// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The changefeed's messages as text frames: what goes in, what comes out, what
 * is refused with which words (facts: triton-napi 10.2, 10.3). Pure.
 */

import type { JournalEntry } from '#lib/store/types.js';

/** A kind of object whose changes are published. */
export interface Resource {
  resource: string;
  /** Where a listener fetches the present state over HTTP. */
  bootstrapRoute: string;
  subResources: string[];
}

/** What a listener wants to hear of. */
export interface Wanted {
  resource: string;
  subResources: string[];
}

export interface Registration {
  version: 1 | 2;
  instance: string;
  service: string;
  resources: Wanted[];
  /** Present for our own subscriber; null: it has nothing yet. */
  extension?: { resume: number | null };
}

export type ParsedRegistration =
  | { registration: Registration }
  | { reason: string };

/** A change as our own subscriber gets it. */
export interface Item {
  resource: string;
  subResources: string[];
  id: string;
  seq: number;
  prev: number;
  object: object | null;
  /** Milliseconds since the epoch. */
  published: number;
}

/** What a publisher sends to our own subscriber. */
export type Message =
  /** Without a position from a publisher that has not our extension. */
  | { type: 'answer'; position: number | null; resumed: boolean }
  | { type: 'item'; item: Item }
  /** What such a publisher sends: something changed. */
  | { type: 'change' }
  | { type: 'heartbeat'; position: number }
  | { type: 'unknown'; why: string };

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Text only: an object from JSON may be one that cannot become text. */
function isNames(value: unknown): value is string[] {
  return (
    Array.isArray(value) && value.every((name) => typeof name === 'string')
  );
}

/**
 * Reads a listener's first text frame.
 * @param version by the upgrade request's accept-version
 * @param known the publisher's resources
 * @returns the registration, or the reason for the CLOSE frame
 */
export function parseRegistration(
  text: string,
  version: 1 | 2,
  known: ReadonlyMap<string, Resource>,
): ParsedRegistration {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { reason: `failed to parse v${version} registration payload` };
  }
  if (!isObject(json)) {
    return { reason: `v${version} registration should be an object` };
  }
  if (typeof json['instance'] !== 'string') {
    return {
      reason: `v${version} registration should contain an "instance" identifier`,
    };
  }
  const service = typeof json['service'] === 'string' ? json['service'] : '';
  const wanted = version === 1 ? wantedV1(json, known) : wantedV2(json, known);
  if (typeof wanted === 'string') return { reason: wanted };
  const registration: Registration = {
    version,
    instance: json['instance'],
    service,
    resources: wanted,
  };
  if (version === 1 || json['extension'] === undefined) return { registration };
  const resume = resumeOf(json['extension']);
  if (resume === undefined) {
    return {
      reason: 'v2 registration "extension" should contain a valid "resume"',
    };
  }
  return { registration: { ...registration, extension: { resume } } };
}

function wantedV1(
  json: Json,
  known: ReadonlyMap<string, Resource>,
): Wanted[] | string {
  const kind = json['changeKind'];
  if (!isObject(kind)) return 'v1 registration should contain a "changeKind"';
  const { resource, subResources } = kind;
  if (typeof resource !== 'string') {
    return 'v1 registration should contain a valid "resource"';
  }
  if (!isNames(subResources)) {
    return 'v1 registration should contain a valid "subResources" array';
  }
  if (!known.has(resource)) return `unknown resource: ${resource}`;
  return [{ resource, subResources }];
}

function wantedV2(
  json: Json,
  known: ReadonlyMap<string, Resource>,
): Wanted[] | string {
  const list = json['resources'];
  if (!Array.isArray(list)) {
    return 'v2 registration should contain a "resources" array';
  }
  if (list.length === 0) return 'no resources specified';
  const wanted = new Map<string, Wanted>();
  for (const item of list as unknown[]) {
    if (!isObject(item)) {
      return 'v2 registration "resources" array should contain objects';
    }
    const { resource, subResources } = item;
    if (typeof resource !== 'string' || resource === '') {
      return 'v2 registration resources should contain a "resource"';
    }
    if (!isNames(subResources)) {
      return 'v2 registration resources should contain "subResources"';
    }
    if (!known.has(resource)) return `unknown resource: ${resource}`;
    wanted.set(resource, { resource, subResources });
  }
  return [...wanted.values()];
}

function resumeOf(extension: unknown): number | null | undefined {
  if (!isObject(extension)) return undefined;
  const { resume } = extension;
  if (resume === null) return null;
  return Number.isSafeInteger(resume) && (resume as number) >= 0
    ? (resume as number)
    : undefined;
}

/** A reason as a CLOSE frame can carry it: at most 123 bytes of UTF-8. */
export function closeReason(reason: string): string {
  let text = reason.slice(0, 123);
  while (Buffer.byteLength(text) > 123) text = text.slice(0, -1);
  return text;
}

/**
 * The publisher's answer to a registration.
 * @param extended position and outcome, for our own subscriber only
 */
export function encodeAnswer(
  registration: Registration,
  known: ReadonlyMap<string, Resource>,
  extended?: { position: number; resumed: boolean },
): string {
  const resources = registration.resources.map(({ resource }) =>
    known.get(resource),
  );
  return JSON.stringify(
    registration.version === 1
      ? resources[0]
      : { bootstrapRoutes: resources, ...extended },
  );
}

/** The item that every listener of npm `changefeed` understands. */
export function encodeItem(entry: JournalEntry): string {
  return JSON.stringify(plainItem(entry));
}

/** The same with our extension; `prev` differs for each registration. */
export function encodeExtendedItem(
  entry: JournalEntry,
): (prev: number) => string {
  const { seq, object } = entry;
  const start = JSON.stringify({ ...plainItem(entry), seq, object });
  return (prev) => `${start.slice(0, -1)},"prev":${prev}}`;
}

function plainItem(entry: JournalEntry): Json {
  const item: Json = {
    changeKind: { resource: entry.resource, subResources: entry.subResources },
    changedResourceId: entry.id,
    published: String(entry.published),
  };
  for (const [name, value] of Object.entries(entry.extra ?? {})) {
    // A listener tells a bootstrap from an item by these names.
    if (name === 'bootstrapRoute' || name === 'bootstrapRoutes') continue;
    if (!(name in item)) item[name] = value;
  }
  return item;
}

export function encodeHeartbeat(position: number): string {
  return JSON.stringify({ heartbeat: { position } });
}

/** Our own subscriber's registration. */
export function encodeRegistration(
  registration: Omit<Registration, 'version'>,
): string {
  return JSON.stringify(registration);
}

/** Whether a registration that wants this is told of that change. */
export function matches(wanted: Wanted[], entry: JournalEntry): boolean {
  return wanted.some(
    (want) =>
      want.resource === entry.resource &&
      entry.subResources.some((name) => want.subResources.includes(name)),
  );
}

/** Reads what a publisher sent to our own subscriber. */
export function parseMessage(text: string): Message {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { type: 'unknown', why: 'not JSON' };
  }
  if (!isObject(json)) return { type: 'unknown', why: 'not an object' };
  if (json['bootstrapRoutes'] !== undefined) return parseAnswer(json);
  const heartbeat = json['heartbeat'];
  if (isObject(heartbeat) && Number.isSafeInteger(heartbeat['position'])) {
    return { type: 'heartbeat', position: heartbeat['position'] as number };
  }
  return parseItem(json);
}

function parseAnswer(json: Json): Message {
  const { position, resumed } = json;
  if (position === undefined && resumed === undefined) {
    return { type: 'answer', position: null, resumed: false };
  }
  if (!Number.isSafeInteger(position) || typeof resumed !== 'boolean') {
    return { type: 'unknown', why: 'an answer without position' };
  }
  return { type: 'answer', position: position as number, resumed };
}

function parseItem(json: Json): Message {
  const { changeKind, changedResourceId, seq, prev, object, published } = json;
  const isChange =
    isObject(changeKind) &&
    typeof changeKind['resource'] === 'string' &&
    Array.isArray(changeKind['subResources']) &&
    typeof changedResourceId === 'string';
  if (isChange && seq === undefined) return { type: 'change' };
  const isItem =
    isChange &&
    Number.isSafeInteger(seq) &&
    Number.isSafeInteger(prev) &&
    typeof object === 'object';
  if (!isItem) return { type: 'unknown', why: 'not an item' };
  return {
    type: 'item',
    item: {
      resource: changeKind['resource'] as string,
      subResources: changeKind['subResources'] as string[],
      id: changedResourceId,
      seq: seq as number,
      prev: prev as number,
      object,
      published: Number(published),
    },
  };
}
