#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The napi-nat process. */

import { systemClock } from '#lib/clock.js';
import { UsageError } from '#lib/errors.js';
import { loadConfig } from '#lib/service/config.js';
import { createLogger } from '#lib/service/log.js';
import { runMain } from '#lib/service/run.js';
import { configSchema, type NapiConfig } from './config.js';
import { ownNames } from './napi-names.js';

const USAGE = `
usage: napi-nat -f CONFIG
       napi-nat store copy FROM TO
       napi-nat store import URL TO

Serves networks, addresses, NICs, fabrics, AIPs and NAT zones over HTTP (as
Triton's NAPI does), look-ups over SVP, and changes over the changefeed.

store copy writes everything in the store FROM to the empty store TO. A store is
a directory, or a postgres: URL (?schema=NAME when it is not "vxlnat"). Nothing
may be running on either. store import fills TO from the NAPI at URL, which
nobody may change meanwhile.

  -f, --file CONFIG  JSON configuration; see docs/napi-nat.md
  -h, --help         this text
      --version      the version

Exit status: 0 ended as asked, 1 failed, 2 wrong usage or configuration.
`;

await runMain({
  name: 'napi-nat',
  usage: USAGE,
  options: { file: { type: 'string', short: 'f' } },
  allowPositionals: true,
  daemon: ({ positionals }) => positionals.length === 0,
  async main({ values, positionals }) {
    if (positionals.length > 0) {
      const { runStoreCommand } = await import('./store/command.js');
      return runStoreCommand(positionals);
    }
    const file = values['file'];
    if (typeof file !== 'string') {
      throw new UsageError('-f CONFIG is required; see --help');
    }
    const config = loadConfig<NapiConfig>(file, configSchema, ownNames);
    const log = createLogger({
      name: 'napi-nat',
      level: config.log_level ?? 'info',
    });
    // What follows takes long to load; a fault in the configuration is told first.
    const { createApp } = await import('./app.js');
    const app = createApp(config, { clock: systemClock(), log });
    await app.start().catch((error: unknown) => {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`${file}: ${error.message}`);
    });
    return () => app.stop();
  },
});
