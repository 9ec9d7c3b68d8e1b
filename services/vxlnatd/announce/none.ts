// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** No announcement: static routes or another daemon bring the packets. */

import type { Announcer } from './announcer.js';

export function noAnnouncer(): Announcer {
  return {
    mode: 'none',
    device: null,
    announceCommand: () => null,
    withdrawCommand: () => null,
    observe: async () => null,
  };
}
