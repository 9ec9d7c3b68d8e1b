// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Removing a NIC and giving its address back (facts: triton-napi 5.5). */

import type { StoredObject } from '#lib/store/types.js';
import { type Changes, commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { releaseIp } from '../ip/release.js';
import { findNetwork } from '../network/read.js';
import { consequences, nicGone } from './changes.js';
import { NIC_BUCKET, type NicRecord } from './record.js';

/**
 * @param find the NIC as it is now; throws 404, or 412 on a failed If-Match
 */
export async function removeNic(
  ctx: NapiContext,
  find: () => Promise<StoredObject<NicRecord>>,
): Promise<void> {
  await commit(ctx, async () => {
    const stored = await find();
    const nic = stored.value;
    const { ipaddr: ip, network_uuid: uuid } = nic;
    const network = uuid ? await findNetwork(ctx, uuid) : null;
    const released =
      ip && network
        ? await releaseIp(ctx, network.key, ip, nic.belongs_to_uuid)
        : [];
    const own: Changes = {
      requests: [
        {
          operation: 'delete',
          bucket: NIC_BUCKET,
          key: stored.key,
          options: { etag: stored._etag },
        },
        ...released,
      ],
      events: [nicGone(nic)],
    };
    const rest = await consequences(ctx, { nic, network }, null);
    return { changes: merge(own, rest), result: undefined };
  });
}
