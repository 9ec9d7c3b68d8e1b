// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** UpdateAIP: other words about it, or another place to point to. */

import { invalidParameter, ServiceError } from '#lib/errors.js';
import type { StoredObject } from '#lib/store/types.js';
import { type Changes, commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { advancedLedger, readLedger } from '../nat-reform/ledger.js';
import { following, rewired } from './change.js';
import { getAip, getAipPublic } from './find.js';
import { type AipRecord, aipEvent, isAssigned, putAip } from './record.js';
import { aipInUse, resolveTarget } from './target.js';

/** A validated request; null clears a description or the tags. */
export interface UpdateAip {
  owner_uuid?: string | undefined;
  instance?: string | undefined;
  private_ip?: string | undefined;
  remap?: boolean | undefined;
  description?: string | null | undefined;
  tags?: AipRecord['tags'] | null;
}

/** The record with the words changed. */
function reworded(record: AipRecord, input: UpdateAip): AipRecord {
  const { description, tags, ...rest } = record;
  const text =
    input.description === undefined ? description : input.description;
  const labels = input.tags === undefined ? tags : input.tags;
  return {
    ...rest,
    ...(text ? { description: text } : {}),
    ...(labels && Object.keys(labels).length > 0 ? { tags: labels } : {}),
  };
}

/** The instance that the request means, or null when it moves nothing. */
function wantedInstance(record: AipRecord, input: UpdateAip): string | null {
  const { instance, private_ip } = input;
  if (instance === undefined && private_ip === undefined) return null;
  const wanted = instance ?? record.belongs_to_uuid;
  if (wanted === undefined) {
    throw new ServiceError(422, {
      code: 'InvalidParameters',
      message: 'Invalid parameters',
      errors: [
        invalidParameter('instance', 'private_ip needs an instance to be in'),
      ],
    });
  }
  if (!isAssigned(record)) return wanted;
  if (record.belongs_to_uuid !== wanted && input.remap !== true) {
    throw aipInUse(`AIP is assigned to instance ${record.belongs_to_uuid}`);
  }
  const same = private_ip === undefined || private_ip === record.private_ip;
  return record.belongs_to_uuid === wanted && same ? null : wanted;
}

async function moved(
  ctx: NapiContext,
  stored: StoredObject<AipRecord>,
  record: AipRecord,
  request: { instance: string; private_ip: string | undefined },
): Promise<{ changes: Changes; result: AipRecord }> {
  const ledger = await readLedger(ctx.store);
  const resolved = await resolveTarget(
    ctx,
    { owner_uuid: record.owner_uuid, ...request },
    record.uuid,
  );
  const place = await getAipPublic(ctx, record);
  const result: AipRecord = { ...record, ...resolved.target };
  const changes = merge(
    {
      requests: [putAip(result, stored._etag)],
      events: [aipEvent(result, 'assign')],
    },
    rewired(place, following(place.value, resolved)),
    { requests: [resolved.guard, advancedLedger(ledger, [])], events: [] },
  );
  return { changes, result };
}

async function build(
  ctx: NapiContext,
  uuid: string,
  input: UpdateAip,
  check: (etag: string) => void,
): Promise<{ changes: Changes; result: AipRecord }> {
  const stored = await getAip(ctx, uuid, input.owner_uuid);
  check(stored._etag);
  const instance = wantedInstance(stored.value, input);
  const record = {
    ...reworded(stored.value, input),
    modified: ctx.clock.now(),
  };
  if (instance !== null) {
    const { private_ip } = input;
    return moved(ctx, stored, record, { instance, private_ip });
  }
  return {
    changes: {
      requests: [putAip(record, stored._etag)],
      events: [aipEvent(record, 'update')],
    },
    result: record,
  };
}

/**
 * Changes an AIP.
 * @param check sees the etag that the change will be made on; may throw, for
 *   If-Match
 * @throws ServiceError 404; 409 AIPInUse when it is assigned to another
 *   instance and `remap` is not true; and what `resolveTarget` throws
 */
export async function updateAip(
  ctx: NapiContext,
  uuid: string,
  input: UpdateAip,
  check: (etag: string) => void = () => {},
): Promise<AipRecord> {
  return ctx.placing.run(() =>
    commit(ctx, () => build(ctx, uuid, input, check)),
  );
}
