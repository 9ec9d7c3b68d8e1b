// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The zones and routers of bgp-lab.ts under the real napi-nat: a fabric and an
 * instance are made as Triton makes them, and the zones do what they are told
 * by the changefeed.
 */

import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tape';
import { until } from '#test/until.js';
import { BgpLab, ZONES, type ZoneName } from './bgp-lab.js';

const NAPI_NAT = fileURLToPath(
  new URL('../../services/napi-nat/main.js', import.meta.url),
);
const NAPI = '192.168.12.9';
const ADMIN = '00000000-0000-4000-8000-0000000000ad';
export const OWNER = '00000001-0000-4000-8000-000000000001';
const INSTANCE = '00000002-0000-4000-8000-000000000001';
const CN = '00000009-0000-4000-8000-000000000001';
const UNDERLAY = '00000000-0000-4000-8000-0000000000b1';
const EXTERNAL = '00000000-0000-4000-8000-0000000000b0';

/** How fast a zone is given up: a busy test machine needs patience. */
export interface Probe {
  interval_ms: number;
  misses: number;
}
const PATIENT: Probe = { interval_ms: 200, misses: 10 };

function network(uuid: string, base: string, from: number) {
  return {
    uuid,
    vlan: 0,
    network: `${base}.0`,
    netmask: '255.255.255.0',
    startIP: `${base}.${from}`,
    endIP: `${base}.253`,
  };
}

function napiConfig(directory: string, probe: Probe): object {
  return {
    listen: { host: NAPI, port: 8080 },
    svp: { host: NAPI, port: 1296 },
    store: { directory },
    admin_uuid: ADMIN,
    mac_oui: '90b8d0',
    overlay: {
      enabled: true,
      default_overlay_mtu: 1500,
      default_underlay_mtu: 1600,
      overlay_nic_tag: 'overlay',
      underlay_nic_tag: 'underlay',
    },
    initial_networks: {
      underlay: network(UNDERLAY, '192.168.12', 1),
      external: { ...network(EXTERNAL, '3.3.3', 2), gateway: '3.3.3.1' },
    },
    nat_reform: {
      default: true,
      policy: { sharing: 'per-owner', placement: 'spread' },
      public_network: EXTERNAL,
      probe: { vnet: 16777215, bind: NAPI, ...probe },
      heartbeat: { interval_ms: 200, misses: 10 },
    },
  };
}

export class BgpCloud extends BgpLab {
  /** The SNAT address of the fabric. */
  snat = '';
  #napi: ChildProcess | null = null;

  /**
   * Everything at work: both zones serve, the fabric is zone 1's.
   * @param probe how fast napi-nat gives a zone up
   * @param bgp laid over each zone's `bgp`
   */
  async raise(probe = PATIENT, bgp?: object): Promise<void> {
    this.build();
    await this.startFrr();
    this.startBird();
    const file = join(this.directory, 'napi.json');
    const store = join(this.directory, 'store');
    writeFileSync(file, JSON.stringify(napiConfig(store, probe)));
    const napi = [process.execPath, NAPI_NAT, '-f', file];
    this.#napi = this.spawn('ctl', napi);
    this.#napi.stdout?.resume();
    this.#napi.stderr?.resume();
    await until('napi-nat', () => this.call('GET', '/ping'));
    await this.call('POST', `/networks/${UNDERLAY}/nics`, {
      belongs_to_type: 'server',
      belongs_to_uuid: CN,
      owner_uuid: ADMIN,
      ip: '192.168.12.1',
      underlay: true,
    });
    for (const name of ['z1', 'z2'] as const) {
      const { uuid, ul3, external } = ZONES[name];
      const addresses = { ul3_ip: ul3, external_ip: external };
      await this.call('POST', '/nat_zones', { uuid, ...addresses });
      await this.startDurable(name, bgp);
      await this.zoneIs(name, 'up');
    }
    await this.#fabric();
    await this.waysAre(this.snat, 'z1');
  }

  /** A zone that also starts without napi-nat, from its disk. */
  async startDurable(zone: ZoneName, bgp?: object): Promise<void> {
    const state_directory = join(this.directory, `${zone}.state`);
    await this.startZone(zone, { state_directory }, bgp);
  }

  /** Whether a zone could start without napi-nat and reach the instance. */
  async isOnDisk(zone: ZoneName, aip: string): Promise<void> {
    const directory = join(this.directory, `${zone}.state`);
    const holds = (file: string, text: string) =>
      readFileSync(join(directory, file), 'utf8').includes(text);
    await until(
      'it is on disk',
      () => holds('remotes.json', '10.0.4.10') && holds('dataplane.json', aip),
    );
  }

  /** A fabric with an instance in it. */
  async #fabric(): Promise<void> {
    const base = `/fabrics/${OWNER}/vlans`;
    await this.call('POST', base, { vlan_id: 0, name: 'v' });
    const fabric = await this.call('POST', `${base}/0/networks`, {
      name: 'net',
      subnet: '10.0.4.0/24',
      provision_start_ip: '10.0.4.10',
      provision_end_ip: '10.0.4.250',
      gateway: '10.0.4.1',
      internet_nat: true,
    });
    const { uuid, vnet_id: vnet } = fabric as { uuid: string; vnet_id: number };
    const { mac, ip } = (await this.call('POST', '/nics', {
      owner_uuid: OWNER,
      belongs_to_uuid: INSTANCE,
      belongs_to_type: 'zone',
      network_uuid: uuid,
      cn_uuid: CN,
    })) as { mac: string; ip: string };
    const query = `/ul3_mappings?vnet_id=${vnet}&ip=10.0.4.1`;
    const [router] = (await this.call('GET', query)) as { mac: string }[];
    if (router === undefined) throw new Error('the fabric has no router');
    this.instances(vnet, mac, [ip], router.mac);
    const [first] = (await this.call('GET', '/nat_publics')) as {
      ip: string;
    }[];
    this.snat = first?.ip ?? '';
  }

  /** One request to napi-nat. @throws when it is refused */
  async call(method: string, path: string, body?: object): Promise<unknown> {
    const json = body === undefined ? [] : ['-d', JSON.stringify(body)];
    const { status, text } = this.run(
      ...(['ctl', 'curl', '-sS', '-m', '10', '--fail-with-body'] as const),
      ...['-X', method, '-H', 'content-type: application/json', ...json],
      `http://${NAPI}:8080${path}`,
    );
    if (status !== 0) throw new Error(`${method} ${path}: ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  /** Waits until napi-nat says so of a zone. */
  async zoneIs(zone: ZoneName, state: string): Promise<void> {
    const path = `/nat_zones/${ZONES[zone].uuid}`;
    await until(
      `${zone} is ${state}`,
      async () => (await this.call('GET', path)) as { state: string },
      (seen) => seen.state === state,
    );
  }

  /** An AIP for the instance, made by the API. */
  async createAip(): Promise<{ uuid: string; ip: string }> {
    const body = { owner_uuid: OWNER, instance: INSTANCE };
    return (await this.call('POST', '/aips', body)) as {
      uuid: string;
      ip: string;
    };
  }

  /** As when the power fails: no process and no link is left. */
  async powerOff(zone: ZoneName): Promise<void> {
    for (const side of ['und', 'ext']) {
      this.ip('sw', `link set ${side}-${zone} down`);
    }
    await this.endZone(zone, 'SIGKILL');
    this.killBird(zone);
  }

  killBird(zone: ZoneName): void {
    this.sh(`kill -9 $(cat ${this.birdOf(zone)}/bird.pid)`);
  }

  /** Whether the host on the Internet reaches an address. */
  reaches(ip: string): boolean {
    return this.run('inet', 'ping', '-c', '2', '-W', '3', ip).status === 0;
  }

  powerOn(zone: ZoneName): void {
    for (const side of ['und', 'ext']) {
      this.ip('sw', `link set ${side}-${zone} up`);
    }
  }

  /** Ends napi-nat as a crash would. */
  endNapi(): void {
    this.#napi?.kill('SIGKILL');
  }

  /**
   * Packets that a router or a zone had no way for, or that an engine dropped
   * because it does not serve their address, since the namespaces are there.
   */
  async homeless(): Promise<number> {
    let sum = 0;
    for (const name of ['r1', 'r2', 'z1', 'z2']) {
      const { text } = this.run(name, 'nstat', '-asz', '-j');
      const { kernel } = JSON.parse(text) as {
        kernel: Record<string, number>;
      };
      for (const counter of ['IpOutNoRoutes', 'IpExtInNoRoutes']) {
        sum += kernel[counter] ?? 0;
      }
    }
    for (const zone of ['z1', 'z2'] as const) {
      const drops = (await this.admin(zone, '/drops')) as unknown as {
        name: string;
        count: number;
      }[];
      sum += drops.find(({ name }) => name === 'UnknownPublic')?.count ?? 0;
    }
    return sum;
  }
}

/** The cloud at work, taken down with the test. */
export async function startCloud(t: Test): Promise<BgpCloud> {
  const cloud = new BgpCloud(t);
  await cloud.raise();
  return cloud;
}
