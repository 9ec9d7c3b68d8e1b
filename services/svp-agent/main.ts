// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The svp-agent executable: options, configuration, signals. */

import { systemClock } from '#lib/clock.js';
import { UsageError } from '#lib/errors.js';
import { createLogger } from '#lib/service/log.js';
import { runMain } from '#lib/service/run.js';
import { readConfig } from './config.js';

const USAGE = `
usage: svp-agent -f CONFIG [--keep]

Answers what the kernel's VXLAN devices of this compute node do not know, from
an SVP server, and follows its shootdowns. Runs until SIGTERM or SIGINT.

  -f, --config FILE   configuration (JSON); see docs/svp-agent.md
      --keep          leave devices and entries in place at the end
  -h, --help          show this text
      --version       show the version

Exit status: 0 ended as asked, 1 failed, 2 wrong usage or configuration.

Example CONFIG:
  {"svp": {"host": "10.0.0.5"}, "underlay_ip": "192.168.12.1",
   "underlay_interface": "eth1",
   "vnets": [{"vnet_id": 7757106, "bridge": "br-v7757106", "vlan": 2}]}
`;

await runMain({
  name: 'svp-agent',
  usage: USAGE,
  options: {
    config: { type: 'string', short: 'f' },
    keep: { type: 'boolean' },
  },
  daemon: () => true,
  async main({ values }) {
    const file = values['config'];
    if (typeof file !== 'string') {
      throw new UsageError('-f CONFIG is missing (see svp-agent --help)');
    }
    const config = readConfig(file);
    const log = createLogger({ name: 'svp-agent', level: config.log.level });
    // What follows takes long to load; a fault in the configuration is told first.
    const { createSvpAgent } = await import('./app.js');
    const agent = createSvpAgent({
      config,
      clock: systemClock(),
      random: Math.random,
      log,
      instance: `sa${process.pid}`,
    });
    await agent.start();
    log.info({ vnets: config.vnets.length }, 'listening');
    return () => agent.stop(values['keep'] === true);
  },
});
