// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** CreateAIP: an address is reserved, and perhaps assigned, in one batch. */

import { ServiceError } from '#lib/errors.js';
import { isStoreError } from '#lib/store/types.js';
import { type Changes, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import type { Hold } from '../ip/claims.js';
import { allocatePublic } from '../nat-reform/allocate.js';
import { advancedLedger, readLedger } from '../nat-reform/ledger.js';
import { type PublicRecord, publicEvent, putPublic } from '../public/record.js';
import { oneMore, readAccount } from './account.js';
import { type Asked, change, type Done } from './asked.js';
import { following } from './change.js';
import {
  AIP_BUCKET,
  type AipAnswer,
  type AipRecord,
  aipEvent,
  putAip,
} from './record.js';
import { resolveTarget, type TargetRequest } from './target.js';

/** A validated request. */
export interface CreateAip {
  owner_uuid: string;
  uuid?: string | undefined;
  instance?: string | undefined;
  private_ip?: string | undefined;
  description?: string | undefined;
  tags?: AipRecord['tags'];
  deletion_protection?: boolean | undefined;
  role_tags?: string[] | undefined;
}

async function refuseDuplicate(ctx: NapiContext, uuid: string): Promise<void> {
  try {
    await ctx.store.getObject(AIP_BUCKET, uuid);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return;
    throw error;
  }
  throw new ServiceError(422, {
    code: 'InvalidParameters',
    message: 'Invalid parameters',
    errors: [{ field: 'uuid', code: 'Duplicate', message: 'Already exists' }],
  });
}

async function build(
  ctx: NapiContext,
  input: CreateAip,
  uuid: string,
  hold: Hold,
): Promise<Done> {
  if (input.uuid !== undefined) await refuseDuplicate(ctx, uuid);
  // Before anything that is chosen by it is read.
  const ledger = await readLedger(ctx.store);
  const account = await readAccount(ctx, input.owner_uuid);
  const more = oneMore(ctx, account);
  const { owner_uuid, instance, private_ip } = input;
  const request: TargetRequest | null =
    instance === undefined ? null : { owner_uuid, instance, private_ip };
  const resolved = request && (await resolveTarget(ctx, request, uuid));
  const holder = { belongs_to_uuid: uuid, owner_uuid };
  const taken = await allocatePublic(ctx, holder, hold);
  const now = ctx.clock.now();
  const record: AipRecord = {
    uuid,
    owner_uuid,
    ip: taken.ip,
    network_uuid: taken.network_uuid,
    ...(input.description ? { description: input.description } : {}),
    ...(input.tags ? { tags: input.tags } : {}),
    ...(input.deletion_protection ? { deletion_protection: true } : {}),
    ...(input.role_tags?.length ? { role_tags: input.role_tags } : {}),
    ...(resolved && {
      ...resolved.target,
      since: ctx.store.journal.position(),
    }),
    created: now,
    modified: now,
    v: 1,
  };
  const place = following(newPublic(record), resolved);
  const guards = resolved ? [resolved.guard, advancedLedger(ledger, [])] : [];
  const created: Changes = {
    requests: [
      ...taken.requests,
      putAip(record, null),
      putPublic(place, null),
      more,
    ],
    events: [publicEvent(place, 'create'), aipEvent(record, 'create')],
  };
  const changes = merge(created, { requests: guards, events: [] });
  const state = resolved ? 'attaching' : 'detached';
  return { changes, action: 'create', record, state };
}

function newPublic(aip: AipRecord): PublicRecord {
  return {
    ip: aip.ip,
    kind: 'aip',
    network_uuid: aip.network_uuid,
    allocation_uuid: aip.uuid,
    aip_uuid: aip.uuid,
    fabric_owners: [],
    fabrics_by_owner: {},
    fabrics: 0,
    addresses: 0,
    v: 1,
  };
}

/** Creations at the same time at most, well below a run of free addresses. */
const LANES = 32;

/** One owner's creations follow each other: they advance the same row. */
function laneOf(owner: string): string {
  return `aips ${Number.parseInt(owner.slice(-4), 16) % LANES}`;
}

/**
 * Creates an AIP. What points at an instance takes part in placement and waits
 * for its turn there; others only need an address and run beside each other.
 * @throws ServiceError 507 SubnetFull when the public network is used up; 409
 *   QuotaExceeded; and what `resolveTarget` throws
 */
export async function createAip(
  ctx: NapiContext,
  input: CreateAip,
  asked: Asked = {},
): Promise<AipAnswer> {
  const uuid = input.uuid ?? ctx.uuid();
  const hold = ctx.claims.hold();
  const create = () =>
    change(ctx, asked, () => build(ctx, input, uuid, hold)).finally(
      hold.release,
    );
  const answer = await (input.instance === undefined
    ? ctx.turns.run(laneOf(input.owner_uuid), create)
    : ctx.placing.run(create));
  return answer as AipAnswer;
}
