// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The cloudapi-aip process. */

import { systemClock } from '#lib/clock.js';
import { UsageError } from '#lib/errors.js';
import { createLogger } from '#lib/service/log.js';
import { runMain } from '#lib/service/run.js';
import { readConfig } from './config.js';

const USAGE = `
usage: cloudapi-aip -f CONFIG

Serves /:login/aips (RFD 158) to customers and passes the work to napi-nat.

  -f, --file CONFIG  JSON configuration; see docs/cloudapi.md
  -h, --help         this text
      --version      the version

Exit status: 0 ended as asked, 1 failed, 2 wrong usage or configuration.
`;

await runMain({
  name: 'cloudapi-aip',
  usage: USAGE,
  options: { file: { type: 'string', short: 'f' } },
  daemon: () => true,
  async main({ values }) {
    const file = values['file'];
    if (typeof file !== 'string') {
      throw new UsageError('-f CONFIG is required; see --help');
    }
    const config = readConfig(file);
    const log = createLogger({
      name: 'cloudapi-aip',
      level: config.log_level ?? 'info',
    });
    // What follows takes long to load; a fault in the configuration is told first.
    const { createApp } = await import('./app.js');
    const app = createApp(config, log, systemClock());
    const http = await app.listen();
    log.info({ http }, 'listening');
    return () => app.close();
  },
});
