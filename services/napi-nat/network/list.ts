// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Finding networks by what clients ask for (facts: triton-napi 3.2). */

import {
  and,
  eq,
  not,
  or,
  present,
  startsWith,
} from '#lib/store/filter-text.js';
import type { NapiContext } from '../context.js';
import type { ListInput } from './input.js';
import { NETWORK_BUCKET, type NetworkRecord, nameKey } from './record.js';

const MAX_PAGE = 1000;

function filterOf(input: ListInput): string {
  const terms: string[] = [eq('v', 4)];
  const { uuid, fabric, owner_uuid: owner, provisionable_by: by } = input;
  if (uuid !== undefined) {
    terms.push(
      uuid.endsWith('*')
        ? startsWith('uuid', uuid.slice(0, -1))
        : eq('uuid', uuid),
    );
  }
  if (fabric !== undefined) {
    const isFabric = eq('fabric', true);
    terms.push(fabric ? isFabric : not(isFabric));
  }
  if (input.family !== undefined) terms.push(eq('family', input.family));
  if (input.vlan_id !== undefined) terms.push(eq('vlan_id', input.vlan_id));
  if (input.nic_tag) {
    terms.push(or(...input.nic_tag.map((tag) => eq('nic_tag', tag))));
  }
  if (input.name) terms.push(nameFilter(input.name, fabric, by));
  if (owner !== undefined) {
    terms.push(eq('owner_uuids', owner));
  } else if (by !== undefined) {
    terms.push(or(eq('owner_uuids', by), not(present('owner_uuids'))));
  }
  return and(...terms);
}

function nameFilter(
  names: string[],
  fabric: boolean | undefined,
  provisionableBy: string | undefined,
): string {
  if (fabric === true) return or(...names.map((name) => eq('name', name)));
  const keys = names.flatMap((name) => [
    nameKey(name),
    ...(provisionableBy ? [nameKey(name, provisionableBy)] : []),
  ]);
  return or(...keys.map((key) => eq('name_str', key)));
}

/** Networks sorted by name. */
export async function listNetworks(
  ctx: Pick<NapiContext, 'store'>,
  input: ListInput,
): Promise<NetworkRecord[]> {
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    filterOf(input),
    {
      limit: input.limit ?? MAX_PAGE,
      noCount: true,
      offset: input.offset ?? 0,
      sort: [{ attribute: 'name' }, { attribute: 'uuid' }],
    },
  );
  return objects.map(({ value }) => value);
}
