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

const MODULUS = 1n << 64n;

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

/**
 * Digest of a whole rule table.
 * @returns 16 hex digits
 */
export function rulesDigest(
  rules: Iterable<FabricRule>,
  entries: Iterable<OneToOne>,
): string {
  let sum = 0n;
  for (const rule of rules) sum += textHash(ruleText(rule));
  for (const entry of entries) sum += textHash(oneToOneText(entry));
  return (sum % MODULUS).toString(16).padStart(16, '0');
}
