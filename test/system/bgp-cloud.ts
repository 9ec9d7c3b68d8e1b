// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The zones and routers of bgp-lab.ts under the real napi-nat: a fabric and an
 * instance are made as Triton makes them, and the zones do what they are told
 * by the changefeed.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tape';
import { labNapiConfig, type ReformOptions } from '#test/napi-config.js';
import { addFabric, addNic, uuidOf } from '#test/nat-world.js';
import { until } from '#test/until.js';
import { BgpLab, ZONES, type ZoneName } from './bgp-lab.js';
import { Napi } from './lab/napi.js';

const HEAD = '192.168.12.9';
const OWNER = uuidOf(1, 1);
const INSTANCE = uuidOf(2, 1);
const CN = uuidOf(9, 1);

type Probe = NonNullable<ReformOptions['probe']>;
const PATIENT: Probe = { interval_ms: 200, misses: 10 };

export class BgpCloud extends BgpLab {
  /** The SNAT address of the fabric. */
  snat = '';
  readonly #napi = new Napi(this, 'ctl');

  /**
   * Everything at work: both zones serve, the fabric is zone 1's.
   * @param probe how fast napi-nat gives a zone up
   * @param bgp laid over each zone's `bgp`
   */
  async raise(probe = PATIENT, bgp?: object): Promise<void> {
    this.build();
    await this.startFrr();
    this.startBird();
    const config = labNapiConfig(
      {
        store: { directory: join(this.directory, 'store') },
        ...{ host: HEAD, port: 8080, svpPort: 1296, underlay: HEAD },
      },
      { probe },
    );
    await this.#napi.start(config, this.directory, HEAD);
    await this.#napi.addNode(CN, '192.168.12.1');
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
    const fabric = await addFabric(this.#napi, OWNER, 0, '10.0.4.0/24');
    const { vnet_id: vnet, uuid: network } = fabric;
    const { mac, ip } = await addNic(this.#napi, {
      ...{ owner: OWNER, instance: INSTANCE, network, cn: CN },
      ip: '10.0.4.10',
    });
    const router = await this.#napi.router(vnet, '10.0.4.1');
    this.instances(vnet, mac, [ip], router.mac);
    this.snat = fabric['nat_reform_public'] as string;
  }

  /** One request to napi-nat. @throws when it is refused */
  call<T>(method: string, path: string, body?: object): Promise<T> {
    return this.#napi.must(method, path, body);
  }

  /** Waits until napi-nat says so of a zone. */
  async zoneIs(zone: ZoneName, state: string): Promise<void> {
    await this.#napi.zoneIs(ZONES[zone].uuid, state);
  }

  /** An AIP for the instance, made by the API. */
  createAip(): Promise<{ uuid: string; ip: string }> {
    const body = { owner_uuid: OWNER, instance: INSTANCE };
    return this.call('POST', '/aips', body);
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
  endNapi(): Promise<void> {
    return this.#napi.end();
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
