// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Filters from values: callers never put a user's text into a filter by hand.
 *
 *     and(eq('owner_uuid', owner), not(present('belongs_to_uuid')))
 */

/** A value that a filter can name. */
export type FilterValue = string | number | boolean;

/** Text of a filter's value: RFC 4515 section 3 escapes. */
export function escapeValue(value: FilterValue): string {
  return String(value).replace(
    /[\\()*\0]/g,
    (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

function checked(field: string): string {
  if (!/^[\w.-]+$/.test(field)) {
    throw new TypeError(`"${field}" cannot be a field of a filter`);
  }
  return field;
}

/** Field equals, or has this element when it is a list. */
export function eq(field: string, value: FilterValue): string {
  return `(${checked(field)}=${escapeValue(value)})`;
}

/** Field is at least. */
export function ge(field: string, value: FilterValue): string {
  return `(${checked(field)}>=${escapeValue(value)})`;
}

/** Field is at most. */
export function le(field: string, value: FilterValue): string {
  return `(${checked(field)}<=${escapeValue(value)})`;
}

/** Field is set. */
export function present(field: string): string {
  return `(${checked(field)}=*)`;
}

/** Field starts with. */
export function startsWith(field: string, value: string): string {
  return `(${checked(field)}=${escapeValue(value)}*)`;
}

/** An extended match: `contains`, `within`, `overlaps`, `caseIgnoreMatch`. */
export function extended(
  field: string,
  rule: string,
  value: FilterValue,
): string {
  return `(${checked(field)}:${checked(rule)}:=${escapeValue(value)})`;
}

/** All of them; one alone is itself. */
export function and(...filters: string[]): string {
  return joined('&', filters);
}

/** Any of them; one alone is itself. */
export function or(...filters: string[]): string {
  return joined('|', filters);
}

/** Not this one; true for a field that is unset. */
export function not(filter: string): string {
  return `(!${filter})`;
}

function joined(operator: string, filters: string[]): string {
  const [only] = filters;
  if (only === undefined) {
    throw new TypeError('a filter needs at least one term');
  }
  return filters.length === 1 ? only : `(${operator}${filters.join('')})`;
}
