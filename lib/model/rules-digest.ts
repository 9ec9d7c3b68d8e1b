// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The rules digest: a number that is equal in two zones exactly when their
 * rule tables are (RFD 158: "All instances of this entity should be identically
 * configured"). Each rule is hashed alone and the hashes are added modulo
 * 2^64, so the digest does not depend on order and changes in O(1) per rule.
 */

import { createHash } from 'node:crypto';
import type { FabricRule, OneToOne } from './dataplane.js';

/** The canonical text of an SNAT rule. */
export function ruleText(rule: FabricRule): string {
  return [
    'rule',
    rule.vnet_id,
    rule.vlan_id,
    rule.subnet,
    rule.gateway,
    rule.router_mac,
    rule.nat_reform_public,
    ...(rule.options === undefined ? [] : [JSON.stringify(rule.options)]),
  ].join(' ');
}

/** The canonical text of a 1:1 entry. */
export function oneToOneText(entry: OneToOne): string {
  return [
    'one_to_one',
    entry.vnet_id,
    entry.vlan_id,
    entry.private_ip,
    entry.public_ip,
  ].join(' ');
}

/** The hash of one canonical text: 64 bits of its SHA-256. */
export function textHash(text: string): bigint {
  return createHash('sha256').update(text).digest().readBigUInt64BE(0);
}

/** A digest that follows its rules, at one hash for each that changes. */
export class DigestSum {
  #sum = 0n;

  add(text: string): void {
    this.#sum = BigInt.asUintN(64, this.#sum + textHash(text));
  }

  subtract(text: string): void {
    this.#sum = BigInt.asUintN(64, this.#sum - textHash(text));
  }

  /** 16 hex digits. */
  text(): string {
    return this.#sum.toString(16).padStart(16, '0');
  }
}

/**
 * Digest of a whole rule table.
 * @returns 16 hex digits
 */
export function rulesDigest(
  rules: Iterable<FabricRule>,
  entries: Iterable<OneToOne>,
): string {
  const sum = new DigestSum();
  for (const rule of rules) sum.add(ruleText(rule));
  for (const entry of entries) sum.add(oneToOneText(entry));
  return sum.text();
}
