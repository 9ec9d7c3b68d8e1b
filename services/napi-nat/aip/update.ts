// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** UpdateAIP: other words about it, or another place to point to. */

import { invalidParameter, ServiceError } from '#lib/errors.js';
import type { StoredObject } from '#lib/store/types.js';
import { type Changes, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { advancedLedger, readLedger } from '../nat-reform/ledger.js';
import { type Asked, change, type Done } from './asked.js';
import { following, rewired } from './change.js';
import { getAip, getAipPublic } from './find.js';
import {
  type AipAnswer,
  type AipRecord,
  aipEvent,
  isAssigned,
  putAip,
} from './record.js';
import { aipInUse, resolveTarget } from './target.js';

/** A validated request; null clears a description or the tags. */
export interface UpdateAip {
  owner_uuid?: string | undefined;
  instance?: string | undefined;
  private_ip?: string | undefined;
  remap?: boolean | undefined;
  description?: string | null | undefined;
  tags?: AipRecord['tags'] | null;
  deletion_protection?: boolean | undefined;
  role_tags?: string[] | undefined;
}

/** The record with the words changed. */
function reworded(record: AipRecord, input: UpdateAip): AipRecord {
  const { description, tags, deletion_protection, role_tags, ...rest } = record;
  const text =
    input.description === undefined ? description : input.description;
  const labels = input.tags === undefined ? tags : input.tags;
  const roles = input.role_tags ?? role_tags ?? [];
  return {
    ...rest,
    ...(text ? { description: text } : {}),
    ...(labels && Object.keys(labels).length > 0 ? { tags: labels } : {}),
    ...((input.deletion_protection ?? deletion_protection)
      ? { deletion_protection: true }
      : {}),
    ...(roles.length > 0 ? { role_tags: roles } : {}),
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
): Promise<Done> {
  const ledger = await readLedger(ctx.store);
  const resolved = await resolveTarget(
    ctx,
    { owner_uuid: record.owner_uuid, ...request },
    record.uuid,
  );
  const place = await getAipPublic(ctx, record);
  const since = ctx.store.journal.position();
  const result: AipRecord = { ...record, ...resolved.target, since };
  const changes = merge(
    {
      requests: [putAip(result, stored._etag)],
      events: [aipEvent(result, 'assign')],
    },
    rewired(place, following(place.value, resolved)),
    { requests: [resolved.guard, advancedLedger(ledger, [])], events: [] },
  );
  return { changes, action: 'assign', record: result, state: 'attaching' };
}

async function build(
  ctx: NapiContext,
  uuid: string,
  input: UpdateAip,
  asked: Asked,
): Promise<Done> {
  const stored = await getAip(ctx, uuid, input.owner_uuid);
  asked.check?.(stored._etag);
  const instance = wantedInstance(stored.value, input);
  const record = {
    ...reworded(stored.value, input),
    modified: ctx.clock.now(),
  };
  if (instance !== null) {
    const { private_ip } = input;
    return moved(ctx, stored, record, { instance, private_ip });
  }
  const changes: Changes = {
    requests: [putAip(record, stored._etag)],
    events: [aipEvent(record, 'update')],
  };
  const still = isAssigned(record) ? 'attaching' : 'detached';
  const state = asked.state?.(record) ?? still;
  return { changes, action: 'update', record, state };
}

/**
 * Changes an AIP.
 * @throws ServiceError 404; 409 AIPInUse when it is assigned to another
 *   instance and `remap` is not true; and what `resolveTarget` throws
 */
export async function updateAip(
  ctx: NapiContext,
  uuid: string,
  input: UpdateAip,
  asked: Asked = {},
): Promise<AipAnswer> {
  const answer = await ctx.placing.run(() =>
    change(ctx, asked, () => build(ctx, uuid, input, asked)),
  );
  return answer as AipAnswer;
}
