// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Change events of a network. Each carries the network's SNAT rule, or null,
 * for the zones that fold it, whatever the change was.
 */

import type { JournalEvent } from '#lib/store/types.js';
import { etagOfRecord } from '../etag.js';
import { fabricRule } from '../nat-reform/hooks.js';
import type { NetworkRecord } from './record.js';

/** What changefeed listeners may ask to hear of networks. */
export const NETWORK_CHANGES = [
  'create',
  'delete',
  'gateway',
  'resolvers',
  'routes',
  'nat_reform_public',
];

/** The event of a network that was made or changed. */
export function networkEvent(
  network: NetworkRecord,
  subResources: string[],
): JournalEvent {
  return {
    resource: 'network',
    subResources,
    id: network.uuid,
    object: fabricRule(network),
    extra: { etag: etagOfRecord(network) },
  };
}

/** The event of a network that is gone. */
export function networkGone(uuid: string): JournalEvent {
  return {
    resource: 'network',
    subResources: ['delete'],
    id: uuid,
    object: null,
  };
}
