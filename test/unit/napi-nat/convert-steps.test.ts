// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A conversion is canceled, or whoever leads dies, at any step, and the fabric
 * is left with a router that is not there. Each turn is a process of its own,
 * on one store; after each of them all that must always hold is looked at.
 */

import { randomUUID } from 'node:crypto';
import test, { type Test } from 'tape';
import { ServiceError } from '#lib/errors.js';
import { formatIpv4, type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import type { Store } from '#lib/store/types.js';
import { manualClock } from '#test/manual-clock.js';
import { natStore, putZone } from '#test/nat-store.js';
import { commit, merge } from '../../../services/napi-nat/commit.js';
import type { NapiContext } from '../../../services/napi-nat/context.js';
import {
  beginConversion,
  cancelJob,
  getJob,
} from '../../../services/napi-nat/nat-reform/convert/begin.js';
import {
  isActive,
  type JobRecord,
  STEPS,
} from '../../../services/napi-nat/nat-reform/convert/record.js';
import { ConversionRunner } from '../../../services/napi-nat/nat-reform/convert/runner.js';
import { getNetwork } from '../../../services/napi-nat/network/read.js';
import {
  NETWORK_BUCKET,
  type NetworkRecord,
} from '../../../services/napi-nat/network/record.js';
import { NIC_BUCKET } from '../../../services/napi-nat/nic/record.js';
import { PUBLIC_BUCKET } from '../../../services/napi-nat/public/record.js';
import { readLog, removeLog } from '../../../services/napi-nat/ul3/log.js';
import { lookUpVl3 } from '../../../services/napi-nat/ul3/lookup.js';
import {
  overlayChanges,
  underlayChanges,
} from '../../../services/napi-nat/ul3/rows.js';

const [VNET, OWNER] = [7, randomUUID()];
const [CN, OLD_CN, OLD_ZONE] = [randomUUID(), randomUUID(), randomUUID()];
const OLD_AT = '192.168.12.2';
const ip = (text: string) => parseIpv4(text) as Ipv4;
const NODES = ['192.168.12.1', OLD_AT].map(ip);
const TURN_MS = 250;

/** The process dies at its n-th write from now: before it, or after. */
interface Death {
  write: number;
  when: 'before' | 'after';
}

class Legacy {
  readonly clock = manualClock();
  /** The zones that have not acknowledged the rule. */
  lagging: string[] = [];
  acknowledged = false;
  /** What SAPI answers next; 204 when none is left. */
  answers: number[] = [];
  deleted = 0;
  death: Death | null = null;
  uuid = '';
  readonly ctx: NapiContext;
  readonly network: NetworkRecord;
  readonly #t: Test;
  /** For whoever does not die with the process. */
  readonly #store: Store;

  constructor(t: Test, ctx: NapiContext, network: NetworkRecord) {
    this.#t = t;
    this.network = network;
    this.#store = ctx.store;
    this.ctx = { ...ctx, clock: this.clock, store: this.#mortal(ctx.store) };
  }

  #mortal(store: Store): Store {
    const batch: Store['batch'] = async (...args) => {
      const { death } = this;
      const dies = death !== null && --death.write === 0;
      if (dies && death.when === 'before') throw new Error('killed');
      const done = await store.batch(...args);
      if (dies) throw new Error('killed');
      return done;
    };
    return new Proxy(store, {
      get: (target, key) =>
        key === 'batch' ? batch : Reflect.get(target, key, target),
    });
  }

  async ask(): Promise<void> {
    const { ctx } = this;
    this.uuid = await commit(ctx, async () => {
      const stored = await getNetwork(ctx, this.network.uuid);
      const { network, changes } = beginConversion(ctx, stored.value);
      const row = { bucket: NETWORK_BUCKET, key: stored.key, value: network };
      const own = { requests: [row], events: [] };
      const result = network.nat_reform_job as string;
      return { changes: merge(own, changes), result };
    });
  }

  async job(): Promise<JobRecord> {
    return (await getJob(this.ctx, this.uuid)).value;
  }

  /** A new process leads for one turn. */
  async turn(ms = TURN_MS): Promise<JobRecord> {
    const { ctx, clock } = this;
    const runner = new ConversionRunner({
      ctx,
      clock,
      leads: () => true,
      waiting: () => {
        if (this.lagging.length === 0) this.acknowledged = true;
        return this.lagging;
      },
      sapi: { del: async () => this.#delete() as never },
    });
    runner.start();
    clock.advance(ms);
    await runner.stop();
    await this.holds();
    return this.job();
  }

  #delete(): void {
    const status = this.answers.shift() ?? (this.deleted > 0 ? 404 : 204);
    if (status === 204) this.deleted += 1;
    else throw new ServiceError(status, { code: 'X', message: 'said no' });
  }

  /** Compute nodes act on their shootdowns. */
  async settle(): Promise<void> {
    for (const node of NODES) {
      const records = await readLog(this.#store, node, 65536);
      await removeLog(
        this.#store,
        (records ?? []).map(({ id }) => id),
      );
    }
  }

  /** Turns, with nobody in the way, until the job is at a step or over. */
  async until(step?: JobRecord['step']): Promise<JobRecord> {
    let job = await this.job();
    for (let i = 0; isActive(job) && job.step !== step; i++) {
      if (i === 40) throw new Error(`it stays at ${job.step}`);
      if (job.step === 'settle') await this.settle();
      job = await this.turn(6000);
    }
    return job;
  }

  /** Where the default router is. */
  async router(): Promise<string> {
    const at = await lookUpVl3(this.ctx.store, VNET, ip('10.4.4.1'));
    if (at?.mac !== 0x90b8d0000099) this.#t.fail(`router MAC ${at?.mac}`);
    return at === null ? 'nowhere' : formatIpv4(at.ip);
  }

  /** What must hold at any moment. */
  async holds(): Promise<void> {
    const t = this.#t;
    const router = await this.router();
    const { value } = await getNetwork(this.ctx, this.network.uuid);
    const switched = router !== OLD_AT;
    const isPublic = value.nat_reform_public !== undefined;
    if (isPublic !== switched) t.fail(`router at ${router}, ${isPublic}`);
    if (switched && !this.acknowledged) t.fail('switched to who knows nothing');
    if (this.deleted > 0 && !switched) t.fail('its router is deleted');
    if (value.gateway_provisioned !== true) t.fail('VMAPI would make a zone');
  }

  /** All is as if nobody had asked. */
  async untouched(): Promise<void> {
    const t = this.#t;
    const { value } = await getNetwork(this.ctx, this.network.uuid);
    t.deepEqual(value, this.network, 'the network is as it was');
    t.equal(await this.router(), OLD_AT, 'the old NAT zone serves');
    t.equal(this.deleted, 0, 'and is there');
    const all = await this.ctx.store.findObjects(PUBLIC_BUCKET, '(ip=*)');
    t.deepEqual(all.objects, [], 'no public IP is taken');
  }
}

/** A fabric with an instance, its own NAT zone, and two NAT Reform zones. */
async function legacy(t: Test): Promise<Legacy> {
  const ctx = await natStore(t);
  await putZone(ctx, 6);
  await putZone(ctx, 7);
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    '(name=*)',
  );
  const uuid = randomUUID();
  const network: NetworkRecord = {
    ...(objects[0]?.value as NetworkRecord),
    uuid,
    name: 'legacy',
    name_str: `${OWNER}:legacy`,
    subnet: '10.4.4.0/24',
    subnet_start: '10.4.4.0',
    provision_start_ip: '10.4.4.2',
    provision_end_ip: '10.4.4.250',
    fabric: true,
    vnet_id: VNET,
    owner_uuids: [OWNER],
    gateway: '10.4.4.1',
    gateway_provisioned: true,
  };
  await ctx.store.putObject(NETWORK_BUCKET, uuid, network);
  const nic = (vm: string, mac: number, ipaddr: string, cn: string) => ({
    mac,
    ipaddr,
    belongs_to_type: vm === cn ? 'server' : 'zone',
    belongs_to_uuid: vm,
    cn_uuid: cn,
    underlay: vm === cn,
  });
  const write = async (each: Awaited<ReturnType<typeof overlayChanges>>) =>
    ctx.store.batch(each.requests, each.events);
  for (const [n, cn] of [CN, OLD_CN].entries()) {
    const after = nic(cn, n + 1, `192.168.12.${n + 1}`, cn);
    await write(await underlayChanges(ctx, { before: null, after }));
  }
  for (const after of [
    nic(randomUUID(), 0x90b8d0000011, '10.4.4.10', CN),
    nic(OLD_ZONE, 0x90b8d0000099, '10.4.4.1', OLD_CN),
  ]) {
    const key = String(after.mac);
    const row = { ...after, network_uuid: uuid, owner_uuid: OWNER, v: 3 };
    await ctx.store.putObject(NIC_BUCKET, key, row);
    await write(await overlayChanges(ctx, { before: null, after, network }));
  }
  const it = new Legacy(t, ctx, network);
  await it.settle();
  return it;
}

for (const step of STEPS) {
  test(`canceled at ${step}: the old NAT zone serves on`, async (t) => {
    const it = await legacy(t);
    await it.ask();
    t.equal((await it.until(step)).step, step);
    await cancelJob(it.ctx, it.uuid);
    const job = await it.turn();
    t.equal(job.execution, 'canceled');
    await it.untouched();
    await it.ask();
    const again = await it.until();
    t.equal(again.execution, 'succeeded', 'it can be asked for again');
    t.equal(it.deleted, 1);
  });
}

/** What a conversion writes when nothing goes wrong, step by step. */
const WRITES = [...STEPS.slice(0, -1), 'retire', 'finish'] as const;

for (const [n, step] of WRITES.entries()) {
  for (const when of ['before', 'after'] as const) {
    test(`killed ${when} the write of ${step}: the job goes on`, async (t) => {
      const it = await legacy(t);
      await it.ask();
      it.death = { write: n + 1, when };
      const job = await it.until();
      t.ok(it.death.write <= 0, 'it was killed');
      t.equal(job.execution, 'succeeded', JSON.stringify(job.log));
      t.equal(await it.router(), '192.168.12.6', 'a zone is the router');
      t.equal(it.deleted, 1, 'the old NAT zone is deleted once');
    });
  }
}

for (const when of ['before', 'after'] as const) {
  test(`killed ${when} the write that undoes it: it is undone`, async (t) => {
    const it = await legacy(t);
    await it.ask();
    await it.until('settle');
    await cancelJob(it.ctx, it.uuid);
    it.death = { write: 1, when };
    t.equal((await it.until()).execution, 'canceled');
    await it.untouched();
  });
}

test('zones that lag hold the switch, nodes that lag the retirement', async (t) => {
  const it = await legacy(t);
  await it.ask();
  it.lagging = ['zone'];
  await it.until('sync');
  for (let i = 0; i < 20; i++) t.equal((await it.turn(6000)).step, 'sync');
  it.lagging = [];
  await it.until('settle');
  for (let i = 0; i < 4; i++) t.equal((await it.turn(6000)).step, 'settle');
  t.equal(it.deleted, 0);
  await it.turn(6000);
  const job = await it.until();
  t.equal(job.execution, 'succeeded', 'after 30 s a dead node is left behind');
  const { objects } = await it.ctx.store.findObjects(
    'portolan_cn_net_events',
    `(vnet_id=${VNET})`,
  );
  t.ok(objects.length > 0, 'its shootdowns wait for it');
});

test('while SAPI may be deleting the old NAT zone nothing leads back', async (t) => {
  const it = await legacy(t);
  await it.ask();
  it.answers = [503];
  await it.until('retire');
  await it.turn();
  await cancelJob(it.ctx, it.uuid);
  const job = await it.turn();
  t.equal(job.execution, 'succeeded');
  t.match(job.log.at(-1)?.message ?? '', /^not undone: SAPI has been asked/);
  t.equal(await it.router(), '192.168.12.6');
});

test('a refusal of what SAPI may have begun leaves the conversion', async (t) => {
  const it = await legacy(t);
  await it.ask();
  it.answers = [500, 409];
  const job = await it.until();
  t.equal(job.execution, 'succeeded');
  t.match(job.log.at(-1)?.message ?? '', /refuses to delete .*: see to it/);
  t.equal(await it.router(), '192.168.12.6');
});

test('refused at once, the old NAT zone serves again', async (t) => {
  const it = await legacy(t);
  await it.ask();
  it.answers = [409];
  t.equal((await it.until()).execution, 'failed');
  await it.untouched();
});
