// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Where an address is known (facts: triton-napi 6.5). */

import { notFound } from '#lib/errors.js';
import { and, eq, extended, not } from '#lib/store/filter-text.js';
import type { NapiContext } from '../context.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../network/record.js';
import { ip } from '../validate/addresses.js';
import type { Values } from '../validate/params.js';
import { bool, string, uuid } from '../validate/values.js';
import { findIp } from './read.js';
import { freeIp, type IpRecord } from './record.js';

export const searchSpec = {
  required: { ip },
  optional: {
    belongs_to_type: string,
    belongs_to_uuid: uuid,
    fabric: bool,
    owner_uuid: uuid,
  },
  strict: true,
};
export type SearchInput = Values<typeof searchSpec.required> &
  Partial<Values<typeof searchSpec.optional>>;

/** An address on one of the networks that have it. */
export interface FoundIp {
  network_uuid: string;
  record: IpRecord;
}

/**
 * The address on each network whose subnet has it, recorded there or not.
 * @throws ServiceError 404 when there is none
 */
export async function searchIps(
  ctx: Pick<NapiContext, 'store'>,
  input: SearchInput,
): Promise<FoundIp[]> {
  const isFabric = eq('fabric', true);
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    and(
      extended('subnet', 'contains', input.ip),
      ...(input.fabric === undefined
        ? []
        : [input.fabric ? isFabric : not(isFabric)]),
    ),
    { noLimit: true, noCount: true, sort: { attribute: 'uuid' } },
  );
  const all = await Promise.all(
    objects.map(async ({ key }) => ({
      network_uuid: key,
      record: (await findIp(ctx, key, input.ip))?.value ?? freeIp(input.ip),
    })),
  );
  const fields = ['belongs_to_type', 'belongs_to_uuid', 'owner_uuid'] as const;
  const found = all.filter(({ record }) =>
    fields.every(
      (field) => input[field] === undefined || input[field] === record[field],
    ),
  );
  if (found.length > 0) return found;
  throw notFound('No networks found matching search criteria');
}
