// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The digest that napi-nat expects is not the one that zones compute. */

import test from 'tape';
import type { FabricRule, OneToOne } from '#lib/model/dataplane.js';
import { rulesDigest } from '#lib/model/rules-digest.js';
import type { JournalEntry } from '#lib/store/types.js';
import { createDigestTracker } from '../../../services/napi-nat/dataplane/digest.js';

function rule(n: number, ip = '3.3.3.2'): FabricRule {
  return {
    network_uuid: `network${n}`,
    owner_uuid: 'owner',
    vnet_id: n,
    vlan_id: 2,
    subnet: '10.4.4.0/22',
    gateway: '10.4.4.1',
    router_mac: '02:00:00:00:00:01',
    nat_reform_public: ip,
  };
}

function entry(n: number, public_ip: string): OneToOne {
  return {
    aip_uuid: `aip${n}`,
    vnet_id: n,
    vlan_id: 2,
    private_ip: '10.4.4.9',
    public_ip,
  };
}

function event(
  seq: number,
  resource: string,
  id: string,
  object: object | null,
): JournalEntry {
  return { seq, resource, subResources: [], id, object, published: 0 };
}

test('following gives what a fresh computation gives', (t) => {
  const digests = createDigestTracker();
  digests.load([rule(1)], [entry(1, '3.3.3.5')]);
  digests.begin(10);
  t.equal(
    digests.current().digest,
    rulesDigest([rule(1)], [entry(1, '3.3.3.5')]),
  );
  digests.follow([
    event(11, 'network', 'network2', rule(2)),
    event(12, 'nic', 'x', { mac: 'x' }),
    event(13, 'aip', 'aip1', null),
    event(14, 'network', 'network1', rule(1, '3.3.3.9')),
  ]);
  t.equal(
    digests.current().digest,
    rulesDigest([rule(1, '3.3.3.9'), rule(2)], []),
  );
  t.equal(digests.current().position, 14);
  digests.follow([event(11, 'network', 'network2', null)]);
  t.equal(
    digests.current().digest,
    rulesDigest([rule(1, '3.3.3.9'), rule(2)], []),
    'a replayed entry changes nothing',
  );
  t.end();
});

test('a zone that lags is compared with what was right then', (t) => {
  const digests = createDigestTracker();
  digests.begin(5);
  digests.follow([event(6, 'nat_zone', 'z', {})]);
  digests.follow([event(7, 'network', 'network1', rule(1))]);
  t.equal(digests.at(6), rulesDigest([], []));
  t.equal(digests.at(7), rulesDigest([rule(1)], []));
  t.equal(digests.at(4), null, 'before the snapshot');
  t.equal(digests.at(8), null, 'ahead of the journal');
  t.end();
});
