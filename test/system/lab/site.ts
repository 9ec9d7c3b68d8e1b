// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A site as an operator has it, of real processes: napi-nat on the head
 * machine, zones with vxlnatd, compute nodes with the kernel's VXLAN, instances
 * of several owners, and a host on the Internet.
 *
 *   instances -- cn1, cn2 --\                            /-- inet 3.3.3.1
 *                   head ----- underlay 192.168.12.0/24 /
 *                  zone1 ----- admin    10.99.99.0/24  -- external 3.3.3.0/24
 *                  zone2 ... /
 *
 * `way` is what the wire says of an instance's connection, `due` what napi-nat
 * says of it: "zone1 3.3.3.2".
 */

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { labNapiConfig, type ReformOptions } from '#test/napi-config.js';
import { addFabric, addNic, uuidOf } from '#test/nat-world.js';
import { until } from '#test/until.js';
import type { StoreConfig } from '../../../services/napi-nat/config.js';
import { Lab } from './lab.js';
import { Napi, type ZoneView } from './napi.js';
import { Ways } from './ways.js';
import { ended } from './zone.js';

const VXLNATD = fileURLToPath(
  new URL('../../../services/vxlnatd/main.js', import.meta.url),
);
const HEAD = { admin: '10.99.99.10', underlay: '192.168.12.254', port: 8080 };
const NODES = [1, 2];
export const INTERNET = '3.3.3.1';

/** A zone of the site; the n-th is `zone<n>`, on a compute node of its own. */
export interface SiteZone {
  n: number;
  name: string;
  uuid: string;
  server: string;
  ul3: string;
  external: string;
  admin: string;
}

/** The n-th zone, from 1. */
export function zoneAt(n: number): SiteZone {
  return {
    n,
    name: `zone${n}`,
    uuid: uuidOf(7, n),
    server: uuidOf(9, 100 + n),
    ul3: `192.168.12.${n + 5}`,
    external: `3.3.3.${n + 12}`,
    admin: `10.99.99.${n + 20}`,
  };
}

/** A fabric network. */
export interface Fabric {
  uuid: string;
  owner: string;
  vnet: number;
  subnet: string;
  gateway: string;
  /** Its public IP. */
  public: string;
}

/** An instance, in a machine of its own. */
export interface Instance {
  name: string;
  uuid: string;
  fabric: Fabric;
  mac: string;
  ip: string;
}

export interface SiteOptions extends ReformOptions {
  zones: number;
  /** How zones carry packets. */
  io?: 'tun' | 'xdp';
  /** How many napi-nat there are; one unless told. */
  napis?: number;
}

/** A test that needs root. */
export function system(name: string, run: (t: Test) => Promise<void>): void {
  test(name, { skip: process.getuid?.() !== 0 && 'needs root' }, run);
}

/** A site for all tests of a file, whichever of them begins; goes with it. */
export function siteForAll(options: SiteOptions): Site {
  const directory = mkdtempSync(join(tmpdir(), 'vxlnat-site-'));
  const site = new Site(directory, options);
  const end = () => {
    site.down();
    rmSync(directory, { recursive: true, force: true });
  };
  test.onFinish(end);
  process.on('SIGTERM', () => {
    end();
    process.exit(1);
  });
  return site;
}

export class Site extends Lab {
  readonly directory: string;
  readonly zones: SiteZone[];
  /** In the order in which they were started; the zones know the last. */
  readonly napis: Napi[] = [];
  readonly #options: SiteOptions;
  readonly #daemons = new Map<string, ChildProcess>();
  #store: StoreConfig;
  #ways: Ways | null = null;
  #instances = 0;
  readonly #plugged = new Set<string>();

  /** @param directory for stores and configurations; the caller removes it */
  constructor(directory: string, options: SiteOptions) {
    super('vxs');
    this.directory = directory;
    this.#store = { directory: join(directory, 'store') };
    this.#options = options;
    this.zones = Array.from({ length: options.zones }, (_, i) => zoneAt(i + 1));
  }

  /** The napi-nat that the zones know. */
  get napi(): Napi {
    const last = this.napis.at(-1);
    if (last === undefined) throw new Error('no napi-nat was started');
    return last;
  }

  /**
   * Lays the cables and starts napi-nat; no zone yet.
   * @param store a directory of the site's own unless told
   */
  async up(store?: StoreConfig): Promise<void> {
    if (store) this.#store = store;
    this.#wires();
    const { napis = 1 } = this.#options;
    for (let n = 0; n < napis; n++) {
      this.napis.push(new Napi(this, 'head'));
      await this.#startNapi(n, this.#options);
    }
    for (const n of NODES) {
      await this.napi.addNode(uuidOf(9, n), `192.168.12.${n}`);
    }
    await this.serve('inet');
  }

  /** Starts napi-nat anew, on its store, with another policy. */
  async reform(options: ReformOptions): Promise<void> {
    await this.napi.end('SIGTERM');
    await this.#startNapi(this.napis.length - 1, options);
  }

  async #startNapi(n: number, options: ReformOptions): Promise<void> {
    const { admin: host, underlay, port } = HEAD;
    const listens = { host, port: port + n, svpPort: 1296 + n, underlay };
    const at = { store: this.#store, ...listens };
    const config = labNapiConfig(at, options);
    await this.napis[n]?.start(config, this.directory, host);
  }

  #wires(): void {
    const nodes = NODES.map((n) => `cn${n}`);
    const zones = this.zones.map(({ name }) => name);
    this.add('switch', 'head', 'inet', ...nodes, ...zones);
    for (const each of ['un', 'ex', 'ad']) {
      this.ip(
        'switch',
        `link add br-${each} type bridge forward_delay 0
        link set br-${each} up`,
      );
    }
    this.#attach('head', 'ad', `${HEAD.admin}/24`);
    this.#attach('head', 'un', `${HEAD.underlay}/24`);
    this.#attach('inet', 'ex', `${INTERNET}/24`);
    for (const n of NODES) this.#attach(`cn${n}`, 'un', `192.168.12.${n}/24`);
    const ways = new Ways(this, 'inet', 'ex0');
    for (const { name, admin, ul3, external } of this.zones) {
      this.#attach(name, 'ad', `${admin}/24`);
      this.#attach(name, 'un', `${ul3}/24`);
      this.#attach(name, 'ex', `${external}/24`);
      this.ip(name, `route add default via ${INTERNET}`);
      ways.name(this.macOf(name, 'ex'), name);
    }
    this.#ways = ways;
  }

  /** Gives a machine a card on a network of the switch: `un0`, `ex0`, `ad0`. */
  #attach(machine: string, network: string, address: string): void {
    const port = `${machine}-${network}`;
    const card = { at: machine, device: `${network}0`, address };
    this.cable(card, { at: 'switch', device: port });
    this.ip('switch', `link set ${port} master br-${network}`);
    if (this.#options.io === 'xdp') this.takesXdp('switch', port);
  }

  /** Hardware address of a machine's card. */
  macOf(machine: string, network: string): string {
    const file = `/sys/class/net/${network}0/address`;
    return this.must(machine, 'cat', file).trim();
  }

  /** Registers a zone, starts it, and waits until it is at work. */
  async join(
    zone: SiteZone,
    { weight = 1, standby = false, state = 'up' } = {},
  ): Promise<void> {
    await this.napi.must('POST', '/nat_zones', {
      uuid: zone.uuid,
      server_uuid: zone.server,
      ul3_ip: zone.ul3,
      external_ip: zone.external,
      weight,
      standby,
    });
    this.boot(zone);
    await this.napi.zoneIs(zone.uuid, state);
  }

  /** Starts a zone's daemon; one that was at work goes on from its disk. */
  boot(zone: SiteZone): void {
    const { name, uuid, ul3, external } = zone;
    const last = this.napis.length - 1;
    const file = join(this.directory, `${name}.json`);
    const config = {
      zone_uuid: uuid,
      napi: { url: `http://${HEAD.admin}:${HEAD.port + last}` },
      svp: { host: HEAD.admin, port: 1296 + last },
      underlay: { interface: 'un0', ip: ul3 },
      external: { interface: 'ex0', ip: external },
      // A zone that is killed here is dead, its fast path too.
      xdp: { pins: null },
      io: this.#options.io ?? 'tun',
      announce: 'arp',
      state_directory: join(this.directory, `${name}.state`),
      engine: { max_flows: 4096 },
    };
    writeFileSync(file, JSON.stringify(config));
    const daemon = this.spawn(name, [process.execPath, VXLNATD, '-c', file]);
    daemon.stdout?.resume();
    daemon.stderr?.resume();
    this.#daemons.set(name, daemon);
  }

  /** Kills a zone's daemon. */
  async kill(zone: SiteZone): Promise<void> {
    const daemon = this.#daemons.get(zone.name);
    if (daemon === undefined) return;
    daemon.kill('SIGKILL');
    await ended(daemon);
  }

  /** Waits until napi-nat says so of a zone. */
  is(zone: SiteZone, state: string): Promise<ZoneView> {
    return this.napi.zoneIs(zone.uuid, state);
  }

  /** An operator's action on a zone. @throws when it is refused */
  act(zone: SiteZone, action: string): Promise<unknown> {
    return this.napi.must('PUT', `/nat_zones/${zone.uuid}`, { action });
  }

  /** Pulls a machine's cables out of the switch, or puts them back. */
  plug(
    { name }: { name: string },
    state: 'up' | 'down',
    networks = ['un', 'ad'],
  ): void {
    for (const each of networks) {
      this.ip('switch', `link set ${name}-${each} ${state}`);
    }
  }

  /** Waits until a zone has acknowledged all rules. */
  async acknowledges(zone: SiteZone): Promise<void> {
    await until(
      `${zone.name} to have all rules`,
      () => this.napi.zone(zone.uuid),
      ({ state, status }) => state === 'up' && status.in_sync,
    );
  }

  /** Rules for what leaves the head machine, in place of those before. */
  rules(...rules: string[]): void {
    this.nft(
      'head',
      `table inet lab {}
      delete table inet lab
      table inet lab {
        chain leaves {
          type filter hook output priority 0;
          ${rules.join('\n')}
        }
      }`,
    );
  }

  /**
   * Has a zone hear no changes any more: its heartbeats pass, but a WebSocket's
   * text frames (their first byte is 0x81) do not.
   */
  muteFeed({ admin }: SiteZone): void {
    const feed = `tcp sport ${HEAD.port} ip daddr ${admin} @ih,0,8 0x81`;
    this.rules(`${feed} drop`);
  }

  /** A page of a zone's admin interface. */
  page<T>(zone: SiteZone, path: string): T {
    const url = `http://127.0.0.1:2960${path}`;
    return JSON.parse(this.must(zone.name, 'curl', '-sS', url)) as T;
  }

  /** A fabric network of the n-th owner. */
  async fabric(owner: number, subnet = '10.4.4.0/24'): Promise<Fabric> {
    const uuid = uuidOf(1, owner);
    const made = await addFabric(this.napi, uuid, 0, subnet);
    return {
      uuid: made.uuid,
      owner: uuid,
      vnet: made.vnet_id,
      subnet,
      gateway: made['gateway'] as string,
      public: made['nat_reform_public'] as string,
    };
  }

  /** A fabric network of the n-th owner with an instance, plugged in. */
  async tenant(owner: number, subnet?: string): Promise<Instance> {
    return this.instance(await this.fabric(owner, subnet));
  }

  /** An instance, which is told of its router as varpd would tell it. */
  async instance(fabric: Fabric): Promise<Instance> {
    const n = ++this.#instances;
    const node = this.#nodeFor(fabric.vnet);
    const name = `i${n}`;
    const uuid = uuidOf(2, n);
    const { mac, ip } = await addNic(this.napi, {
      owner: fabric.owner,
      instance: uuid,
      network: fabric.uuid,
      cn: uuidOf(9, node),
    });
    const router = await this.napi.router(fabric.vnet, fabric.gateway);
    this.add(name);
    this.plugIn({
      ...{ at: name, node: `cn${node}`, underlay: 'un0', mac },
      ...{ ul3: `192.168.12.${node}`, vnet: fabric.vnet },
      addresses: [`${ip}/24`],
      router: { ip: fabric.gateway, mac: router.mac, ul3: router.ul3_ip },
    });
    return { name, uuid, fabric, mac, ip };
  }

  /** A compute node that has no device of a vnet yet, as even as can be. */
  #nodeFor(vnet: number): number {
    const turn = this.#instances % NODES.length;
    const order = [...NODES.slice(turn), ...NODES.slice(0, turn)];
    const node = order.find((each) => !this.#plugged.has(`${vnet},${each}`));
    if (node === undefined) throw new Error(`vnet ${vnet} has no node left`);
    this.#plugged.add(`${vnet},${node}`);
    return node;
  }

  /** Its compute node hears where its router is now; gives that UL3. */
  async hear({ name, fabric }: Instance): Promise<string> {
    const at = await this.napi.router(fabric.vnet, fabric.gateway);
    const entry = [at.mac, 'dev', `vx${fabric.vnet}`, 'dst', at.ul3_ip];
    this.must(name, 'bridge', 'fdb', 'replace', ...entry);
    return at.ul3_ip;
  }

  /** Whether an instance's packets go out and come back. */
  passes({ name }: Instance): boolean {
    const ping = ['ping', '-c', '1', '-W', '1', INTERNET];
    return this.run(name, ...ping).status === 0;
  }

  /**
   * The zone and address by which an instance's connection came to the
   * Internet: all that was seen on the wire of a connection that was answered.
   */
  async way(instance: Instance): Promise<string> {
    const wanted = `packets of ${instance.name}`;
    const seen = await until<string | null>(wanted, () => {
      // First a ping: a connection begun too early is slow to give up.
      if (!this.passes(instance)) return null;
      this.#ways?.clear();
      const script = `exec 3<>/dev/tcp/${INTERNET}/7 && head -n 1 <&3`;
      const bash = ['timeout', '5', 'bash', '-c', script];
      const told = this.must(instance.name, ...bash).replace('::ffff:', '');
      const seen = this.#ways?.seen().join(', ') ?? '';
      const address = told.split(':')[0];
      return seen.endsWith(` ${address}`) ? seen : null;
    });
    return seen ?? '';
  }

  /** The zone and address by which it should. */
  async due({ fabric }: Instance): Promise<string> {
    const at = (await this.napi.publics()).get(fabric.public);
    const zone = this.zones.find(({ uuid }) => uuid === at);
    return `${zone?.name} ${fabric.public}`;
  }

  /** Asserts that instances' packets take the way that napi-nat says. */
  async follows(t: Test, all: Instance[], when: string): Promise<void> {
    for (const each of all) {
      const due = await this.due(each);
      t.equal(await this.way(each), due, `${each.name}: ${due}, ${when}`);
    }
  }
}
