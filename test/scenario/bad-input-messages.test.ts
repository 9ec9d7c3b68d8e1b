// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * An object in every field of every NAPI route that writes: 422, and word for
 * word what real NAPI says of the field (facts: triton-napi 1.3). Clients show
 * these messages to people.
 */

import test from 'tape';
import { type Case, cases } from './bad-input-cases.js';
import { startBadInputWorld } from './bad-input-world.js';

const OBJECT = { a: 1 };
const NAT = 'is chosen by NAPI; only "" can be asked for';

/** What is said of an object, by the kind of the field. */
const BY_KIND: Record<string, string> = {
  bool: 'must be a boolean value',
  fields: 'must be an array of strings',
  fixed: 'must be a boolean value',
  ip: 'invalid IP address',
  ips: 'must be an array of strings',
  mac: 'invalid MAC address',
  macs: 'must be an array of MAC addresses',
  members: 'must be an array of strings',
  prefix: 'Subnet prefix should be number',
  routes: 'invalid route',
  subnet: 'must be a string',
  text: 'must be a string',
  texts: 'must be an array',
  uuid: 'invalid UUID',
  uuids: 'must be an array of strings',
  vlan: 'VLAN ID must be a number between 0 and 4094, and not 1',
  vnet: 'VNET ID must be a number between 0 and 16777215',
  word_name: 'must be a string',
};

/** Where the field says more than its kind. */
const BY_FIELD: Record<string, string> = {
  belongs_to_type: 'must be one of: "other", "server", "zone"',
  state: 'must be one of: "provisioning", "stopped", "running"',
  family: 'must be one of: "ipv4"',
  lacp_mode: 'must be a string',
  nic_tag: 'must be a string',
  nat_reform_public: NAT,
};
function expected({ method, path }: Case, field: string, kind: string) {
  if (field === 'mtu') {
    const least = path.startsWith('/nic_tags') ? 1500 : 576;
    return `mtu must be a number between ${least} and 9000`;
  }
  if (path === '/networks' && field === 'nic_tag') return 'must be an array';
  if (path.includes('/ips/') && field === 'belongs_to_type') {
    return 'must be a string';
  }
  if (method === 'PUT' && field === 'family') {
    return 'must be one of: "ipv4", "ipv6"';
  }
  return BY_FIELD[field] ?? BY_KIND[kind.replace('!', '')];
}

test('each field says what is wrong with it, in NAPI’s words', async (t) => {
  const world = await startBadInputWorld(t);
  const before = await world.picture();
  const napi = cases(world).filter(
    ({ path }) => !/^\/(aips|nat_zones|aip_accounts)/.test(path),
  );
  for (const each of napi) {
    const { method, path, good, fields } = each;
    const wrong: string[] = [];
    const tried = Object.entries(fields).filter(([, kind]) => kind !== '');
    for (const [field, kind] of tried) {
      const body = JSON.stringify({ ...good, [field]: OBJECT });
      const { status, json } = await world.send(method, path, body);
      const errors = (json?.['errors'] ?? []) as Record<string, unknown>[];
      const said = errors.find((error) => error['field'] === field);
      const wanted = expected(each, field, kind);
      if (status === 422 && said?.['message'] === wanted) continue;
      wrong.push(`${field}: ${status} ${said?.['message']}, not ${wanted}`);
    }
    t.ok(tried.length > 0, `${method} ${path}: ${tried.length} fields`);
    t.deepEqual(wrong, [], 'all in the right words');
  }
  t.equal(await world.picture(), before, 'nothing has changed');
});
