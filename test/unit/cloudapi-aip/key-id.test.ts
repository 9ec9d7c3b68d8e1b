// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** keyIds as stock clients write them, and those that must not be taken. */

import test from 'tape';
import { parseKeyId } from '../../../services/cloudapi-aip/auth/key-id.js';

const MD5 = 'fd:9e:9a:9c:28:99:57:05:18:9f:b6:44:6b:cc:fd:3a';

test('keyIds of accounts, sub-users, names and SHA256 are read', (t) => {
  t.deepEqual(parseKeyId(`/alice/keys/${MD5}`), {
    login: 'alice',
    sublogin: null,
    key: MD5,
  });
  t.deepEqual(parseKeyId(`/alice/users/bob/keys/laptop`), {
    login: 'alice',
    sublogin: 'bob',
    key: 'laptop',
  });
  t.equal(parseKeyId('/a%40b.c/keys/k')?.login, 'a@b.c');
  t.equal(
    parseKeyId('/alice/keys/SHA256:a/b+c/d')?.key,
    'SHA256:a/b+c/d',
    'a slash inside a SHA256 fingerprint does not split it',
  );
  t.end();
});

test('malformed keyIds and "my" are refused', (t) => {
  for (const text of [
    '',
    'alice',
    'alice/keys/k',
    '/alice/keys/',
    '//keys/k',
    '/my/keys/k',
    '/alice/keys/a/b',
    '/alice/users//keys/k',
    '/alice/nope/k',
    '/%zz/keys/k',
  ]) {
    t.equal(parseKeyId(text), null, JSON.stringify(text));
  }
  t.end();
});
