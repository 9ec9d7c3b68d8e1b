// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Measurements of several gateways in one run, and the rows that follow: each
 * of ours with its ratio to the kernel's.
 */

import { type Row, row } from '../report.js';
import type { Kind } from './gateway.js';

/** Values by case and gateway. */
export class Figures {
  readonly #values = new Map<string, Map<Kind, number[]>>();

  add(id: string, kind: Kind, value: number): void {
    const of = this.#values.get(id) ?? new Map<Kind, number[]>();
    this.#values.set(id, of);
    of.set(kind, [...(of.get(kind) ?? []), value]);
  }

  /**
   * Medians.
   * @param name the row's id; `CASE.KIND` unless told otherwise
   */
  rows(
    unit: string,
    name = (id: string, kind: Kind) => `${id}.${kind}`,
  ): Row[] {
    const rows: Row[] = [];
    for (const [id, of] of this.#values) {
      const peer = of.get('kernel');
      const median = peer && row('', unit, peer).value;
      for (const [kind, values] of of) {
        const made = row(name(id, kind), unit, values);
        const ratio = median ? made.value / median : null;
        rows.push({ ...made, ratio: kind === 'kernel' ? null : ratio });
      }
    }
    return rows;
  }
}

/** A line of progress. */
export function say(id: string, kind: Kind, what: string): void {
  console.error(`bench: ${id} ${kind}: ${what}`);
}
