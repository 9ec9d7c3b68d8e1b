// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat behind TLS with client certificates: HTTP and the changefeed are
 * for those whose certificate its authority signed, and for nobody else.
 * Renewed files are taken while it runs.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { createSubscriber } from '#lib/changefeed/index.js';
import { systemClock } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';
import { HttpClient } from '#lib/http/client.js';
import { type TlsFiles, TlsSource } from '#lib/http/tls.js';
import { createLogger, silentLogger } from '#lib/service/log.js';
import { startHttp } from '#test/http-server.js';
import { Lines } from '#test/lines.js';
import { napiConfig } from '#test/napi-config.js';
import { startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';
import { until } from '#test/until.js';

/** Two authorities; the server and one client of the first. */
class Authority {
  readonly #directory: string;
  readonly ca: string;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.ca = join(directory, `${name}.pem`);
    this.#openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt'],
      ...['ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-keyout', `${this.ca}.key`, '-out', this.ca],
    );
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }

  /** A certificate for 127.0.0.1, and its key. */
  sign(name: string): Required<TlsFiles> {
    const [cert, key] = ['crt', 'key'].map((end) =>
      join(this.#directory, `${name}.${end}`),
    ) as [string, string];
    const extensions = join(this.#directory, 'san');
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1\n');
    this.#openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...['-nodes', '-subj', `/CN=${name}`, '-keyout', key],
      ...['-out', `${cert}.req`],
    );
    this.#openssl(
      ...['x509', '-req', '-in', `${cert}.req`, '-days', '2', '-CA', this.ca],
      ...['-CAkey', `${this.ca}.key`, '-CAcreateserial', '-out', cert],
      ...['-extfile', extensions],
    );
    return { cert, key, ca: this.ca };
  }
}

function subscriber(t: Test, url: string, files: TlsFiles) {
  const seen = { ends: 0, ids: [] as string[] };
  const log = createLogger({
    name: 'test',
    level: 'info',
    stream: {
      write: (line: string) => {
        if (/changefeed connection ended/.test(line)) seen.ends++;
        return true;
      },
    } as unknown as NodeJS.WritableStream,
  });
  const made = createSubscriber({
    url,
    tls: new TlsSource('/tls', files, silentLogger()),
    instance: files.cert ?? 'nobody',
    service: 'test',
    resources: [{ resource: 'nic_tag', subResources: ['create'] }],
    clock: systemClock(),
    random: Math.random,
    log,
    onBootstrap: async (position) => position,
    onItem: ({ id }) => void seen.ids.push(id),
  });
  made.start();
  t.teardown(() => made.stop());
  return { seen, status: () => made.status() };
}

async function refusal(client: HttpClient): Promise<unknown> {
  try {
    return (await client.get('/ping')).status;
  } catch (error) {
    return error;
  } finally {
    client.close();
  }
}

test('napi-nat takes only clients of its authority', async (t) => {
  const directory = temporaryDirectory(t);
  const ours = new Authority(directory, 'ours');
  const theirs = new Authority(directory, 'theirs');
  const server = ours.sign('server');
  const good = ours.sign('client');
  const bad = { ...theirs.sign('stranger'), ca: ours.ca };
  const listen = { host: '127.0.0.1', port: 0, tls: server };
  const { listening } = await startService(
    t,
    'napi-nat',
    { ...napiConfig(directory), listen },
    directory,
  );
  const port = listening['http']?.port;
  const url = `https://127.0.0.1:${port}`;
  const clientOf = (files: TlsFiles, to = url) =>
    new HttpClient({
      url: to,
      tls: new TlsSource('/tls', files, silentLogger()),
      timeoutMs: 5000,
      log: silentLogger(),
    });

  const client = clientOf(good);
  t.teardown(() => client.close());
  t.equal((await client.get('/ping')).status, 200);
  for (const [who, refused] of [
    ['no certificate', clientOf({ ca: ours.ca })],
    ['a certificate of another authority', clientOf(bad)],
    ['plain HTTP', clientOf({}, `http://127.0.0.1:${port}`)],
    ['a client that does not trust it', clientOf({ ...good, ca: theirs.ca })],
  ] as const) {
    const error = await refusal(refused);
    t.ok(error instanceof ServiceError && error.status === 503, who);
  }

  const welcome = subscriber(t, url, good);
  const stranger = subscriber(t, url, bad);
  await until(
    'one in, one out',
    () => welcome.status().connected && stranger.seen.ends > 1,
  );
  await client.post('/nic_tags', { body: { name: 'tag_of_this_test' } });
  await until('an event', () => welcome.seen.ids.length > 0);
  t.deepEqual(welcome.seen.ids, ['tag_of_this_test']);
  t.equal(stranger.status().connections, 0, 'a stranger never got in');
});

test('files that cannot serve are named', (t) => {
  const directory = temporaryDirectory(t);
  const authority = new Authority(directory, 'ours');
  const good = authority.sign('one');
  const other = authority.sign('two');
  const junk = join(directory, 'junk');
  writeFileSync(junk, 'not a certificate');
  for (const [files, says] of [
    [{ ...good, cert: '/nowhere' }, '/listen/tls/cert: /nowhere: ENOENT'],
    [{ ...good, ca: junk }, `/listen/tls/ca: ${junk}: is not a certificate`],
    [{ ...good, key: other.key }, `/listen/tls/key: ${other.key}: `],
  ] as const) {
    t.throws(
      () => new TlsSource('/listen/tls', files, silentLogger()),
      (error: Error) => error.message.startsWith(says),
      says,
    );
  }
  t.end();
});

/** Puts one's files in the place of another's, as a renewal does. */
function renew(place: Required<TlsFiles>, by: Required<TlsFiles>): void {
  for (const name of ['cert', 'key', 'ca'] as const) {
    copyFileSync(by[name], `${place[name]}.new`);
    renameSync(`${place[name]}.new`, place[name]);
  }
}

test('renewed files are taken without a restart, by both sides', async (t) => {
  const directory = temporaryDirectory(t);
  const first = new Authority(directory, 'first');
  const second = new Authority(directory, 'second');
  const lines = new Lines();
  const log = createLogger({ name: 'x', level: 'info', stream: lines });
  /** One's own copies of what an authority gave. */
  const placed = (name: string, by: Required<TlsFiles>) => {
    const place = {
      cert: join(directory, `${name}.cert`),
      key: join(directory, `${name}.key.pem`),
      ca: join(directory, `${name}.ca`),
    };
    renew(place, by);
    return place;
  };
  const serverFiles = placed('at-server', first.sign('s1'));
  const clientFiles = placed('at-client', first.sign('c1'));
  const theirs = { server: second.sign('s2'), client: second.sign('c2') };
  const { port } = await startHttp(
    t,
    [
      {
        method: 'GET',
        path: '/x',
        name: 'x',
        handler: () => ({ status: 204 }),
      },
    ],
    { tls: new TlsSource('/listen/tls', serverFiles, log) },
  );
  const client = new HttpClient({
    url: `https://127.0.0.1:${port}`,
    tls: new TlsSource('/napi/tls', clientFiles, log),
    timeoutMs: 5000,
  });
  t.teardown(() => client.close());
  const status = () =>
    client.get('/x').then(
      (answer) => answer.status,
      (error) => (error as ServiceError).status,
    );
  t.equal(await status(), 204);

  copyFileSync(theirs.server.cert, serverFiles.cert);
  const fresh = new HttpClient({
    url: `https://127.0.0.1:${port}`,
    tls: new TlsSource('/napi/tls', clientFiles, log),
    timeoutMs: 5000,
  });
  t.equal((await fresh.get('/x')).status, 204, 'half a renewal is not taken');
  fresh.close();
  t.ok(/"TLS files are not taken"/.test(lines.text()), 'and is logged');

  renew(serverFiles, theirs.server);
  renew(clientFiles, theirs.client);
  t.equal(await status(), 204, 'the new ones on both sides');
  t.equal(lines.text().match(/TLS files were replaced/g)?.length, 2);

  renew(clientFiles, first.sign('c3'));
  t.equal(await status(), 503, 'what came before is a stranger now');
  renew(clientFiles, theirs.client);
  t.equal(await status(), 204);
  t.notOk(/PRIVATE KEY/.test(lines.text()), 'no key is logged');
});
