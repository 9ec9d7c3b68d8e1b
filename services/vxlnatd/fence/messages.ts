// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What zones say to each other over the underlay: JSON in a datagram, small
 * enough for one frame. An asker names its public IPs in as many questions as
 * it takes. Nothing here is believed beyond "withdraw": the underlay carries
 * the tenants' packets unauthenticated anyway (RFC 7348 section 7).
 */

import type { World } from '../world.js';
import type { PeerAnswer } from './fence.js';

/** Public IPs in one question: about 1100 bytes. */
const AT_ONCE = 64;

export interface Question {
  type: 'ask';
  zone: string;
  ips: string[];
}

export interface Answer extends PeerAnswer {
  type: 'answer';
  zone: string;
}

/** The questions of a zone about its public IPs; one at least. */
export function questions(zone: string, ips: readonly string[]): Question[] {
  const all: Question[] = [];
  for (let i = 0; i === 0 || i < ips.length; i += AT_ONCE) {
    all.push({ type: 'ask', zone, ips: ips.slice(i, i + AT_ONCE) });
  }
  return all;
}

/** What this zone last heard of the one that asks. */
export function answerTo(question: Question, world: World): Answer {
  const zone = world.zones.get(question.zone);
  const lost = question.ips.filter((ip) => {
    const at = world.publics.get(ip)?.zone_uuid ?? null;
    return at !== null && at !== question.zone;
  });
  return {
    type: 'answer',
    zone: question.zone,
    position: world.position,
    serves: zone !== undefined && zone.state !== 'down',
    lost,
  };
}

function isTexts(value: unknown): value is string[] {
  return (
    Array.isArray(value) && value.every((each) => typeof each === 'string')
  );
}

/** Reads a datagram; null when it is not one of ours. */
export function readMessage(packet: Buffer): Question | Answer | null {
  let message: Record<string, unknown>;
  try {
    message = JSON.parse(packet.toString('utf8')) ?? {};
  } catch {
    return null;
  }
  const { type, zone, ips, position, serves, lost } = message;
  if (typeof zone !== 'string') return null;
  if (type === 'ask' && isTexts(ips)) return { type, zone, ips };
  const whole = Number.isSafeInteger(position) && typeof serves === 'boolean';
  if (type !== 'answer' || !whole || !isTexts(lost)) return null;
  return { type, zone, position: position as number, serves, lost };
}
