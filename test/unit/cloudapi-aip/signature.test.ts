// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Signatures of each key type over each signed-header set that stock clients
 * use, and the holes of the reference that stay closed here.
 */

import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import test from 'tape';
import { parseSignature } from '../../../services/cloudapi-aip/auth/signature.js';

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT');
const DATE = new Date(NOW).toUTCString();

const PEM = {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
} as const;

interface Pem {
  publicKey: string;
  privateKey: string;
}

const KEYS: Record<'rsa' | 'ecdsa' | 'ed25519', Pem> = {
  rsa: generateKeyPairSync('rsa', {
    modulusLength: 2048,
    ...PEM,
  }) as unknown as Pem,
  ecdsa: generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    ...PEM,
  }) as unknown as Pem,
  ed25519: generateKeyPairSync(
    'ed25519',
    PEM as never,
  ) as unknown as unknown as Pem,
};

function signed(type: keyof typeof KEYS, hash: string, text: string): string {
  const key = createPrivateKey(KEYS[type].privateKey);
  const digest = type === 'ed25519' ? null : hash;
  return sign(digest, Buffer.from(text), key).toString('base64');
}

function request(headers: Record<string, string>) {
  return { method: 'GET', url: '/my/aips?limit=2', headers };
}

const CASES: [keyof typeof KEYS, string][] = [
  ['rsa', 'sha1'],
  ['rsa', 'sha256'],
  ['rsa', 'sha512'],
  ['ecdsa', 'sha256'],
  ['ecdsa', 'sha512'],
  ['ed25519', 'sha512'],
];

test('date and (request-target) date verify for every key type', (t) => {
  for (const [type, hash] of CASES) {
    for (const target of [false, true]) {
      const names = target ? '(request-target) date' : 'date';
      const text = target
        ? `(request-target): get /my/aips?limit=2\ndate: ${DATE}`
        : `date: ${DATE}`;
      const parsed = parseSignature(
        request({
          date: DATE,
          authorization:
            `Signature keyId="/a/keys/k",algorithm="${type}-${hash}",` +
            `headers="${names}",signature="${signed(type, hash, text)}"`,
        }),
        NOW,
      );
      t.ok(
        parsed.verify(KEYS[type].publicKey),
        `${type}-${hash} over ${names}`,
      );
      const other = type === 'rsa' ? KEYS.ecdsa : KEYS.rsa;
      t.notOk(parsed.verify(other.publicKey), 'another key does not verify');
    }
  }
  t.end();
});

test('a signature over another request does not verify', (t) => {
  const text = `(request-target): delete /my/aips\ndate: ${DATE}`;
  const parsed = parseSignature(
    request({
      date: DATE,
      authorization:
        'Signature keyId="/a/keys/k",algorithm="rsa-sha256",' +
        `headers="(request-target) date",` +
        `signature="${signed('rsa', 'sha256', text)}"`,
    }),
    NOW,
  );
  t.notOk(parsed.verify(KEYS.rsa.publicKey));
  t.end();
});

test('the old form with the signature behind the parameters verifies', (t) => {
  const parsed = parseSignature(
    request({
      date: DATE,
      authorization:
        'Signature keyId="/a/keys/k",algorithm="rsa-sha256" ' +
        signed('rsa', 'sha256', DATE),
    }),
    NOW,
  );
  t.ok(parsed.verify(KEYS.rsa.publicKey));
  t.end();
});

function refusal(headers: Record<string, string>): [number, string] {
  try {
    parseSignature(request(headers), NOW);
    return [200, ''];
  } catch (error) {
    const { status, body } = error as {
      status: number;
      body: { code: string };
    };
    return [status, body.code];
  }
}

const good = (date: string, extra = '') =>
  `Signature keyId="/a/keys/k",algorithm="rsa-sha256"${extra},signature="${signed(
    'rsa',
    'sha256',
    `date: ${date}`,
  )}"`;

test('a date that is missing, stale, early or unreadable is refused', (t) => {
  const at = (ms: number) => new Date(NOW + ms).toUTCString();
  t.deepEqual(refusal({ authorization: good(DATE) }), [400, 'InvalidHeader']);
  for (const date of [at(-301_000), at(301_000), 'garbage', '']) {
    t.deepEqual(
      refusal({ date, authorization: good(date) }),
      [400, 'InvalidHeader'],
      JSON.stringify(date),
    );
  }
  t.deepEqual(
    refusal({ date: at(299_000), authorization: good(at(299_000)) }),
    [200, ''],
  );
  const utc = DATE.replace('GMT', 'UTC');
  t.deepEqual(refusal({ date: utc, authorization: good(utc) }), [200, '']);
  t.end();
});

test('created and expires are held to the clock that is given', (t) => {
  const seconds = NOW / 1000;
  const cases: [string, number][] = [
    [`created=${seconds + 299}`, 200],
    [`created=${seconds + 301}`, 400],
    [`expires=${seconds - 299}`, 200],
    [`expires=${seconds - 301}`, 400],
    [`expires="${seconds + 60}"`, 400],
  ];
  for (const [parameter, status] of cases) {
    const authorization = good(DATE, `,${parameter}`);
    t.equal(refusal({ date: DATE, authorization })[0], status, parameter);
  }
  t.end();
});

test('unsigned date, unknown algorithms and other schemes are refused', (t) => {
  t.deepEqual(
    refusal({
      date: DATE,
      authorization: good(DATE, ',headers="(request-target)"'),
    }),
    [400, 'InvalidHeader'],
  );
  for (const algorithm of ['hmac-sha256', 'hs2019', 'ecdsa-sha1']) {
    const header = good(DATE).replace('rsa-sha256', algorithm);
    const [status] = refusal({ date: DATE, authorization: header });
    t.ok(status === 401 || status === 400, algorithm);
  }
  t.deepEqual(refusal({ date: DATE }), [401, 'InvalidCredentials']);
  t.deepEqual(refusal({ date: DATE, authorization: 'Basic YTpi' }), [
    401,
    'InvalidCredentials',
  ]);
  t.end();
});
