// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What an operator is told when it cannot be: words and exit statuses. */

import test from 'tape';
import { Datacenter } from '#test/triton/datacenter.js';
import { operate } from '#test/triton/operator.js';

const NAME = 'sdcadm-vxlnat';

const CASES: {
  name: string;
  argv: string[];
  change?: (dc: Datacenter) => void;
  status: number;
  says: string;
}[] = [
  {
    name: 'no server',
    argv: ['post-setup', '-y'],
    status: 2,
    says: 'error (Usage): must specify at least one server via the "-s, --servers" option',
  },
  {
    name: 'a server that there is not',
    argv: ['post-setup', '-y', '-s', 'CN-X'],
    status: 2,
    says: 'error (Usage): Cannot find server "CN-X"',
  },
  {
    name: 'a server that is not set up',
    argv: ['create', '-y', '-s', 'CN-D'],
    status: 2,
    says: 'error (Usage): The following servers are not setup:\n    cccccccc-0000-4000-8000-000000000004 (CN-D)',
  },
  {
    name: 'a server that is down',
    argv: ['post-setup', '-y', '-s', 'CN-E'],
    status: 2,
    says: 'error (Usage): The following servers are not running:\n    cccccccc-0000-4000-8000-000000000005 (CN-E)',
  },
  {
    name: 'a server without the external tag',
    argv: ['post-setup', '-y', '-s', 'CN-A'],
    change: (dc) => {
      (dc.servers[0] as Record<string, unknown>)['sysinfo'] = {
        'Network Interfaces': { n0: { 'NIC Names': ['sdc_underlay'] } },
      };
    },
    status: 2,
    says: 'error (Update): The following servers have no NIC with the external network\'s tag "external":\n    cccccccc-0000-4000-8000-000000000001 (CN-A)',
  },
  {
    name: 'SAPI in proto mode',
    argv: ['post-setup', '-y', '-s', 'CN-A'],
    change: (dc) => {
      dc.mode = 'proto';
    },
    status: 2,
    says: 'error (Update): SAPI is not in "full" mode: mode=proto',
  },
  {
    name: 'no fabrics',
    argv: ['post-setup', '-y', '-s', 'CN-A'],
    change: (dc) => {
      dc.services = [];
    },
    status: 2,
    says: 'error (Update): The "portolan" service is required\nPlease, install it with `sdcadm post-setup fabrics`.',
  },
  {
    name: 'no external pool',
    argv: ['post-setup', '-y', '-s', 'CN-A'],
    change: (dc) => {
      dc.application['metadata'] = { fabric_cfg: {} };
    },
    status: 2,
    says: 'metadata.fabric_cfg.sdc_underlay_pool is not set',
  },
  {
    name: 'no package',
    argv: ['post-setup', '-y', '-s', 'CN-A'],
    change: (dc) => {
      dc.packages = [];
    },
    status: 1,
    says: 'error (Internal): 0 "sdc_2048" packages found',
  },
  {
    name: 'no image',
    argv: ['post-setup', '-y', '-s', 'CN-A', '-i', '9.9.9'],
    status: 2,
    says: 'error (Update): no "vxlnat" image version "9.9.9" found in channel "release"',
  },
  {
    name: 'create before post-setup',
    argv: ['create', '-y', '-s', 'CN-A'],
    status: 1,
    says: 'error (Internal): no "vxlnat" service found',
  },
  {
    name: 'an option that there is not',
    argv: ['create', '--frobnicate'],
    status: 2,
    says: "error (Usage): Unknown option '--frobnicate'",
  },
  {
    name: 'an operand too many',
    argv: ['post-setup', 'CN-A'],
    status: 2,
    says: 'error (Usage): too many args: CN-A',
  },
  {
    name: 'a command that there is not',
    argv: ['toString'],
    status: 2,
    says: 'error (Usage): unknown command: "toString"',
  },
  {
    name: 'remove what there is not',
    argv: ['remove', '-y', 'vxlnat7'],
    status: 2,
    says: 'error (Usage): Cannot find instance "vxlnat7"',
  },
  {
    name: 'remove nothing',
    argv: ['remove', '-y'],
    status: 2,
    says: 'error (Usage): must name an instance, a server ("-s") or "--service"',
  },
];

for (const each of CASES) {
  test(`refused: ${each.name}`, async (t) => {
    const dc = await new Datacenter().withFabrics().start(t);
    each.change?.(dc);
    const run = await operate(dc.url, each.argv);
    t.equal(run.status, each.status);
    t.ok(run.stderr.startsWith(`${NAME}: `), run.stderr);
    t.ok(run.stderr.includes(each.says), run.stderr);
    t.deepEqual(dc.writes, [], 'nothing was changed');
  });
}

test('every command has help that names its options', async (t) => {
  const overview = await operate('http://127.0.0.1:9', ['--help']);
  const names = overview.lines
    .slice(overview.lines.indexOf('Commands:') + 1)
    .map((line) => /^ {4}(\S+)/.exec(line)?.[1])
    .slice(0, 5) as string[];
  t.deepEqual(names, ['post-setup', 'create', 'status', 'convert', 'remove']);
  for (const name of names) {
    const help = await operate('http://127.0.0.1:9', ['help', name]);
    const same = await operate('http://127.0.0.1:9', [name, '-h']);
    t.equal(help.status, 0);
    t.deepEqual(help.lines, same.lines);
    t.ok(help.lines.some((line) => line.includes(`${NAME} ${name}`)));
    t.ok(help.lines.some((line) => line.includes('--help')));
  }
});
