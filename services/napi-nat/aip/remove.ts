// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** DetachAIP and DeleteAIP. */

import { type Changes, commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { releaseIp } from '../ip/release.js';
import { PUBLIC_BUCKET, publicEvent } from '../public/record.js';
import { detached } from './change.js';
import { getAip, getAipPublic } from './find.js';
import { AIP_BUCKET, aipEvent, isAssigned } from './record.js';
import { aipInUse } from './target.js';

type Check = (etag: string) => void;

/**
 * Takes an AIP out of use; its owner keeps it. Nothing happens to an AIP that
 * points nowhere.
 * @throws ServiceError 404
 */
export async function detachAip(
  ctx: NapiContext,
  uuid: string,
  owner: string | undefined,
  check: Check = () => {},
): Promise<void> {
  await commit(ctx, async () => {
    const aip = await getAip(ctx, uuid, owner);
    check(aip._etag);
    if (!isAssigned(aip.value)) {
      return { changes: { requests: [], events: [] }, result: undefined };
    }
    const place = await getAipPublic(ctx, aip.value);
    const changes = detached({ aip, place }, ctx.clock.now());
    return { changes, result: undefined };
  });
}

/**
 * Gives an AIP back to the public network.
 * @param options.really also when it is assigned
 * @throws ServiceError 404; 409 AIPInUse
 */
export async function deleteAip(
  ctx: NapiContext,
  uuid: string,
  options: { owner?: string | undefined; really: boolean },
  check: Check = () => {},
): Promise<void> {
  await commit(ctx, async () => {
    const aip = await getAip(ctx, uuid, options.owner);
    check(aip._etag);
    const { ip, network_uuid, belongs_to_uuid } = aip.value;
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
      ],
      events: [
        aipEvent(aip.value, 'delete'),
        publicEvent(place.value, 'delete'),
      ],
    };
    const address = await releaseIp(ctx, network_uuid, ip);
    const changes = merge(rows, { requests: address, events: [] });
    return { changes, result: undefined };
  });
}
