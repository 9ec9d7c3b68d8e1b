#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * svp: asks an SVP server by hand what a compute node would ask it (as
 * `portolanadm` does; facts: svp-portolan-vxlnat 2.1).
 */

import { systemClock } from '#lib/clock.js';
import { UsageError } from '#lib/errors.js';
import { silentLogger } from '#lib/service/log.js';
import { runMain } from '#lib/service/run.js';
import { createSvpClient } from '#lib/svp/client.js';
import { SVP_PORT } from '#lib/svp/messages.js';
import { type Answer, COMMANDS } from './commands.js';

const USAGE = `
usage: svp [OPTIONS] ping
       svp [OPTIONS] vl2 VNET MAC      where a MAC is
       svp [OPTIONS] vl3 VNET IP       which MAC has an IP, and where it is
       svp [OPTIONS] log UL3           shootdowns that wait for a node
       svp [OPTIONS] log-rm UL3        removes them

Asks an SVP server (napi-nat, portolan).

  -H, --host HOST    the server (default 127.0.0.1)
  -p, --port PORT    its port (default ${SVP_PORT})
  -t, --timeout SEC  how long to wait for an answer (default 5)
  -j, --json         JSON
  -h, --help         this text
      --version      the version

Exit status: 0 answered; 1 not found, or nobody answered; 2 wrong usage.
`;

function number(option: string, text: unknown, most: number): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 1 && value <= most)) {
    throw new UsageError(`--${option}: "${text}" is not 1 to ${most}`);
  }
  return value;
}

function show(answer: Answer, json: boolean): number {
  process.stdout.write(
    json ? `${JSON.stringify(answer.value)}\n` : `${answer.text}\n`,
  );
  return answer.found ? 0 : 1;
}

await runMain({
  name: 'svp',
  usage: USAGE,
  allowPositionals: true,
  options: {
    host: { type: 'string', short: 'H', default: '127.0.0.1' },
    port: { type: 'string', short: 'p', default: String(SVP_PORT) },
    timeout: { type: 'string', short: 't', default: '5' },
    json: { type: 'boolean', short: 'j', default: false },
  },
  async main({ values, positionals: [name = '', ...args] }) {
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined) {
      const said = name === '' ? 'a command is required' : `unknown: "${name}"`;
      throw new UsageError(`${said}; see --help`);
    }
    const ask = command(args);
    const client = createSvpClient({
      host: String(values['host']),
      port: number('port', values['port'], 65_535),
      clock: systemClock(),
      log: silentLogger(),
      timeouts: { query_ms: number('timeout', values['timeout'], 3600) * 1000 },
    });
    try {
      return show(await ask(client), values['json'] === true);
    } finally {
      client.close();
    }
  },
});
