// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What SAPI writes for NAPI is a configuration of napi-nat's. */

import test from 'tape';
import { parseConfig } from '#lib/service/config.js';
import { ADMIN_UUID, napiConfig } from '#test/napi-config.js';
import {
  configSchema,
  type NapiConfig,
} from '../../../services/napi-nat/config.js';
import { ownNames } from '../../../services/napi-nat/napi-names.js';

const OWN = napiConfig('/var/db/napi-nat');
const { svp, store, nat_reform, initial_networks } = OWN;
const NAPI = {
  datacenter: 'coal',
  macOUI: '90b8d0',
  maxHttpSockets: 100,
  port: 8080,
  adminIp: '127.0.0.5',
  ufdsAdminUuid: ADMIN_UUID,
  moray: { host: 'moray.coal.joyent.us', logLevel: 'info' },
  overlay: {
    enabled: true,
    defaultOverlayMTU: 1400,
    defaultUnderlayMTU: 1500,
    overlayNicTag: 'sdc_overlay',
    underlayNicTag: 'sdc_underlay',
  },
  autoAllocSubnets: true,
  allowLinklocal: true,
  initialNetworks: initial_networks,
  instanceUuid: ADMIN_UUID,
  serverUuid: ADMIN_UUID,
  serviceName: 'napi',
  logLevel: 'info',
  svp,
  store,
  nat_reform,
};

function load(content: object): NapiConfig {
  const text = JSON.stringify(content);
  return parseConfig<NapiConfig>('f', text, configSchema, ownNames);
}

test("real NAPI's names are understood", (t) => {
  const { vnet_ids: _ids, ...overlay } = OWN.overlay;
  t.deepEqual(load(NAPI), {
    datacenter: 'coal',
    listen: { host: '127.0.0.5', port: 8080 },
    svp,
    store,
    admin_uuid: ADMIN_UUID,
    mac_oui: '90b8d0',
    overlay,
    auto_alloc_subnets: true,
    allow_linklocal: true,
    initial_networks,
    nat_reform,
    log_level: 'info',
  });
  t.deepEqual(load(OWN), OWN, 'and so are our own');
  t.end();
});

test('who says no address is listened to on loopback', (t) => {
  const { adminIp: _address, svp: _svp, ...quiet } = NAPI;
  const { listen, svp } = load(quiet);
  t.deepEqual(listen, { host: '127.0.0.1', port: 8080 });
  t.deepEqual(svp, { host: '127.0.0.1', port: 1296 });
  const { host: _host, ...own } = OWN.listen;
  t.equal(load({ ...OWN, listen: own }).listen.host, '127.0.0.1');
  t.end();
});

test('without overlays nothing of them need be said', (t) => {
  const config = load({ ...NAPI, overlay: { enabled: false } });
  t.equal(config.overlay.enabled, false);
  t.end();
});

test('what is missing or said twice is refused', (t) => {
  const { overlayNicTag: _tag, ...overlay } = NAPI.overlay;
  t.throws(
    () => load({ ...NAPI, overlay }),
    /overlay\/overlay_nic_tag: is required/,
  );
  t.throws(
    () => load({ ...NAPI, mac_oui: '90b8d0' }),
    /macOUI: is not a known key/,
  );
  t.throws(() => load({ ...NAPI, nonsense: 1 }), /nonsense/);
  t.throws(() => load([] as never), /f:/);
  t.end();
});
