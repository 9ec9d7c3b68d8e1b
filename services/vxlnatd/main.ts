#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** vxlnatd: one zone's daemon. The command line, and the process. */

import { randomBytes } from 'node:crypto';
import { systemClock } from '#lib/clock.js';
import { createLogger } from '#lib/service/log.js';
import { runMain } from '#lib/service/run.js';
import { openNativeEngine } from './engine.js';
import { OPTIONS, readCommandLine, USAGE } from './options.js';
import { runIp } from './os/ip.js';
import { RulesFile } from './rules-file.js';

await runMain({
  name: 'vxlnatd',
  usage: USAGE,
  options: OPTIONS,
  daemon: () => true,
  async main({ values }) {
    const { config, rules } = readCommandLine(values);
    const log = createLogger({ name: 'vxlnatd', level: config.log_level });
    const ownUl3 = config.underlay.ip === '0.0.0.0' ? null : config.underlay.ip;
    const file = rules === null ? null : new RulesFile(rules, ownUl3);
    // What follows takes long to load; a fault in the configuration is told first.
    const { App } = await import('./app.js');
    const app = new App(config, file, {
      openEngine: openNativeEngine,
      runIp,
      clock: systemClock(),
      log,
      random: Math.random,
      seed: randomBytes(16).toString('hex'),
    });
    await app.start();
    process.on('SIGHUP', () => {
      app.reload().then(
        () => log.info('reloaded'),
        (err) => log.error({ err }, 'reload failed; nothing has changed'),
      );
    });
    // A restart: as SIGTERM, but the next one finds everything in place.
    process.on('SIGUSR2', () => {
      app.handOver();
      process.kill(process.pid, 'SIGTERM');
    });
    return () => app.stop();
  },
});
