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

interface Key {
  pem: string;
  publicPem: string;
  fingerprint: string;
}

function makeKey(directory: string, type: 'rsa' | 'ec', name: string): Key {
  const encodings = {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  } as const;
  const pair =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048, ...encodings })
      : generateKeyPairSync('ec', { namedCurve: 'P-256', ...encodings });
  const pem = String(pair.privateKey);
  const key = sshpk.parsePrivateKey(pem, 'pem');
  const ssh = join(directory, '.ssh');
  mkdirSync(ssh, { recursive: true });
  writeFileSync(join(ssh, name), key.toString('pem'), { mode: 0o600 });
  writeFileSync(join(ssh, `${name}.pub`), key.toPublic().toString('ssh'));
  return {
    pem,
    publicPem: String(pair.publicKey),
    fingerprint: key.fingerprint('md5').toString('hex'),
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

async function deploy(t: Test) {
  const directory = temporaryDirectory(t);
  const rsa = makeKey(directory, 'rsa', 'id_rsa');
  const ecdsa = makeKey(directory, 'ec', 'id_ecdsa');
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
          keys: Object.fromEntries(
            [rsa, ecdsa].map((key) => [key.fingerprint, key.publicPem]),
          ),
        },
      },
      { roles: {}, account: { uuid: ADMIN_UUID, login: 'admin', keys: {} } },
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
  return { directory, rsa, ecdsa, url: cloudapi.url };
}

test('the triton CLI lists, creates, moves, detaches and deletes', async (t) => {
  const { directory, rsa, ecdsa, url } = await deploy(t);
  const triton = async (key: Key, ...args: string[]) => {
    const bin = require.resolve('triton/bin/triton');
    const { stdout } = await run(process.execPath, [bin, 'cloudapi', ...args], {
      env: {
        PATH: process.env['PATH'],
        HOME: directory,
        TRITON_URL: url,
        TRITON_ACCOUNT: 'alice',
        TRITON_KEY_ID: key.fingerprint,
      },
    });
    return stdout.trim();
  };
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
  const refused = await triton(rsa, '-X', 'DELETE', path).catch(
    (error: { stderr: string }) => error.stderr,
  );
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
  const gone = await triton(rsa, path).catch(
    (error: { stderr: string }) => error.stderr,
  );
  t.match(gone, /ResourceNotFound/, 'gone');
});

test('the smartdc library reads and creates', async (t) => {
  const { rsa, url } = await deploy(t);
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
});

test('requests signed as triton-go signs them are taken', async (t) => {
  const { rsa, url } = await deploy(t);
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
});
