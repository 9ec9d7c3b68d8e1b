// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Who had a public address and port at a time: a walk over logged events.
 *
 * An answer is a session or block of ports that was open at that time. Its
 * beginning may be before the log's, and it may still be open at its end;
 * both are answers, and say so by a null.
 */

import type { NatEvent } from './event.js';
import type { LoggedEvent } from './json-lines.js';

/** What is asked. */
export interface Question {
  public_ip: number;
  public_port: number;
  at_ms: number;
  /** Narrow the answer when the complaint names them. */
  proto?: number;
  remote_ip?: number;
  remote_port?: number;
}

/** One possible culprit. */
export interface Answer {
  vnet: number;
  private_ip: number;
  /** 0 when a block of ports answers. */
  private_port: number;
  proto: number;
  remote_ip: number;
  remote_port: number;
  from_ms: number | null;
  until_ms: number | null;
  zone_uuid: string;
}

function covers(event: NatEvent, asked: Question): boolean {
  if (event.public_ip !== asked.public_ip) return false;
  if (event.event === 'block_alloc' || event.event === 'block_free') {
    return (
      event.public_port <= asked.public_port &&
      asked.public_port <= event.public_port_end
    );
  }
  if (!event.event.startsWith('session_')) return false;
  const fits = (logged: number, wanted: number | undefined) =>
    wanted === undefined || logged === 0 || logged === wanted;
  return (
    event.public_port === asked.public_port &&
    fits(event.proto, asked.proto) &&
    fits(event.remote_ip, asked.remote_ip) &&
    fits(event.remote_port, asked.remote_port)
  );
}

function identity(e: LoggedEvent): string {
  return [
    e.zone_uuid,
    e.vnet,
    e.proto,
    e.private_ip,
    e.private_port,
    e.public_port,
    e.remote_ip,
    e.remote_port,
  ].join();
}

function answer(
  e: LoggedEvent,
  from_ms: number | null,
  until_ms: number | null,
): Answer {
  const { vnet, private_ip, private_port, proto } = e;
  const { remote_ip, remote_port, zone_uuid } = e;
  return {
    vnet,
    private_ip,
    private_port,
    proto,
    remote_ip,
    remote_port,
    from_ms,
    until_ms,
    zone_uuid,
  };
}

/**
 * Walks over events in the order of the log.
 * @returns everyone who had the address and port at that time
 */
export async function who(
  events: AsyncIterable<LoggedEvent> | Iterable<LoggedEvent>,
  asked: Question,
): Promise<Answer[]> {
  const open = new Map<string, LoggedEvent>();
  // What began too late: its end is no answer either.
  const later = new Set<string>();
  const answers: Answer[] = [];
  for await (const event of events) {
    if (!covers(event, asked)) continue;
    const key = identity(event);
    if (event.event === 'session_create' || event.event === 'block_alloc') {
      if (event.time_ms <= asked.at_ms) open.set(key, event);
      else later.add(key);
      continue;
    }
    const begun = open.get(key);
    open.delete(key);
    if (later.delete(key) || event.time_ms < asked.at_ms) continue;
    answers.push(answer(event, begun?.time_ms ?? null, event.time_ms));
  }
  for (const event of open.values()) {
    answers.push(answer(event, event.time_ms, null));
  }
  return answers;
}
