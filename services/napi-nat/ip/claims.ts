// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Addresses that requests of this process are about to take. Whoever chooses
 * one passes over these, so that requests at the same time go on to different
 * addresses and share a commit, instead of all trying the lowest one. As with
 * turns, the store's etags are what makes allocation right.
 */

/** What one request is about to take: one address at a time. */
export interface Hold {
  /** Holds this address, and no longer the one before. */
  take(bucket: string, ip: string): void;
  release(): void;
}

export interface Claims {
  /** Whether a request holds the address. */
  has(bucket: string, ip: string): boolean;
  /** @returns a hold on nothing yet; whoever asked releases it */
  hold(): Hold;
}

/** Makes claims, none at first. */
export function createClaims(): Claims {
  const held = new Map<string, number>();
  const name = (bucket: string, ip: string) => `${bucket}/${ip}`;

  function hold(): Hold {
    let own: string | null = null;
    function release(): void {
      if (own === null) return;
      const others = (held.get(own) ?? 1) - 1;
      if (others > 0) held.set(own, others);
      else held.delete(own);
      own = null;
    }
    return {
      take(bucket, ip) {
        release();
        own = name(bucket, ip);
        held.set(own, (held.get(own) ?? 0) + 1);
      },
      release,
    };
  }

  return { has: (bucket, ip) => held.has(name(bucket, ip)), hold };
}
