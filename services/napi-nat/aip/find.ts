// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Reads AIPs: one, or a page of them. */

import { notFound } from '#lib/errors.js';
import { and, eq, ge, not, or } from '#lib/store/filter-text.js';
import { isStoreError, type StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { findPublic } from '../public/find.js';
import type { PublicRecord } from '../public/record.js';
import { AIP_BUCKET, type AipRecord } from './record.js';

export interface AipQuery {
  owner_uuid?: string | undefined;
  belongs_to_uuid?: string | undefined;
  ip?: string | undefined;
  limit: number;
  offset: number;
  /** List strictly after this AIP. */
  marker?: string | undefined;
}

/**
 * One AIP.
 * @param owner when given, anybody else's AIP is not found
 * @throws ServiceError 404 "aip not found"
 */
export async function getAip(
  ctx: Pick<NapiContext, 'store'>,
  uuid: string,
  owner?: string,
): Promise<StoredObject<AipRecord>> {
  try {
    const found = await ctx.store.getObject<AipRecord>(AIP_BUCKET, uuid);
    if (owner !== undefined && found.value.owner_uuid !== owner) {
      throw notFound('aip not found');
    }
    return found;
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) {
      throw notFound('aip not found');
    }
    throw error;
  }
}

/**
 * The public IP row of an AIP; it is there as long as the AIP is.
 * @throws ServiceError 404 when both were deleted since the AIP was read
 */
export async function getAipPublic(
  ctx: Pick<NapiContext, 'store'>,
  aip: AipRecord,
): Promise<StoredObject<PublicRecord>> {
  const found = await findPublic(ctx, aip.ip);
  if (found === null) throw notFound('aip not found');
  return found;
}

/**
 * A page of AIPs by creation time, then UUID.
 * @throws ServiceError 404 when the marker names no AIP of this owner
 */
export async function listAips(
  ctx: Pick<NapiContext, 'store'>,
  query: AipQuery,
): Promise<AipRecord[]> {
  const terms = [ge('created', 0)];
  for (const field of ['owner_uuid', 'belongs_to_uuid', 'ip'] as const) {
    const value = query[field];
    if (value !== undefined) terms.push(eq(field, value));
  }
  if (query.marker) {
    const at = (await getAip(ctx, query.marker, query.owner_uuid)).value;
    const tie = and(
      eq('created', at.created),
      ge('uuid', at.uuid),
      not(eq('uuid', at.uuid)),
    );
    terms.push(or(ge('created', at.created + 1), tie));
  }
  const found = await ctx.store.findObjects<AipRecord>(
    AIP_BUCKET,
    and(...terms),
    {
      limit: query.limit,
      noCount: true,
      offset: query.offset,
      sort: [{ attribute: 'created' }, { attribute: 'uuid' }],
    },
  );
  return found.objects.map((object) => object.value);
}
