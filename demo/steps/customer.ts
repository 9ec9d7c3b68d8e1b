// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Steps 1 to 3: SNAT for everyone, then the life of an AIP. */

import type { Client } from '../client.js';
import type { Deployment } from '../deployment.js';
import { seenAs, udpProbe, whoAnswers } from '../probes.js';
import type { Story } from '../story.js';
import { network } from '../tenants.js';
import { INSTANCES } from '../topology.js';
import { strangeSources } from '../world.js';

export interface AipView {
  id: string;
  ip: string;
  private_ip?: string;
  belongs_to_uuid?: string;
}

const instanceUuid = (name: string) =>
  INSTANCES.find((instance) => instance.name === name)?.uuid as string;

/** A customer's signed client. */
export function customer(deployment: Deployment, login: string): Client {
  return deployment.customers.get(login)?.cloudapi as Client;
}

/** 1: three customers, two of them with the same private addresses. */
export async function snat(d: Deployment, story: Story): Promise<void> {
  const fabricOf = {
    web: 'alice-web',
    db: 'alice-db',
    app: 'bob-app',
    batch: 'bob-batch',
    carol: 'carol-db',
  };
  story.tell('Five instances of three customers fetch at the same time.');
  story.tell("db and carol both have 10.5.5.10: one in alice's vnet, one in");
  story.tell("carol's. Only the vnet tells their packets apart.");
  const names = Object.keys(fabricOf) as (keyof typeof fabricOf)[];
  const seen = await Promise.all(names.map((name) => seenAs(d, name)));
  names.forEach((name, i) => {
    const expected = network(d, fabricOf[name]).nat_reform_public;
    story.check(
      seen[i] === expected,
      `${name} was seen as ${seen[i]}, the public IP of ${fabricOf[name]}`,
      `expected ${expected}`,
    );
  });
  story.check(
    new Set([seen[0], seen[2], seen[4]]).size === 3,
    'the three customers left by three different public IPs',
  );
  await nothingPrivate(d, story);
}

/** Checks that no packet of a private source has left any zone so far. */
export async function nothingPrivate(
  d: Deployment,
  story: Story,
): Promise<void> {
  const strange = await strangeSources(d.lab);
  story.check(
    strange === 0,
    'no packet from a private address ever reached the upstream router',
    `${strange} did`,
  );
}

/** 2: a signed CreateAIP; in by it, out by it. */
export async function createAip(d: Deployment, story: Story): Promise<AipView> {
  const alice = customer(d, 'alice');
  const probe = udpProbe(d, '-', 'first', 10_000);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const start = Date.now();
  const aip = await alice.must<AipView>('POST', '/my/aips', {
    instance: instanceUuid('web2'),
    description: 'front door',
  });
  probe.write(aip.ip);
  const { first_at } = await probe.result;
  story.check(first_at !== null, `alice created AIP ${aip.ip} for web2`);
  story.figure('aip_create_to_packet_ms', (first_at as number) - start);
  story.tell(`first echo ${(first_at as number) - start} ms after the request`);
  const answered = await whoAnswers(d, aip.ip);
  story.check(
    answered === 'web2',
    `the Internet host reaches web2 on ${aip.ip}`,
    `${answered}`,
  );
  const seen = await seenAs(d, 'web2');
  story.check(seen === aip.ip, `web2 now leaves by ${seen}`);
  const others = await seenAs(d, 'web');
  story.check(
    others === network(d, 'alice-web').nat_reform_public,
    `web, on the same network, still leaves by ${others}`,
  );
  return aip;
}

type Call = [method: string, path: string, body?: object];

/** Checks that a call is refused with a status and code, and says so. */
async function refused(
  story: Story,
  client: Client,
  [method, path, body]: Call,
  expected: [status: number, code: string],
  statement: string,
): Promise<void> {
  const answer = await client.call(method, path, body);
  story.check(
    answer.status === expected[0] && answer.body['code'] === expected[1],
    `${statement}: ${expected.join(' ')}`,
    JSON.stringify(answer.body),
  );
}

const IN_USE: [number, string] = [409, 'AIPInUse'];
const NOT_FOUND: [number, string] = [404, 'ResourceNotFound'];

/** The errors that a customer meets. */
async function refusals(d: Deployment, story: Story, id: string) {
  const alice = customer(d, 'alice');
  const path = `/my/aips/${id}`;
  const unknown = `/my/aips/${id.replace(/^.{8}/, '00000000')}`;
  const web = { instance: instanceUuid('web') };
  const foreign = { instance: instanceUuid('app') };
  const cases: [Client, Call, [number, string], string][] = [
    [
      alice,
      ['PUT', path, web],
      IN_USE,
      'moving an assigned AIP without remap is refused',
    ],
    [alice, ['DELETE', path], IN_USE, 'so is deleting it'],
    [alice, ['GET', unknown], NOT_FOUND, 'an unknown AIP is not found'],
    [
      customer(d, 'bob'),
      ['GET', path],
      NOT_FOUND,
      "bob cannot see alice's AIP",
    ],
    [
      alice,
      ['POST', '/my/aips', foreign],
      NOT_FOUND,
      "alice cannot point one at bob's instance",
    ],
  ];
  for (const [client, call, expected, statement] of cases) {
    await refused(story, client, call, expected, statement);
  }
}

/** 3: the errors a user meets, remap, detach, delete. */
export async function moveAip(
  d: Deployment,
  story: Story,
  aip: AipView,
): Promise<void> {
  await refusals(d, story, aip.id);
  const alice = customer(d, 'alice');
  const path = `/my/aips/${aip.id}`;
  await alice.must('PUT', path, {
    instance: instanceUuid('web'),
    remap: true,
  });
  const now = await whoAnswers(d, aip.ip);
  story.check(now === 'web', `remapped: ${aip.ip} now reaches web`, `${now}`);
  await alice.must('POST', `${path}?detach=true`);
  const silent = await whoAnswers(d, aip.ip, 500);
  story.check(silent === null, `detached: nobody answers on ${aip.ip}`);
  const kept = await alice.must<AipView>('GET', path);
  story.check(
    kept.ip === aip.ip && kept.belongs_to_uuid === undefined,
    "the address is still alice's",
  );
  await alice.must('DELETE', path);
  await refused(story, alice, ['GET', path], NOT_FOUND, 'deleted: it is gone');
}
