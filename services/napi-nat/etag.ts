// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The etag that the store will give a value, for replies and events. */

import { etagOf } from '#lib/store/etag.js';

/** Etag of a record as it is about to be, or was just, put. */
export function etagOfRecord(record: object): string {
  return etagOf(JSON.stringify(record));
}
