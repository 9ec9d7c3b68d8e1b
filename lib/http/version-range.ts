// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The version ranges of `accept-version`: `~9||~8`, `8`, `~7.2`, `*`,
 * `>=7.2.0 <9`. The subset of npm's ranges that Triton's clients send (facts:
 * cloudapi 1.2), so that no package of restify's is reached into.
 */

type Version = [number, number, number];

const PARTIAL =
  /^(\^|~>?|>=|<=|>|<|=)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?$/;

/**
 * @param range as a client sent it
 * @param versions full versions such as `8.0.0`
 * @returns the highest version inside the range, or null; null also for a
 *   range that is not one
 */
export function bestVersion(range: string, versions: string[]): string | null {
  const inside = versions.filter((version) =>
    range.split('||').some((part) => satisfiesAll(parse(version), part)),
  );
  inside.sort((a, b) => compare(parse(b), parse(a)));
  return inside[0] ?? null;
}

function parse(text: string): Version {
  const [major = 0, minor = 0, patch = 0] = text.split('.').map(Number);
  return [major, minor, patch];
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

function satisfiesAll(version: Version, part: string): boolean {
  const terms = part
    .trim()
    .replace(/(\^|~>?|>=|<=|>|<|=)\s+/g, '$1')
    .split(/\s+/)
    .filter((term) => term !== '');
  return terms.every((term) => satisfies(version, term));
}

function satisfies(version: Version, term: string): boolean {
  const match = PARTIAL.exec(term);
  if (match === null) return false;
  const operator = match[1] ?? '';
  const given: number[] = [];
  for (const piece of match.slice(2)) {
    if (piece === undefined || /[xX*]/.test(piece)) break;
    given.push(Number(piece));
  }
  const low: Version = [given[0] ?? 0, given[1] ?? 0, given[2] ?? 0];
  const fromLow = compare(version, low);
  if (given.length === 0) return operator !== '<' && operator !== '>';
  const high = above(given, operator);
  switch (operator) {
    case '>=':
      return fromLow >= 0;
    case '<':
      return fromLow < 0;
    case '>':
      return given.length === 3 ? fromLow > 0 : compare(version, high) >= 0;
    case '<=':
      return given.length === 3 ? fromLow <= 0 : compare(version, high) < 0;
    default:
      return fromLow >= 0 && compare(version, high) < 0;
  }
}

/** The first version that a partial, `~` or `^` no longer admits. */
function above(given: number[], operator: string): Version {
  const [major = 0, minor = 0, patch = 0] = given;
  if (operator === '^' && (major > 0 || given.length === 1)) {
    return [major + 1, 0, 0];
  }
  if (given.length === 1) return [major + 1, 0, 0];
  if (operator === '^' && minor === 0 && given.length === 3) {
    return [0, 0, patch + 1];
  }
  if (given.length === 2 || operator.startsWith('~') || operator === '^') {
    return [major, minor + 1, 0];
  }
  return [major, minor, patch + 1];
}
