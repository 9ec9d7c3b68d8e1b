// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Requests of one account are bounded by a token bucket, as CloudAPI's are
 * (facts: cloudapi 1.8): `rate` a second in the long run, `burst` at once.
 */

import type { Clock } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';

export interface ThrottleConfig {
  burst: number;
  /** Requests a second. */
  rate: number;
  /** Logins that are not bounded. */
  exempt?: string[];
}

/** CloudAPI's own. */
export const THROTTLE_DEFAULTS: ThrottleConfig = { burst: 30, rate: 10 };

/** Accounts whose buckets are remembered; a full one need not be. */
const KEPT = 10_000;

/** @throws ServiceError 429 TooManyRequestsError */
export type Throttle = (login: string) => void;

/**
 * Makes the throttle of one process.
 * @param config null for none
 */
export function createThrottle(
  config: ThrottleConfig | null,
  clock: Clock,
): Throttle {
  if (config === null) return () => undefined;
  const { burst, rate, exempt = [] } = config;
  const buckets = new Map<string, { tokens: number; at: number }>();
  return (login) => {
    if (exempt.includes(login)) return;
    const now = clock.monotonic();
    const known = buckets.get(login) ?? { tokens: burst, at: now };
    const gained = ((now - known.at) * rate) / 1000;
    const tokens = Math.min(burst, known.tokens + gained);
    buckets.delete(login);
    buckets.set(login, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    const [oldest] = buckets.keys();
    if (buckets.size > KEPT && oldest !== undefined) buckets.delete(oldest);
    if (tokens >= 1) return;
    const wait = Math.ceil((1 - tokens) / rate);
    throw new ServiceError(
      429,
      {
        code: 'TooManyRequestsError',
        message: `You have exceeded your request rate of ${rate} r/s.`,
      },
      { 'Retry-After': String(wait) },
    );
  };
}
