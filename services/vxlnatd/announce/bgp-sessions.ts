// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The sessions with upstream: how they are, and whether each is sent what it
 * should be. It asks BIRD and changes nothing.
 */

import type { Logger } from '#lib/service/log.js';
import type { BgpConfig } from './bgp-settings.js';
import type { Bird } from './bird.js';
import {
  addressesIn,
  bfdStatesIn,
  type NeighborStatus,
  NO_SESSION,
  routeCountIn,
  type SessionState,
  statesIn,
} from './bird-answers.js';
import { protocolOf } from './bird-config.js';

/** Of a state such as `Active Socket: Connection refused` the reason. */
function reasonIn({ state, established }: SessionState): string | null {
  if (established) return null;
  return /^\S+ (.+)$/.exec(state)?.[1] ?? null;
}

function without(all: Iterable<string>, those: Set<string>): string[] {
  return [...all].filter((ip) => !those.has(ip));
}

export class Sessions {
  readonly #config: BgpConfig;
  readonly #bird: Bird;
  readonly #log: Logger;
  #neighbors: NeighborStatus[];

  constructor(config: BgpConfig, bird: Bird, log: Logger) {
    this.#config = config;
    this.#bird = bird;
    this.#log = log;
    this.#neighbors = config.neighbors.map(({ ip, as }) => ({
      ip,
      as,
      ...NO_SESSION,
      last_error: null,
      bfd: null,
      exported: 0,
    }));
  }

  /** As they were at the last look. */
  neighbors(): NeighborStatus[] {
    return this.#neighbors;
  }

  /**
   * Looks at all of them.
   * @param served how many addresses each should be sent
   * @returns whether each that is established is sent as many
   * @throws what `Bird.ask` throws; nobody can say then how they are
   */
  async observe(served: number): Promise<boolean> {
    try {
      return await this.#observe(await this.#states(), served);
    } catch (error) {
      const unknown = { ...NO_SESSION, bfd: null, exported: 0 };
      this.#neighbors = this.#neighbors.map((neighbor) => ({
        ...neighbor,
        ...unknown,
      }));
      throw error;
    }
  }

  async #states(): Promise<Map<string, SessionState>> {
    return statesIn(await this.#bird.ask('show protocols "up_*"'));
  }

  async #observe(
    states: Map<string, SessionState>,
    served: number,
  ): Promise<boolean> {
    const bfd =
      this.#config.bfd === null
        ? null
        : bfdStatesIn(await this.#bird.ask('show bfd sessions'));
    const neighbors: NeighborStatus[] = [];
    let same = true;
    for (const [i, neighbor] of this.#config.neighbors.entries()) {
      const { ip, as } = neighbor;
      const name = protocolOf(neighbor);
      const now = states.get(name) ?? NO_SESSION;
      const exported = now.established ? await this.#count(name) : 0;
      if (now.established && exported !== served) {
        this.#log.warn({ neighbor: ip, exported, served }, 'BGP announcement');
        same = false;
      }
      const was = this.#neighbors[i];
      if (was?.state !== now.state) {
        const change = { neighbor: ip, from: was?.state, to: now.state };
        this.#log.info(change, 'BGP session');
      }
      const last_error = reasonIn(now) ?? was?.last_error ?? null;
      const heard = bfd === null ? null : (bfd.get(ip) ?? 'none');
      neighbors.push({ ip, as, ...now, last_error, bfd: heard, exported });
    }
    this.#neighbors = neighbors;
    return same;
  }

  /** The addresses that each established neighbour is sent. */
  async sent(): Promise<Map<string, Set<string>>> {
    const states = await this.#states();
    const sent = new Map<string, Set<string>>();
    for (const neighbor of this.#config.neighbors) {
      const name = protocolOf(neighbor);
      if (states.get(name)?.established) {
        sent.set(neighbor.ip, await this.#list(name));
      }
    }
    return sent;
  }

  /** Null, or what is not sent as it should be to an established neighbour. */
  async difference(should: Set<string>): Promise<string | null> {
    for (const [ip, are] of await this.sent()) {
      const [lacks] = without(should, are);
      const [extra] = without(are, should);
      if (lacks !== undefined) return `${lacks} is not sent to ${ip}`;
      if (extra !== undefined) return `${extra} is sent to ${ip}`;
    }
    return null;
  }

  async #count(name: string): Promise<number> {
    return routeCountIn(await this.#exported(`${name} count`));
  }

  async #list(name: string): Promise<Set<string>> {
    return addressesIn(await this.#exported(name));
  }

  /** Nothing of a session that went down since its state was asked for. */
  async #exported(what: string): Promise<string> {
    return this.#bird.ask(`show route export ${what}`).catch((error) => {
      if (/No valid tables/.test((error as Error).message)) return '';
      throw error;
    });
  }
}
