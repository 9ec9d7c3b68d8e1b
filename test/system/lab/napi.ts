// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The real napi-nat in a machine of a lab, and requests to it from there. */

import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ADMIN_UUID, UNDERLAY_NETWORK } from '#test/napi-config.js';
import type { Answer, NatApi } from '#test/nat-world.js';
import { until } from '#test/until.js';
import type { NapiConfig } from '../../../services/napi-nat/config.js';
import type { Lab } from './lab.js';
import { ended } from './zone.js';

const NAPI_NAT = fileURLToPath(
  new URL('../../../services/napi-nat/main.js', import.meta.url),
);

/** A zone as `GET /nat_zones` shows it; some of the fields. */
export interface ZoneView {
  uuid: string;
  state: string;
  ul3_served_by: string | null;
  status: {
    verdict: string;
    hold_down_ms: number;
    in_sync: boolean;
    position: number;
    last_failover?: { at: string; cause: string; publics: number };
  };
}

/** Where a vnet's router is. */
export interface Router {
  mac: string;
  ul3_ip: string;
}

export class Napi implements NatApi {
  readonly #lab: Lab;
  readonly #machine: string;
  #url = '';
  #process: ChildProcess | null = null;

  /** @param machine where it runs and is asked */
  constructor(lab: Lab, machine: string) {
    this.#lab = lab;
    this.#machine = machine;
  }

  /**
   * Starts it; resolves when it answers.
   * @param directory where its configuration goes
   * @param host one of its own addresses, to ask it by
   */
  async start(
    config: NapiConfig,
    directory: string,
    host: string,
  ): Promise<void> {
    const { port } = config.listen;
    const file = join(directory, `napi-${port}.json`);
    writeFileSync(file, JSON.stringify(config));
    const command = [process.execPath, NAPI_NAT, '-f', file];
    this.#url = `http://${host}:${port}`;
    this.#process = this.#lab.spawn(this.#machine, command);
    this.#process.stdout?.resume();
    this.#process.stderr?.resume();
    await until('napi-nat', () => this.must('GET', '/ping'));
  }

  /** Ends it, by default as a crash would. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#process === null) return;
    this.#process.kill(signal);
    await ended(this.#process);
  }

  async call<T>(
    method: string,
    path: string,
    body?: object,
  ): Promise<Answer<T>> {
    const json = body === undefined ? [] : ['-d', JSON.stringify(body)];
    const { status, text } = this.#lab.run(
      ...([this.#machine, 'curl', '-sS', '-m', '10'] as const),
      ...['-w', '\n%{http_code}', '-X', method, ...json],
      ...['-H', 'content-type: application/json', `${this.#url}${path}`],
    );
    if (status !== 0) throw new Error(`${method} ${path}: ${text}`);
    const end = text.lastIndexOf('\n');
    const said = text.slice(0, end);
    return {
      status: Number(text.slice(end)),
      body: said === '' ? undefined : JSON.parse(said),
      headers: new Headers(),
    } as Answer<T>;
  }

  /** @throws when it is refused */
  async must<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await this.call<T>(method, path, body);
    if (answer.status < 300) return answer.body;
    const said = JSON.stringify(answer.body);
    throw new Error(`${method} ${path}: ${answer.status} ${said}`);
  }

  /** A compute node's underlay NIC, by which zones learn where it is. */
  async addNode(uuid: string, ul3: string): Promise<void> {
    await this.must('POST', `/networks/${UNDERLAY_NETWORK}/nics`, {
      belongs_to_type: 'server',
      belongs_to_uuid: uuid,
      owner_uuid: ADMIN_UUID,
      ip: ul3,
      underlay: true,
    });
  }

  zone(uuid: string): Promise<ZoneView> {
    return this.must('GET', `/nat_zones/${uuid}`);
  }

  /** Waits until it says so of a zone. */
  zoneIs(uuid: string, state: string): Promise<ZoneView> {
    return until(
      `zone ${uuid} to be ${state}`,
      () => this.zone(uuid),
      (seen) => seen.state === state,
    );
  }

  /** Which zone has each public IP. */
  async publics(): Promise<Map<string, string>> {
    const all = await this.must<{ ip: string; zone_uuid: string }[]>(
      'GET',
      '/nat_publics',
    );
    return new Map(all.map(({ ip, zone_uuid }) => [ip, zone_uuid]));
  }

  /** What compute nodes are told of a fabric's gateway. */
  async router(vnet: number, ip: string): Promise<Router> {
    const query = `/ul3_mappings?vnet_id=${vnet}&ip=${ip}`;
    const [found] = await this.must<Router[]>('GET', query);
    if (found === undefined) throw new Error(`vnet ${vnet} has no router`);
    return found;
  }
}
