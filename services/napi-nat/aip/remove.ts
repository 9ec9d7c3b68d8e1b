// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** DetachAIP and DeleteAIP. */

import { ServiceError } from '#lib/errors.js';
import { type Changes, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { releaseIp } from '../ip/release.js';
import { PUBLIC_BUCKET, publicEvent } from '../public/record.js';
import { oneLess, readAccount } from './account.js';
import { type Asked, change } from './asked.js';
import { detached } from './change.js';
import { getAip, getAipPublic } from './find.js';
import { AIP_BUCKET, aipEvent, isAssigned } from './record.js';
import { aipInUse } from './target.js';

/**
 * Takes an AIP out of use; its owner keeps it. Nothing happens to an AIP that
 * points nowhere.
 * @throws ServiceError 404
 */
export async function detachAip(
  ctx: NapiContext,
  uuid: string,
  owner: string | undefined,
  asked: Asked = {},
): Promise<void> {
  await change(ctx, asked, async () => {
    const aip = await getAip(ctx, uuid, owner);
    asked.check?.(aip._etag);
    const done = { action: 'detach', record: aip.value, state: null } as const;
    if (!isAssigned(aip.value)) return { ...done, changes: null };
    const place = await getAipPublic(ctx, aip.value);
    return { ...done, changes: detached(ctx, { aip, place }) };
  });
}

/**
 * Gives an AIP back to the public network.
 * @param options.really also when it is assigned
 * @throws ServiceError 404; 409 AIPInUse, CannotDestroyAIPError
 */
export async function deleteAip(
  ctx: NapiContext,
  uuid: string,
  options: { owner?: string | undefined; really: boolean },
  asked: Asked = {},
): Promise<void> {
  await change(ctx, asked, async () => {
    const aip = await getAip(ctx, uuid, options.owner);
    asked.check?.(aip._etag);
    const { ip, network_uuid, owner_uuid, belongs_to_uuid } = aip.value;
    if (aip.value.deletion_protection === true) {
      throw new ServiceError(409, {
        code: 'CannotDestroyAIPError',
        message: 'AIP has deletion_protection enabled',
      });
    }
    if (isAssigned(aip.value) && !options.really) {
      throw aipInUse(`AIP is assigned to instance ${belongs_to_uuid}`);
    }
    const place = await getAipPublic(ctx, aip.value);
    const rows: Changes = {
      requests: [
        {
          operation: 'delete',
          bucket: AIP_BUCKET,
          key: uuid,
          options: { etag: aip._etag },
        },
        {
          operation: 'delete',
          bucket: PUBLIC_BUCKET,
          key: ip,
          options: { etag: place._etag },
        },
        oneLess(await readAccount(ctx, owner_uuid)),
      ],
      events: [
        aipEvent(aip.value, 'delete'),
        publicEvent(place.value, 'delete'),
      ],
    };
    const address = await releaseIp(ctx, network_uuid, ip);
    const changes = merge(rows, { requests: address, events: [] });
    return { changes, action: 'delete', record: aip.value, state: null };
  });
}
