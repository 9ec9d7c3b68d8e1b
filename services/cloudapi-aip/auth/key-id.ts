// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The keyId of a signature: `/<login>/keys/<K>` or
 * `/<login>/users/<sublogin>/keys/<K>`, where K is an MD5 colon fingerprint, a
 * key name, or (our extension) `SHA256:...`, which may itself contain slashes
 * (facts: cloudapi 2.2). Pure.
 */

export interface KeyId {
  login: string;
  /** Null when the account itself signs. */
  sublogin: string | null;
  key: string;
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

/** The keyId of an Authorization header; undefined when it has none. */
export function keyIdOf(header: string | undefined): string | undefined {
  return /\bkeyId="([^"]*)"/.exec(header ?? '')?.[1];
}

/**
 * Takes a keyId apart.
 * @returns null when it is malformed, or when its login is `my`
 */
export function parseKeyId(text: string): KeyId | null {
  const parts = text.split('/');
  const isUser = parts[2] === 'users' || parts[2] === 'user';
  const keysAt = isUser ? 4 : 2;
  if (parts[0] !== '' || parts[keysAt] !== 'keys') return null;
  const login = decode(parts[1] as string);
  const sublogin = isUser ? decode(parts[3] as string) : null;
  const tail = parts.slice(keysAt + 1);
  if (tail.length > 1 && !tail[0]?.startsWith('SHA256:')) return null;
  const key = tail.join('/');
  const whole = login !== null && login !== '' && login !== 'my' && key !== '';
  if (!whole || (isUser && !sublogin)) return null;
  return { login, sublogin, key };
}
