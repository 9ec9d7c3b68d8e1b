// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A map whose latest changes can be kept or undone: what one batch does over
 * what the group has done before it. Pure.
 */
export class Layered<K, V> {
  #base = new Map<K, V>();
  #top = new Map<K, V>();

  get(key: K): V | undefined {
    return this.#top.has(key) ? this.#top.get(key) : this.#base.get(key);
  }

  has(key: K): boolean {
    return this.#top.has(key) || this.#base.has(key);
  }

  set(key: K, value: V): void {
    this.#top.set(key, value);
  }

  /** Notes what was there before any change. */
  learn(key: K, value: V): void {
    if (!this.#base.has(key)) this.#base.set(key, value);
  }

  keep(): void {
    for (const [key, value] of this.#top) this.#base.set(key, value);
    this.#top.clear();
  }

  undo(): void {
    this.#top.clear();
  }

  clear(): void {
    this.#base.clear();
    this.#top.clear();
  }

  entries(): Map<K, V> {
    return new Map([...this.#base, ...this.#top]);
  }
}
