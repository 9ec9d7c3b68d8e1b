// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a typing error in the file that makes a node serve the
 * wrong vnet, or a message that does not say what to change.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { UsageError } from '#lib/errors.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { temporaryDirectory } from '#test/tmp.js';
import { readConfig } from '../../../services/svp-agent/config.js';

const least = {
  svp: { host: '10.0.0.5' },
  underlay_ip: '192.168.12.1',
  vnets: [{ vnet_id: 7 }],
};

function write(t: Test, content: unknown): string {
  const file = join(temporaryDirectory(t), 'agent.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

test('what may be left out gets its default', (t) => {
  t.deepEqual(readConfig(write(t, least)), {
    svp: { host: '10.0.0.5', port: 1296, query_ms: 5000 },
    napi: null,
    cn_uuid: null,
    underlay_ip: parseIpv4('192.168.12.1'),
    underlay_interface: null,
    vxlan_port: 4789,
    mtu: 1500,
    vnets: [{ vnet_id: 7, device: 'vx7', bridge: null, vlan: 0 }],
    log: { level: 'info', idle_ms: 5000, jitter_ms: 5000 },
    netns: null,
  });
  t.end();
});

test('what is wrong is named with file and path', (t) => {
  const vnet = (more: object) => ({
    ...least,
    vnets: [{ vnet_id: 7, ...more }],
  });
  const cases: [object, RegExp][] = [
    [{ ...least, underlay_ip: '300.1.1.1' }, /\/underlay_ip: must be an IPv4/],
    [{ ...least, vnets: [] }, /\/vnets: /],
    [{ ...least, colour: 1 }, /\/colour: is not a known key/],
    [{ svp: least.svp, vnets: least.vnets }, /\/underlay_ip: is required/],
    [vnet({ vlan: 4095 }), /\/vnets\/0\/vlan: must be a whole number/],
    [vnet({ vnet_id: 2 ** 24 }), /\/vnets\/0\/vnet_id: must be a whole/],
    [vnet({ device: '-x' }), /\/vnets\/0\/device: must be a device name/],
    [vnet({ bridge: 'b x' }), /\/vnets\/0\/bridge: must be a device name/],
    [vnet({ bridge: 'a-name-too-long-x' }), /\/vnets\/0\/bridge: /],
    [
      { ...least, vnets: [{ vnet_id: 7 }, { vnet_id: 7, device: 'b' }] },
      /\/vnets\/1\/vnet_id: 7 is there twice/,
    ],
    [{ ...least, netns: '../x' }, /\/netns: must be the name/],
    [{ ...least, napi: { url: 'ftp://x' } }, /\/napi\/url: must be an http/],
  ];
  for (const [content, message] of cases) {
    try {
      readConfig(write(t, content));
      t.fail(`${message} expected`);
    } catch (error) {
      t.ok(error instanceof UsageError, 'a usage error');
      t.match((error as Error).message, message);
    }
  }
  t.end();
});
