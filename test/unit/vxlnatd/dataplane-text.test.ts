// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A snapshot that is half there is taken for a whole, or is no JSON. */

import test from 'tape';
import type { Dataplane } from '#lib/model/dataplane.js';
import { dataplaneText, readDataplaneText } from '#lib/model/dataplane-text.js';

function dataplane(entries: number): Dataplane {
  return {
    position: 7,
    digest: 'x',
    fabrics: [],
    one_to_ones: Array.from({ length: entries }, (_, n) => ({
      aip_uuid: `näme ${n} ],[{`,
      vnet_id: 1,
      vlan_id: 0,
      private_ip: '10.0.0.1',
      public_ip: '3.3.3.3',
    })),
    publics: [],
    zones: [],
  };
}

/** The text in pieces of a few bytes: characters are cut too. */
async function* bytes(text: string, size: number): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(text);
  for (let at = 0; at < all.length; at += size) {
    yield all.subarray(at, at + size);
  }
}

/** @param size items of a list that come together */
async function textOf(each: Dataplane, more = {}, size = 700) {
  const cut = <T>(list: T[]): T[][] =>
    list.length === 0 ? [] : [list.slice(0, size), ...cut(list.slice(size))];
  const { fabrics, one_to_ones, publics, zones } = each;
  const pages = {
    ...each,
    fabrics: cut(fabrics),
    one_to_ones: [[], ...cut(one_to_ones), []],
    publics: cut(publics),
    zones: [zones],
  };
  let text = '';
  for await (const piece of dataplaneText(pages, more)) text += piece;
  return text;
}

/** The data plane that is read from pieces. */
async function readBack(pieces: AsyncIterable<Uint8Array>) {
  const lists: Record<string, object[]> = {
    fabrics: [],
    one_to_ones: [],
    publics: [],
    zones: [],
  };
  const head = await readDataplaneText(pieces, (list, item) =>
    lists[list]?.push(item),
  );
  return { ...head, ...lists } as Record<string, unknown>;
}

test('a data plane comes back, in whatever pieces', async (t) => {
  for (const entries of [0, 1, 1500]) {
    const one = dataplane(entries);
    const text = await textOf(one);
    t.deepEqual(JSON.parse(text), one, `${entries}: it is JSON`);
    for (const size of [7, 65_536]) {
      t.deepEqual(await readBack(bytes(text, size)), one);
    }
    t.deepEqual(await readBack(bytes(JSON.stringify(one), 7)), one);
  }
  const found = await readBack(
    bytes(await textOf(dataplane(1), { version: 2 }), 9),
  );
  t.equal(found['version'], 2);
});

test('no cut of it is taken for the whole', async (t) => {
  const text = await textOf(dataplane(2));
  let taken = 0;
  for (let at = 0; at < text.trimEnd().length; at += 1) {
    await readBack(bytes(text.slice(0, at), 100)).then(
      () => (taken += 1),
      () => {},
    );
  }
  t.equal(taken, 0);
});
