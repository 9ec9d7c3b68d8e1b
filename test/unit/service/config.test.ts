// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A wrong configuration names file, place and mistake. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { UsageError } from '#lib/errors.js';
import { loadConfig, parseConfig } from '#lib/service/config.js';
import { temporaryDirectory } from '#test/tmp.js';

const SCHEMA = {
  type: 'object',
  required: ['listen'],
  properties: {
    listen: {
      type: 'object',
      required: ['port'],
      properties: {
        host: { type: 'string' },
        port: { type: 'integer', minimum: 0, maximum: 65535 },
      },
    },
    names: {
      type: 'object',
      additionalProperties: { type: 'string' },
    },
    zones: { type: 'array', items: { enum: ['a', 'b'] } },
  },
};

function refused(t: Test, text: string): string {
  try {
    parseConfig('x.json', text, SCHEMA);
  } catch (error) {
    t.ok(error instanceof UsageError);
    t.equal((error as UsageError).exitStatus, 2);
    return (error as Error).message;
  }
  t.fail('it was accepted');
  return '';
}

test('a right file is returned frozen', (t) => {
  const file = join(temporaryDirectory(t), 'config.json');
  writeFileSync(file, '{"listen":{"port":0},"names":{"any":"thing"}}');
  const config = loadConfig<{ listen: { port: number } }>(file, SCHEMA);
  t.deepEqual(config, { listen: { port: 0 }, names: { any: 'thing' } });
  t.throws(() => {
    config.listen.port = 1;
  }, TypeError);
  t.end();
});

test('what a file does not say has its default', (t) => {
  const at = {
    type: 'object',
    required: ['host'],
    properties: { host: { type: 'string', default: 'here' } },
  };
  const schema = {
    type: 'object',
    properties: { a: at, b: { ...at, default: { host: 'there' } } },
  };
  t.deepEqual(parseConfig('x.json', '{"a":{}}', schema), {
    a: { host: 'here' },
    b: { host: 'there' },
  });
  t.deepEqual(parseConfig('x.json', '{"a":{"host":"h"},"b":{}}', schema), {
    a: { host: 'h' },
    b: { host: 'here' },
  });
  t.end();
});

test('mistakes are said one to a line', (t) => {
  t.equal(
    refused(t, '{"listen":{"port":70000,"hots":""},"zones":["a","c"],"x":1}'),
    [
      'x.json: /listen/hots: is not a known key',
      'x.json: /listen/port: must be <= 65535',
      'x.json: /x: is not a known key',
      'x.json: /zones/1: must be one of: "a", "b"',
    ].join('\n'),
  );
  t.equal(refused(t, '{}'), 'x.json: /listen: is required');
  t.equal(refused(t, '[]'), 'x.json: /: must be object');
  t.ok(refused(t, '{"a":').startsWith('x.json: is not JSON: '));
  t.end();
});

test('a missing file is said to be missing', (t) => {
  t.throws(
    () => loadConfig('/nonexistent/x.json', SCHEMA),
    /^UsageError: \/nonexistent\/x.json: cannot be read: no such file$/,
  );
  t.end();
});
