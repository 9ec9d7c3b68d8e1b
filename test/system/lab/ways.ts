// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Which card sends from which address, counted by the kernel where packets
 * arrive: what a machine claims of itself is not asked.
 */

import type { Lab } from './lab.js';

const TABLE = ['netdev', 'ways'];

interface Listing {
  nftables: { set?: { elem?: { elem: { val: { concat: string[] } } }[] } }[];
}

export class Ways {
  readonly #lab: Lab;
  readonly #machine: string;
  /** Names of senders by the hardware addresses of their cards. */
  readonly #cards = new Map<string, string>();

  /** Begins to watch a device of a machine. */
  constructor(lab: Lab, machine: string, device: string) {
    this.#lab = lab;
    this.#machine = machine;
    lab.nft(
      machine,
      `table ${TABLE.join(' ')} {
        set seen {
          typeof ether saddr . ip saddr
          size 4096
          flags dynamic
          counter
        }
        chain arrives {
          type filter hook ingress device ${device} priority -400;
          update @seen { ether saddr . ip saddr }
        }
      }`,
    );
  }

  /** Whose card it is. */
  name(card: string, sender: string): void {
    this.#cards.set(card, sender);
  }

  /** Forgets what was seen. */
  clear(): void {
    this.#nft('flush', 'set', ...TABLE, 'seen');
  }

  /** What was seen since: "sender address", sorted. */
  seen(): string[] {
    const text = this.#nft('-j', 'list', 'set', ...TABLE, 'seen');
    const { nftables } = JSON.parse(text) as Listing;
    return nftables
      .flatMap(({ set }) => set?.elem ?? [])
      .map(({ elem }) => {
        const [card = '', address] = elem.val.concat;
        return `${this.#cards.get(card) ?? card} ${address}`;
      })
      .sort();
  }

  #nft(...words: string[]): string {
    return this.#lab.must(this.#machine, 'nft', ...words);
  }
}
