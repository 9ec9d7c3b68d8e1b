// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Reads AIPs: one, or a page of them. */

import { notFound } from '#lib/errors.js';
import { and, eq, ge, not, or, present } from '#lib/store/filter-text.js';
import { isStoreError, type StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { findPublic } from '../public/find.js';
import type { PublicRecord } from '../public/record.js';
import { AIP_BUCKET, type AipRecord } from './record.js';

export interface AipQuery {
  owner_uuid?: string | undefined;
  belongs_to_uuid?: string | undefined;
  ip?: string | undefined;
  /** Whether it points anywhere. */
  attached?: boolean | undefined;
  /** Tags that it must have; values as text. */
  tags?: Record<string, string> | undefined;
  limit: number;
  offset: number;
  /** List strictly after this AIP. */
  marker?: string | undefined;
}

/** How many are read at a time where no index can choose. */
const PAGE = 1000;

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
 * The filter of AIPs strictly after one, in the order of lists. Its first term
 * says again what follows from the second: that is where reading begins.
 */
function after(at: AipRecord): string {
  const tie = and(
    eq('created', at.created),
    ge('uuid', at.uuid),
    not(eq('uuid', at.uuid)),
  );
  const later = or(ge('created', at.created + 1), tie);
  return and(ge('created', at.created), later);
}

/** What indexes can choose by. */
function termsOf(query: AipQuery): string[] {
  const terms = [ge('created', 0)];
  for (const field of ['owner_uuid', 'belongs_to_uuid', 'ip'] as const) {
    const value = query[field];
    if (value !== undefined) terms.push(eq(field, value));
  }
  if (query.attached === true) terms.push(present('belongs_to_uuid'));
  if (query.attached === false) terms.push(not(present('belongs_to_uuid')));
  return terms;
}

async function findAips(
  ctx: Pick<NapiContext, 'store'>,
  terms: string[],
  page: { limit: number; offset: number },
): Promise<AipRecord[]> {
  const found = await ctx.store.findObjects<AipRecord>(
    AIP_BUCKET,
    and(...terms),
    {
      ...page,
      noCount: true,
      sort: [{ attribute: 'created' }, { attribute: 'uuid' }],
    },
  );
  return found.objects.map((object) => object.value);
}

function hasTags(record: AipRecord, wanted: Record<string, string>): boolean {
  const { tags = {} } = record;
  return Object.entries(wanted).every(
    ([name, value]) =>
      Object.hasOwn(tags, name) && String(tags[name]) === value,
  );
}

/**
 * A page of AIPs by creation time, then UUID.
 * @param matches what no index knows, such as the state; every AIP that the
 *   rest of the query admits is looked at then
 * @throws ServiceError 404 when the marker names no AIP of this owner
 */
export async function listAips(
  ctx: Pick<NapiContext, 'store'>,
  query: AipQuery,
  matches?: (record: AipRecord) => boolean,
): Promise<AipRecord[]> {
  const { limit, offset, tags = {}, marker } = query;
  const terms = termsOf(query);
  if (marker) {
    const at = (await getAip(ctx, marker, query.owner_uuid)).value;
    terms.push(after(at));
  }
  if (matches === undefined && Object.keys(tags).length === 0) {
    return findAips(ctx, terms, { limit, offset });
  }
  const found: AipRecord[] = [];
  let last: AipRecord | undefined;
  do {
    const more = last === undefined ? [] : [after(last)];
    const all = [...terms, ...more];
    const page = await findAips(ctx, all, { limit: PAGE, offset: 0 });
    const good = page.filter(
      (record) => hasTags(record, tags) && (matches?.(record) ?? true),
    );
    found.push(...good);
    last = page.length < PAGE ? undefined : page.at(-1);
  } while (last !== undefined && found.length < offset + limit);
  return found.slice(offset, offset + limit);
}
