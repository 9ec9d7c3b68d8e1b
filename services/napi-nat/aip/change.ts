// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The rows of an AIP that changes: the AIP and its public IP move together, in
 * one batch, on the condition that both are still as they were read.
 */

import type { StoredObject } from '#lib/store/types.js';
import type { Changes } from '../commit.js';
import type { NapiContext } from '../context.js';
import { type PublicRecord, publicEvent, putPublic } from '../public/record.js';
import { type AipRecord, aipEvent, putAip, unassigned } from './record.js';
import type { ResolvedTarget } from './target.js';

/** An AIP with its public IP, as read. */
export interface StoredAip {
  aip: StoredObject<AipRecord>;
  place: StoredObject<PublicRecord>;
}

/** The public IP of an AIP that is on the zone of its fabric's router. */
export function following(
  place: PublicRecord,
  resolved: ResolvedTarget | null,
): PublicRecord {
  const { zone_uuid: _zone, follows: _follows, ...rest } = place;
  if (resolved === null) return rest;
  const { zone_uuid, ip } = resolved.follows;
  return { ...rest, follows: ip, ...(zone_uuid ? { zone_uuid } : {}) };
}

/** The public IP's row and event when it changes zone. */
export function rewired(
  before: StoredObject<PublicRecord>,
  after: PublicRecord,
): Changes {
  const moved = before.value.zone_uuid !== after.zone_uuid;
  return {
    requests: [putPublic(after, before._etag)],
    events: moved ? [publicEvent(after, 'zone')] : [],
  };
}

/** The AIP points nowhere any more and nobody announces it. */
export function detached(
  ctx: Pick<NapiContext, 'store' | 'clock'>,
  stored: StoredAip,
): Changes {
  const { clock, store } = ctx;
  const position = store.journal.position();
  const record = unassigned(stored.aip.value, clock.now(), position);
  const place = rewired(stored.place, following(stored.place.value, null));
  return {
    requests: [putAip(record, stored.aip._etag), ...place.requests],
    events: [aipEvent(record, 'detach'), ...place.events],
  };
}
