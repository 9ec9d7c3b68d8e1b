// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What BIRD answers, read: one function for each question. Pure. */

/** How a session is. */
export interface SessionState {
  /** In BIRD's words: `Established`, `Active Socket: No route to host`... */
  state: string;
  established: boolean;
  /** Since when it is so, by BIRD's clock; null before BIRD has said. */
  since: string | null;
}

/** As long as BIRD has not said. */
export const NO_SESSION: SessionState = {
  state: '-',
  established: false,
  since: null,
};

/** An upstream router. */
export interface NeighborStatus extends SessionState {
  ip: string;
  as: number;
  /** Why it last was not established, in BIRD's words; null: no reason yet. */
  last_error: string | null;
  /** BFD's state in BIRD's words; null when it is not used. */
  bfd: string | null;
  /** Addresses that are announced to it. */
  exported: number;
}

/** Of `show protocols`: the BGP sessions by name. */
export function statesIn(answer: string): Map<string, SessionState> {
  // Name, protocol, table, state, and since when in two words come before.
  const rows = answer.matchAll(/^(\S+) +BGP +\S+ +(\S+) +(\S+ \S+) *(.*)$/gm);
  return new Map(
    [...rows].map(([, name = '', up = '', since = '', info = '']) => {
      const state = info.trim().replace(/ +/g, ' ') || up;
      return [name, { state, established: state === 'Established', since }];
    }),
  );
}

/** Of `show bfd sessions`: the state by neighbour. */
export function bfdStatesIn(answer: string): Map<string, string> {
  const rows = answer.matchAll(/^([\d.]+) +\S+ +(\S+)/gm);
  return new Map([...rows].map(([, ip = '', state = '']) => [ip, state]));
}

/** Of `show route export NAME`: the addresses. */
export function addressesIn(answer: string): Set<string> {
  const rows = answer.matchAll(/^([\d.]+)\/32 /gm);
  return new Set([...rows].map(([, ip = '']) => ip));
}

/** Of `show route export NAME count`: how many. */
export function routeCountIn(answer: string): number {
  return Number(/^(\d+) of \d+ routes/m.exec(answer)?.[1] ?? 0);
}
