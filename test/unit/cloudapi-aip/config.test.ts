// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What a configuration of cloudapi-aip does not say. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { readConfig } from '../../../services/cloudapi-aip/config.js';

test('who says no address is listened to on loopback', (t) => {
  const file = join(temporaryDirectory(t), 'cloudapi-aip.json');
  const least = {
    listen: { port: 8081 },
    napi_nat: { url: 'http://127.0.0.1:8080' },
    accounts: { file: '/etc/vxlnat/accounts.json' },
  };
  writeFileSync(file, JSON.stringify(least));
  const listen = { host: '127.0.0.1', port: 8081 };
  t.deepEqual(readConfig(file), { ...least, listen });
  t.end();
});
