// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The stock clients of CloudAPI against cloudapi-aip and napi-nat as real
 * processes: the triton CLI, the smartdc library, and requests signed as
 * triton-go signs them. What would break: any header, status or body that one
 * of them cannot take.
 */

import { execFile } from 'node:child_process';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sshpk from 'sshpk';
import test, { type Test } from 'tape';
import { HttpClient } from '#lib/http/client.js';
import { ADMIN_UUID, napiConfig } from '#test/napi-config.js';
import { startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';

const run = promisify(execFile);
const require = createRequire(import.meta.url);

const ALICE = '11111111-0000-4000-8000-000000000001';
const INSTANCE = '22222222-0000-4000-8000-000000000001';
const NODE = '33333333-0000-4000-8000-000000000001';
const ROLE = '44444444-0000-4000-8000-000000000001';

interface Key {
  pem: string;
  publicPem: string;
  fingerprint: string;
  sha256: string;
}

function keyPair(type: 'rsa' | 'ec' | 'ed25519') {
  if (type === 'rsa') return generateKeyPairSync(type, { modulusLength: 2048 });
  if (type === 'ec') return generateKeyPairSync(type, { namedCurve: 'P-256' });
  return generateKeyPairSync('ed25519');
}

/** A key pair, also in the test's ~/.ssh where the triton CLI looks. */
function makeKey(
  directory: string,
  type: 'rsa' | 'ec' | 'ed25519',
  name: string,
): Key {
  const pair = keyPair(type);
  const pem = String(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const key = sshpk.parsePrivateKey(pem, 'pem');
  const ssh = join(directory, '.ssh');
  mkdirSync(ssh, { recursive: true });
  const format = type === 'ed25519' ? 'ssh-private' : 'pem';
  writeFileSync(join(ssh, name), key.toString(format), { mode: 0o600 });
  writeFileSync(join(ssh, `${name}.pub`), key.toPublic().toString('ssh'));
  return {
    pem,
    publicPem: String(pair.publicKey.export({ type: 'spki', format: 'pem' })),
    fingerprint: key.fingerprint('md5').toString('hex'),
    sha256: key.fingerprint('sha256').toString(),
  };
}

/** A fabric on NAT Reform with one instance of alice on it. */
async function fillNapi(napi: HttpClient): Promise<void> {
  await napi.post('/nat_zones', {
    body: { ul3_ip: '192.168.12.6', external_ip: '3.3.3.100' },
  });
  const fabrics = `/fabrics/${ALICE}/vlans`;
  await napi.post(fabrics, { body: { vlan_id: 2, name: 'default' } });
  const network = await napi.post<{ uuid: string }>(`${fabrics}/2/networks`, {
    body: {
      name: 'web',
      subnet: '10.4.4.0/22',
      gateway: '10.4.4.1',
      provision_start_ip: '10.4.4.2',
      provision_end_ip: '10.4.7.250',
      internet_nat: true,
    },
  });
  await napi.post(`/networks/${network.body.uuid}/nics`, {
    body: {
      belongs_to_type: 'zone',
      belongs_to_uuid: INSTANCE,
      owner_uuid: ALICE,
      cn_uuid: NODE,
      primary: true,
    },
  });
}

function keysOf(...keys: Key[]): Record<string, string> {
  return Object.fromEntries(
    keys.map((key) => [key.fingerprint, key.publicPem]),
  );
}

/** A sub-user of alice, holding her role `administrator` or none. */
function subUser(login: string, digit: number, key: Key, roles: string[]) {
  return {
    account: { uuid: ALICE, login: 'alice', keys: {} },
    roles: { [ROLE]: { uuid: ROLE, name: 'administrator', account: ALICE } },
    user: {
      uuid: `55555555-0000-4000-8000-00000000000${digit}`,
      login,
      account: ALICE,
      keys: keysOf(key),
      roles,
      defaultRoles: roles,
    },
  };
}

type Deployed = Awaited<ReturnType<typeof deploy>>;

async function deploy(t: Test) {
  const directory = temporaryDirectory(t);
  const rsa = makeKey(directory, 'rsa', 'id_rsa');
  const ecdsa = makeKey(directory, 'ec', 'id_ecdsa');
  const ed25519 = makeKey(directory, 'ed25519', 'id_ed25519');
  const operator = makeKey(directory, 'ec', 'id_operator');
  const accounts = join(directory, 'accounts.json');
  writeFileSync(
    accounts,
    JSON.stringify([
      {
        roles: {},
        account: {
          type: 'account',
          uuid: ALICE,
          login: 'alice',
          keys: keysOf(rsa, ecdsa),
        },
      },
      subUser('deputy', 1, ed25519, [ROLE]),
      subUser('guest', 2, ed25519, []),
      {
        roles: {},
        account: {
          uuid: ADMIN_UUID,
          login: 'admin',
          isOperator: true,
          keys: keysOf(operator),
        },
      },
    ]),
  );
  const napi = await startService(
    t,
    'napi-nat',
    napiConfig(directory),
    directory,
  );
  const client = new HttpClient({ url: napi.url, timeoutMs: 5000 });
  t.teardown(() => client.close());
  await fillNapi(client);
  const cloudapi = await startService(
    t,
    'cloudapi-aip',
    {
      listen: { host: '127.0.0.1', port: 0 },
      napi_nat: { url: napi.url },
      accounts: { file: accounts },
    },
    directory,
  );
  return { directory, rsa, ecdsa, ed25519, operator, url: cloudapi.url };
}

/** Runs `triton cloudapi`; what it prints. */
async function runTriton(
  deployed: { directory: string; url: string },
  profile: Record<string, string>,
  args: string[],
): Promise<string> {
  const bin = require.resolve('triton/bin/triton');
  const { stdout } = await run(process.execPath, [bin, 'cloudapi', ...args], {
    env: {
      PATH: process.env['PATH'],
      HOME: deployed.directory,
      TRITON_URL: deployed.url,
      TRITON_ACCOUNT: 'alice',
      ...profile,
    },
  });
  return stdout.trim();
}

function stderrOf(error: { stderr: string }): string {
  return error.stderr;
}

async function cliWorks(t: Test, deployed: Deployed) {
  const { rsa, ecdsa } = deployed;
  const triton = (key: Key, ...args: string[]) =>
    runTriton(deployed, { TRITON_KEY_ID: key.fingerprint }, args);
  t.deepEqual(JSON.parse(await triton(rsa, '/my/aips')), []);
  const made = JSON.parse(
    await triton(
      rsa,
      ...['-X', 'POST', '/my/aips'],
      ...['-d', JSON.stringify({ instance: INSTANCE, tags: { a: 1 } })],
    ),
  );
  t.equal(made.belongs_to_uuid, INSTANCE, 'created and assigned');
  t.equal(made['private-ip'], made.private_ip, 'both spellings');
  const path = `/alice/aips/${made.id}`;
  t.deepEqual(JSON.parse(await triton(ecdsa, path)), made, 'an ECDSA key too');
  const refused = await triton(rsa, '-X', 'DELETE', path).catch(stderrOf);
  t.match(refused, /AIPInUse/, 'deleting an assigned AIP is explained');
  const updated = JSON.parse(
    await triton(
      rsa,
      ...['-X', 'PUT', path],
      ...['-d', JSON.stringify({ description: 'mail' })],
    ),
  );
  t.equal(updated.description, 'mail');
  await triton(rsa, '-X', 'POST', `${path}?detach=true`, '-d', '{}');
  t.notOk(JSON.parse(await triton(rsa, path)).belongs_to_uuid, 'detached');
  await triton(rsa, '-X', 'DELETE', path);
  const gone = await triton(rsa, path).catch(stderrOf);
  t.match(gone, /ResourceNotFound/, 'gone');
}

async function cliSigns(t: Test, deployed: Deployed) {
  const { ecdsa, ed25519, operator } = deployed;
  const owner = { TRITON_KEY_ID: ecdsa.sha256 };
  const made = JSON.parse(
    await runTriton(deployed, owner, ['-X', 'POST', '/my/aips', '-d', '{}']),
  );
  const path = `/alice/aips/${made.id}`;
  const user = (login: string) => ({
    TRITON_USER: login,
    TRITON_KEY_ID: ed25519.fingerprint,
  });
  t.deepEqual(
    JSON.parse(await runTriton(deployed, user('deputy'), [path])),
    made,
    'an administrator, with an Ed25519 key',
  );
  t.match(
    await runTriton(deployed, user('guest'), [path]).catch(stderrOf),
    /NotAuthorized/,
    'a sub-user without the role',
  );
  t.match(
    await runTriton(deployed, user('deputy'), ['/admin/aips']).catch(stderrOf),
    /NotAuthorized/,
    "another account's path",
  );
  const asAdmin = {
    TRITON_ACCOUNT: 'admin',
    TRITON_KEY_ID: operator.fingerprint,
  };
  t.deepEqual(JSON.parse(await runTriton(deployed, asAdmin, [path])), made);
  t.deepEqual(
    JSON.parse(await runTriton(deployed, asAdmin, ['/my/aips'])),
    [],
    "an operator's own",
  );
}

async function smartdcWorks(t: Test, deployed: Deployed) {
  const { rsa, url } = deployed;
  const smartdc = require('smartdc');
  const client = smartdc.createClient({
    url,
    account: 'alice',
    version: '~7.2',
    noCache: true,
    sign: smartdc.privateKeySigner({
      user: 'alice',
      keyId: rsa.fingerprint,
      key: rsa.pem,
    }),
    log: require('bunyan').createLogger({ name: 'quiet', streams: [] }),
  });
  type Callback = (error: Error | null, body: unknown) => void;
  const call = (verb: '_get' | '_post', path: string, body: object | null) =>
    new Promise<unknown>((resolve, reject) => {
      client._request(path, body, (request: object) => {
        const done: Callback = (error, answer) =>
          error ? reject(error) : resolve(answer);
        client[verb](request, done, true);
      });
    });
  t.deepEqual(await call('_get', '/my/aips', null), []);
  const made = (await call('_post', '/my/aips', {
    description: 'spare',
  })) as { id: string };
  t.equal(((await call('_get', '/my/aips', null)) as unknown[]).length, 1);
  t.ok(made.id, 'created without an instance');
  const wrong = (await call('_get', '/my/aips/nope', null).catch(
    (error: unknown) => error,
  )) as { restCode?: string; name: string };
  t.equal(wrong.restCode ?? wrong.name, 'ResourceNotFound');
}

async function goIsTaken(t: Test, deployed: Deployed) {
  const { rsa, url } = deployed;
  const date = new Date().toUTCString().replace('GMT', 'UTC');
  const signature = createSign('RSA-SHA512')
    .update(`date: ${date}`)
    .sign(rsa.pem, 'base64');
  const answer = await fetch(`${url}/alice/aips`, {
    headers: {
      date,
      'accept-version': '8',
      authorization:
        `Signature keyId="/alice/keys/${rsa.fingerprint}",` +
        `algorithm="rsa-sha512",headers="date",signature="${signature}"`,
    },
  });
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('api-version'), '9.0.0');
  t.equal(answer.headers.get('x-resource-count'), '0');
  t.deepEqual(await answer.json(), []);
  const unsigned = await fetch(`${url}/alice/aips`);
  t.equal(unsigned.status, 401);
  const { code } = (await unsigned.json()) as { code: string };
  t.equal(code, 'InvalidCredentials');
}

test('the stock clients of CloudAPI', async (t) => {
  const deployed = await deploy(t);
  // Those that count AIPs come before those that leave some.
  const parts: [string, typeof cliWorks][] = [
    ['the triton CLI lists, creates, moves, detaches and deletes', cliWorks],
    ['requests signed as triton-go signs them are taken', goIsTaken],
    ['the smartdc library reads and creates', smartdcWorks],
    ['the triton CLI signs for sub-users and operators', cliSigns],
  ];
  for (const [what, part] of parts) {
    await t.test(what, (st) => part(st, deployed));
  }
});
