// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Bad input at every HTTP edge of a real napi-nat process: a 4xx with code and
 * message, the field's name where a field is at fault, never a 5xx, and the
 * whole state byte for byte as before.
 */

import test from 'tape';
import { cases } from './bad-input-cases.js';
import {
  bodyFor,
  PIECES,
  paths,
  QUERY_WRONG,
  queries,
} from './bad-input-urls.js';
import { WRONG } from './bad-input-values.js';
import { OWNER, type Raw, startBadInputWorld } from './bad-input-world.js';

function names(answer: Raw, field: string): boolean {
  const { errors } = answer.json ?? {};
  if (!Array.isArray(errors)) return false;
  return errors.some((error: { field?: string | string[] }) =>
    [error.field].flat().some((each) => each?.startsWith(field)),
  );
}

/** What is wrong with an answer to bad input; null when it is right. */
function complaint(answer: Raw, field?: string): string | null {
  const { status, json, text } = answer;
  const said = `${status} ${text.slice(0, 200)}`;
  if (status < 400 || status > 499) return said;
  if (typeof json?.['code'] !== 'string') return `no code: ${said}`;
  if (typeof json['message'] !== 'string') return `no message: ${said}`;
  if (field === undefined || status === 404 || names(answer, field))
    return null;
  return `does not name ${field}: ${said}`;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, 60);
}

/** The first lines of two pictures that differ. */
function difference(before: string, after: string): string {
  const old = before.split('\n');
  const lines = after.split('\n');
  const at = lines.findIndex((line, i) => line !== old[i]);
  return `was ${old[at]}\n is ${lines[at]}`.slice(0, 2000);
}

/** Asserts on a list of complaints, so that one line stands for hundreds. */
function none(t: test.Test, faults: string[], count: number, what: string) {
  t.ok(count > 0 && faults.length === 0, `${what}: ${count} requests`);
  for (const fault of faults.slice(0, 60)) t.comment(fault);
}

test('bad input gets a 4xx and changes nothing', async (t) => {
  const world = await startBadInputWorld(t);
  const before = await world.picture();
  async function unchanged(after: string, on: test.Test = t) {
    const now = await world.picture();
    on.ok(now === before, `nothing changed after ${after}`);
    if (now !== before) on.comment(difference(before, now));
  }

  for (const { method, path, good, fields } of cases(world)) {
    const faults: string[] = [];
    let count = 0;
    for (const [field, kind] of Object.entries(fields)) {
      const wrong = WRONG[kind.replace('!', '')] ?? [];
      const values = kind.endsWith('!') ? [null, ...wrong] : wrong;
      count += values.length;
      await Promise.all(
        values.map(async (value) => {
          const body = JSON.stringify({ ...good, [field]: value });
          const fault = complaint(await world.send(method, path, body), field);
          if (fault) faults.push(`${field} = ${shown(value)}: ${fault}`);
        }),
      );
    }
    none(t, faults, count, `${method} ${path}`);
    await unchanged(`${method} ${path}`);
  }

  await t.test('bad bodies', async (st) => {
    const faults: string[] = [];
    let count = 0;
    const bodies: [string | Buffer, number?][] = [
      ['{', 400],
      ['{"a":1', 400],
      ["{'a':1}", 400],
      ['\u0000', 400],
      [Buffer.from([0xff, 0xfe, 0x22]), 400],
      ['nul', 400],
      ['[]'],
      ['[1,2]'],
      ['"text"'],
      ['5'],
      ['true'],
      [`[${'['.repeat(100_000)}`, 400],
      [`"${'x'.repeat(1024 * 1024)}"`, 413],
    ];
    for (const { method, path } of cases(world)) {
      for (const [body, status] of bodies) {
        const answer = await world.send(method, path, body);
        const fault = complaint(answer);
        count += 1;
        const wrong = status !== undefined && answer.status !== status;
        if (!fault && !wrong) continue;
        const said = `${answer.status} ${answer.text.slice(0, 120)}`;
        faults.push(`${method} ${path} ${shown(String(body))}: ${said}`);
      }
    }
    none(st, faults, count, 'bodies that are no objects');
    await unchanged('bad bodies', st);
  });

  await t.test('bad queries', async (st) => {
    const faults: string[] = [];
    let count = 0;
    for (const [path, names_] of queries(world)) {
      for (const [name, kind] of Object.entries(names_)) {
        const values = QUERY_WRONG[kind] ?? [];
        count += values.length;
        await Promise.all(
          values.map(async (value) => {
            const url = `${path}?${name}=${value.replaceAll('@', name)}`;
            const fault = complaint(await world.send('GET', url), name);
            if (fault) faults.push(`${url.slice(0, 120)}: ${fault}`);
          }),
        );
      }
    }
    none(st, faults, count, 'queries');
    await unchanged('bad queries', st);
  });

  await t.test('bad paths', async (st) => {
    const faults: string[] = [];
    let count = 0;
    for (const [method, start, end] of paths(world)) {
      count += PIECES.length;
      await Promise.all(
        PIECES.map(async (piece) => {
          const url = `${start}${piece}${end}`;
          const answer = await world.send(method, url, bodyFor(method));
          const fault = complaint(answer);
          if (fault) faults.push(`${method} ${url.slice(0, 120)}: ${fault}`);
        }),
      );
    }
    none(st, faults, count, 'paths');
    await unchanged('bad paths', st);
  });

  await t.test('bad conditions and methods', async (st) => {
    const faults: string[] = [];
    let count = 0;
    const changes: [string, string, string?][] = [
      ['PUT', `/networks/${world.network}`, '{"description":"no"}'],
      ['DELETE', `/networks/${world.network}`],
      ['PUT', `/fabrics/${OWNER}/vlans/2`, '{"description":"no"}'],
      ['DELETE', `/fabrics/${OWNER}/vlans/2`],
      ['PUT', `/nics/${world.mac}`, '{"model":"no"}'],
      ['DELETE', `/nics/${world.mac}`],
      ['PUT', `/networks/${world.network}/ips/10.4.5.9`, '{"reserved":true}'],
      ['PUT', `/aips/${world.aip}`, '{"description":"no"}'],
      ['POST', `/aips/${world.aip}?detach=true`],
      ['DELETE', `/aips/${world.aip}?really_delete=true`],
    ];
    for (const [method, path, body] of changes) {
      for (const etag of ['x', '"', ',', ', ,', 'W/"x"', 'a, b, c', ')(']) {
        const headers = { 'if-match': etag };
        const answer = await world.send(method, path, body, headers);
        count += 1;
        const fault = complaint(answer);
        if (fault) faults.push(`${method} ${path} if-match ${etag}: ${fault}`);
      }
    }
    for (const method of ['PATCH', 'PROPFIND', 'DELETE']) {
      for (const path of ['/networks', '/nics', '/aips', '/dataplane']) {
        const fault = complaint(await world.send(method, path));
        count += 1;
        if (fault) faults.push(`${method} ${path}: ${fault}`);
      }
    }
    none(st, faults, count, 'conditions and methods');
    await unchanged('bad conditions and methods', st);
  });
});
