// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The failure model with real processes and real packets: two napi-nat on one
 * PostgreSQL, two vxlnatd, an instance and a host on the Internet. What is
 * lost one after the other: the leader, a zone, a zone's links, all of
 * napi-nat. After each the instance's packets must pass, by the same address.
 *
 *   inst -- cn ------\                            /-- inet 3.3.3.1
 *          head ------ underlay 192.168.12.0/24  /
 *          zone1 ----- admin    10.99.99.0/24   -- external 3.3.3.0/24
 *          zone2 -----/
 */

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { freshAddress } from '#test/postgres.js';
import { until } from '#test/until.js';
import { Lab, type LabProcess } from '../../demo/netns.js';
import type { PeerAnswer } from './lab/lab.js';

const root = process.getuid?.() === 0;
const ADMIN = '00000000-0000-4000-8000-0000000000ad';
const OWNER = '00000001-0000-4000-8000-000000000001';
const CN = '00000009-0000-4000-8000-000000000001';
const NETWORKS = {
  underlay: '00000000-0000-4000-8000-0000000000b1',
  external: '00000000-0000-4000-8000-0000000000b0',
};
const PUBLIC = '3.3.3.2';
const ZONES = [1, 2].map((n) => ({
  name: `zone${n}`,
  uuid: `00000007-0000-4000-8000-00000000000${n}`,
  ul3: `192.168.12.${n + 5}`,
  external: `3.3.3.${n + 12}`,
  admin: `10.99.99.${n + 20}`,
}));
type Zone = (typeof ZONES)[number];
const [ZONE1, ZONE2] = ZONES as [Zone, Zone];
/** Both napi-nat run on the head machine, on a port of each. */
const NAPI = [8080, 8081];

interface Body {
  [name: string]: unknown;
}

let lab: Lab;
let napi: LabProcess[];
const daemons = new Map<string, LabProcess>();

const program = (path: string) =>
  new URL(`../../${path}`, import.meta.url).pathname;

function start(
  machine: string,
  name: string,
  service: string,
  config: object,
): LabProcess {
  const file = join(lab.directory, `${name}.json`);
  writeFileSync(file, JSON.stringify(config));
  const flag = service === 'vxlnatd' ? '-c' : '-f';
  const main = program(`services/${service}/main.js`);
  return lab.start(machine, name, [process.execPath, main, flag, file]);
}

/** Asks the second napi-nat, unless told, from its own machine. */
async function call<T = Body>(
  method: string,
  path: string,
  body?: object,
  port = NAPI[1] as number,
): Promise<T> {
  const words = ['-s', '-S', '-f', '-m', '10', '-X', method];
  if (body) words.push('-H', 'content-type: application/json');
  if (body) words.push('-d', JSON.stringify(body));
  const url = `http://10.99.99.10:${port}${path}`;
  const text = await lab.exec('head', ['curl', ...words, url]);
  return JSON.parse(text) as T;
}

const stateOf = (zone: Zone, state: string) =>
  until(
    `${zone.name} to be ${state}`,
    () => call('GET', `/nat_zones/${zone.uuid}`),
    (each) => each['state'] === state,
  );

async function attach(
  machine: string,
  device: string,
  bridge: string,
  address: string,
): Promise<void> {
  const port = `${machine}-${bridge}`;
  await lab.cable({ machine, device }, { machine: 'switch', device: port });
  await lab.ip('switch', [`link set ${port} master br-${bridge}`]);
  if (bridge === 'un') {
    await lab.ip('switch', [`link set ${port} mtu 1600`]);
    await lab.ip(machine, [`link set ${device} mtu 1600`]);
  }
  await lab.ip(machine, [`addr add ${address}/24 dev ${device}`]);
}

async function wires(): Promise<void> {
  const zones = ZONES.map(({ name }) => name);
  await lab.addMachines(['switch', 'head', 'cn', 'inst', 'inet', ...zones]);
  await lab.ip('switch', [
    'link add br-un mtu 1600 type bridge forward_delay 0',
    'link add br-ex type bridge forward_delay 0',
    'link add br-ad type bridge forward_delay 0',
    ...['un', 'ex', 'ad'].map((each) => `link set br-${each} up`),
  ]);
  await attach('head', 'ad0', 'ad', '10.99.99.10');
  await attach('head', 'un0', 'un', '192.168.12.254');
  await attach('cn', 'un0', 'un', '192.168.12.1');
  await attach('inet', 'ex0', 'ex', '3.3.3.1');
  for (const { name, admin, ul3, external } of ZONES) {
    await attach(name, 'ad0', 'ad', admin);
    await attach(name, 'un0', 'un', ul3);
    await attach(name, 'ex0', 'ex', external);
    await lab.ip(name, ['route add default via 3.3.3.1']);
  }
}

function napiConfig(postgres: object, port: number, n: number): object {
  const overlay = { overlay_nic_tag: 'overlay', underlay_nic_tag: 'underlay' };
  const network = (uuid: string, base: string, from: number, to: number) => ({
    uuid,
    vlan: 0,
    network: `${base}.0`,
    netmask: '255.255.255.0',
    startIP: `${base}.${from}`,
    endIP: `${base}.${to}`,
  });
  return {
    listen: { host: '0.0.0.0', port },
    svp: { host: '0.0.0.0', port: 1296 + n * 10 },
    store: { postgres },
    admin_uuid: ADMIN,
    mac_oui: '90b8d0',
    overlay: {
      enabled: true,
      default_overlay_mtu: 1500,
      default_underlay_mtu: 1600,
      ...overlay,
    },
    initial_networks: {
      underlay: network(NETWORKS.underlay, '192.168.12', 1, 253),
      external: {
        ...network(NETWORKS.external, '3.3.3', 2, 12),
        gateway: '3.3.3.1',
      },
    },
    nat_reform: {
      default: true,
      policy: { sharing: 'per-owner', placement: 'spread' },
      public_network: NETWORKS.external,
      probe: {
        vnet: 16777215,
        interval_ms: 100,
        misses: 5,
        bind: '192.168.12.254',
      },
      heartbeat: { interval_ms: 200, misses: 10 },
    },
  };
}

function startZone(zone: Zone): void {
  const { name, uuid, ul3, external } = zone;
  const daemon = start(name, name, 'vxlnatd', {
    zone_uuid: uuid,
    napi: { url: `http://10.99.99.10:${NAPI[1]}` },
    svp: { host: '10.99.99.10', port: 1306 },
    underlay: { interface: 'un0', ip: ul3, port: 4789 },
    external: { interface: 'ex0', ip: external },
    tun: { name: 'vxn0', mtu: 1500 },
    io: 'tun',
    announce: 'arp',
    manage_os: true,
    state_directory: join(lab.directory, `${name}.state`),
    admin: { host: '127.0.0.1', port: 2960 },
    engine: { inner_mtu: 1500, max_flows: 4096 },
    heartbeat: { interval_ms: 200 },
  });
  daemons.set(name, daemon);
}

/** The compute node hears where its router is now; gives its UL3. */
let followRouter = async (): Promise<string> => '';

/** The instance, with the kernel's VXLAN device as its compute node. */
async function plugIn(fabric: { uuid: string; vnet_id: number }) {
  const nic = await call<{ mac: string; ip: string }>('POST', '/nics', {
    owner_uuid: OWNER,
    belongs_to_uuid: '00000002-0000-4000-8000-000000000001',
    belongs_to_type: 'zone',
    network_uuid: fabric.uuid,
    cn_uuid: CN,
  });
  const { vnet_id: vnet } = fabric;
  const query = `/ul3_mappings?vnet_id=${vnet}&ip=10.4.4.1`;
  const lookUp = async () => {
    const [found] = await call<{ mac: string; ul3_ip: string }[]>('GET', query);
    if (found === undefined) throw new Error('there is no router');
    return found;
  };
  const router = await lookUp();
  followRouter = async () => {
    const { mac, ul3_ip } = await lookUp();
    const entry = [mac, 'dev', 'vx0', 'dst', ul3_ip];
    await lab.exec('inst', ['bridge', 'fdb', 'replace', ...entry]);
    return ul3_ip;
  };
  await lab.ip('cn', [
    `link add vx0 address ${nic.mac} type vxlan id ${vnet} dstport 4789` +
      ' local 192.168.12.1 dev un0 nolearning',
    `link set vx0 netns ${lab.namespace('inst')}`,
  ]);
  await lab.ip('inst', [
    `addr add ${nic.ip}/24 dev vx0`,
    'link set vx0 up',
    'route add default via 10.4.4.1',
    `neigh add 10.4.4.1 lladdr ${router.mac} dev vx0 nud permanent`,
  ]);
  // As varpd has it; the compute node does not hear of what happens later.
  const entry = [router.mac, 'dev', 'vx0', 'dst', router.ul3_ip];
  await lab.exec('inst', ['bridge', 'fdb', 'append', ...entry]);
  return router;
}

/** Who the host on the Internet saw, by a connection that must work. */
async function seen(): Promise<string> {
  const peer = program('test/system/peer.js');
  const answer = await lab.measure<PeerAnswer>('inst', [
    process.execPath,
    peer,
    'tcp',
    '3.3.3.1',
    '20000',
  ]).result;
  if (answer.error !== undefined) throw new Error(answer.error);
  return (answer.seen ?? '').replace('::ffff:', '').split(':')[0] as string;
}

/** A ping first: a connection that is begun too early is slow to give up. */
async function passes(t: Test, when: string): Promise<void> {
  const ping = ['ping', '-c', '1', '-W', '1', '3.3.3.1'];
  await until('a ping', () => lab.exec('inst', ping));
  const address = await until('packets to pass', seen);
  t.equal(address, PUBLIC, `packets pass ${when}`);
}

async function proxied(zone: Zone): Promise<string> {
  const words = ['ip', 'neigh', 'show', 'proxy', 'dev', 'ex0'];
  return lab.exec(zone.name, words);
}

async function port(zone: Zone, state: 'up' | 'down'): Promise<void> {
  await lab.ip('switch', [
    `link set ${zone.name}-un ${state}`,
    `link set ${zone.name}-ad ${state}`,
  ]);
}

function system(name: string, run: (t: Test) => Promise<void>): void {
  test(name, { skip: !root && 'needs root' }, run);
}

system('two napi-nat on PostgreSQL, two zones, packets pass', async (t) => {
  // For all tests of this file: one test's own would go with it.
  const directory = mkdtempSync(join(tmpdir(), 'vxlnat-lab-'));
  lab = new Lab(`vxp${process.pid}`, directory);
  await wires();
  const postgres = await freshAddress();
  napi = [];
  for (const [n, listen] of NAPI.entries()) {
    const config = napiConfig(postgres, listen, n);
    napi.push(start('head', `napi${n}`, 'napi-nat', config));
    await until('napi-nat', () => call('GET', '/ping', undefined, listen));
  }
  await call('POST', `/networks/${NETWORKS.underlay}/nics`, {
    belongs_to_type: 'server',
    belongs_to_uuid: CN,
    owner_uuid: ADMIN,
    ip: '192.168.12.1',
    underlay: true,
  });
  for (const zone of ZONES) {
    const { uuid, ul3: ul3_ip, external: external_ip } = zone;
    await call('POST', '/nat_zones', { uuid, ul3_ip, external_ip });
    startZone(zone);
    await stateOf(zone, 'up');
  }
  const base = `/fabrics/${OWNER}/vlans`;
  await call('POST', base, { vlan_id: 0, name: 'v' });
  const fabric = await call<{ uuid: string; vnet_id: number }>(
    'POST',
    `${base}/0/networks`,
    {
      name: 'net',
      subnet: '10.4.4.0/24',
      provision_start_ip: '10.4.4.2',
      provision_end_ip: '10.4.4.250',
      gateway: '10.4.4.1',
      internet_nat: true,
    },
  );
  const router = await plugIn(fabric);
  t.equal(router.ul3_ip, ZONE1.ul3, 'zone 1 is the router');
  const serve = [process.execPath, program('test/system/peer.js'), 'serve'];
  const peer = lab.start('inet', 'peer', serve);
  if (peer.child.stdout) await once(peer.child.stdout, 'data');
  await passes(t, 'at first');
});

system(
  'the leader is killed, then a zone: the next leader moves it',
  async (t) => {
    await lab.stop(napi[0] as LabProcess, 'SIGKILL');
    await passes(t, 'without the leader');
    await lab.stop(daemons.get('zone1') as LabProcess, 'SIGKILL');
    const lost = await stateOf(ZONE1, 'down');
    t.equal(lost['ul3_served_by'], ZONE2.uuid, 'zone 2 answers for its UL3');
    await passes(t, 'by zone 2, and the compute node has learnt nothing');
    startZone(ZONE1);
    await stateOf(ZONE1, 'up');
  },
);

system('a zone is cut off: it withdraws, the other takes over', async (t) => {
  t.match(await proxied(ZONE2), /3\.3\.3\.2/, 'zone 2 announces');
  await port(ZONE2, 'down');
  await stateOf(ZONE2, 'down');
  await until(
    'zone 2 to withdraw by itself',
    () => proxied(ZONE2),
    (shown) => !shown.includes(PUBLIC),
  );
  t.match(await proxied(ZONE1), /3\.3\.3\.2/, 'zone 1 announces');
  await passes(t, 'by zone 1');
  await port(ZONE2, 'up');
  const back = await stateOf(ZONE2, 'up');
  t.equal(back['ul3_served_by'], null);
  t.doesNotMatch(await proxied(ZONE2), /3\.3\.3\.2/, 'it takes nothing back');
});

system('an operator empties a zone, and deletes one', async (t) => {
  const change = (zone: Zone, action: string) =>
    call('PUT', `/nat_zones/${zone.uuid}`, { action });
  await change(ZONE1, 'drain');
  t.equal(await followRouter(), ZONE1.ul3, 'drained, it keeps its work');
  // Refused as long as the other has not acknowledged the rules.
  await until('the work to move', () => change(ZONE1, 'evacuate'), Boolean);
  t.equal(await followRouter(), ZONE2.ul3);
  await passes(t, 'by zone 2, which was given the work');
  await change(ZONE1, 'undrain');
  const remove = (zone: Zone) =>
    lab.exec('head', [
      ...['curl', '-s', '-m', '10', '-X', 'DELETE', '-w', '%{http_code}'],
      `http://10.99.99.10:${NAPI[1]}/nat_zones/${zone.uuid}`,
    ]);
  await until(
    'zone 2 to be deleted',
    () => remove(ZONE2),
    (said) => said.includes('204'),
  );
  t.equal(await followRouter(), ZONE1.ul3);
  await passes(t, 'by zone 1 again');
  t.match(await remove(ZONE1), /409/, 'the last one with work stays');
});

system('all of napi-nat dies: packets pass, a zone restarts', async (t) => {
  await lab.stop(napi[1] as LabProcess, 'SIGKILL');
  await passes(t, 'without napi-nat');
  await lab.stop(daemons.get('zone1') as LabProcess, 'SIGKILL');
  startZone(ZONE1);
  await passes(t, 'by a zone that started from its disk');
});

test('everything is taken down', { skip: !root && 'needs root' }, async (t) => {
  await lab.destroy();
  rmSync(lab.directory, { recursive: true, force: true });
  t.pass('no namespace is left');
});

process.on('SIGTERM', () => {
  void lab?.destroy().finally(() => process.exit(1));
});
