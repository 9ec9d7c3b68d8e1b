// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** MAC addresses: 48-bit numbers inside, colon text at the edges. */

declare const brand: unique symbol;
/** A MAC address as a number, 0 .. 2^48-1. */
export type Mac = number & { readonly [brand]: 'Mac' };

/**
 * Reads `aa:bb:cc:dd:ee:ff`, the same with dashes, or twelve hex digits, in
 * either case (facts: triton-napi 1.3).
 * @returns the MAC, or null when `text` is not one
 */
export function parseMac(text: string): Mac | null {
  const plain =
    /^[0-9a-f]{12}$/i.test(text) ||
    /^[0-9a-f]{1,2}([:-])([0-9a-f]{1,2}\1){4}[0-9a-f]{1,2}$/i.test(text);
  if (!plain) return null;
  const digits =
    text.length === 12 && !/[:-]/.test(text)
      ? text
      : text
          .split(/[:-]/)
          .map((part) => part.padStart(2, '0'))
          .join('');
  return Number.parseInt(digits, 16) as Mac;
}

/** Takes a number known to be a MAC. */
export function mac(value: number): Mac {
  return value as Mac;
}

/** Writes lower-case colon text. */
export function formatMac(value: Mac): string {
  const digits = value.toString(16).padStart(12, '0');
  return (digits.match(/../g) as string[]).join(':');
}
