// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a page names is there, its links lead somewhere, and what it shows as
 * configuration is taken by the program that it is for.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type Test } from 'tape';
import { loadConfig } from '#lib/service/config.js';
import { napiConfig } from '#test/napi-config.js';
import { temporaryDirectory } from '#test/tmp.js';
import { COMMANDS as SDCADM } from '../../../sdcadm-plugin/cli.js';
import { readConfig as readSdcadm } from '../../../sdcadm-plugin/config.js';
import { openAccountFile } from '../../../services/cloudapi-aip/accounts/file.js';
import { readConfig as readCloudapi } from '../../../services/cloudapi-aip/config.js';
import { configSchema } from '../../../services/napi-nat/config.js';
import { resources } from '../../../services/napi-nat/resources.js';
import { COMMANDS as SVP } from '../../../services/svp/commands.js';
import { readConfig as readAgent } from '../../../services/svp-agent/config.js';
import { CONFIG_SCHEMA } from '../../../services/vxlnatd/config.js';
import { KEYS } from '../cloudapi-aip/identities.js';

const FILES = execFileSync(
  'git',
  ['ls-files', '-co', '--exclude-standard', '*.md'],
  { encoding: 'utf8' },
)
  .split('\n')
  .filter((name) => name !== '' && existsSync(name));
const text = new Map(FILES.map((name) => [name, readFileSync(name, 'utf8')]));

/** The pages that issue and README promise. */
const PAGES =
  'napi-nat changefeed svp cloudapi store placement bgp conversion operations security sdcadm';

function page(name: string): string {
  return text.get(`docs/${name}.md`) ?? '';
}

/** The words of a heading as a link's end names them. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .trim()
      .replace(/\s/g, '-'),
  );
}

test('there is a page for each part, and links lead somewhere', (t) => {
  for (const name of PAGES.split(' ')) t.ok(page(name).length > 500, name);
  const dead: string[] = [];
  for (const [file, markdown] of text) {
    for (const [, target = ''] of markdown.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const to = path === '' ? file : join(dirname(file), path);
      const known =
        anchor === undefined || anchors(text.get(to) ?? '').includes(anchor);
      if (!existsSync(to) || !known) dead.push(`${file}: ${target}`);
    }
  }
  t.deepEqual(dead, []);
  t.end();
});

test('files and tests that a page names are there', (t) => {
  const missing: string[] = [];
  const tests = execFileSync('git', ['ls-files', '-co', 'test'], {
    encoding: 'utf8',
  });
  for (const [file, markdown] of text) {
    // A changelog tells of what was there then.
    if (file === 'CHANGELOG.md') continue;
    for (const [, name = ''] of markdown.matchAll(/`([^`\s]+)`/g)) {
      const isPath =
        /^(demo|docs|lib|native|sdcadm-plugin|scripts|services|test)\/[\w./-]+$/;
      const near = join(dirname(file), name);
      if (isPath.test(name) && !existsSync(name) && !existsSync(near)) {
        missing.push(`${file}: ${name}`);
      }
      const isTest = /^[\w-]+\.test\.ts$/.test(name);
      if (isTest && !tests.includes(`/${name}\n`)) {
        missing.push(`${file}: ${name}`);
      }
    }
  }
  t.deepEqual(missing, []);
  t.end();
});

/** Blocks of a page that are JSON, fenced or indented; also parts of objects. */
function jsonBlocks(name: string): Record<string, unknown>[] {
  const markdown = page(name);
  const fenced = [...markdown.matchAll(/```json\n([\s\S]*?)```/g)];
  const indented = [...markdown.matchAll(/(?:^ {4}.*\n)+/gm)].filter(
    ([block]) => /^ {4}(\{|"\w+": \{)/.test(block),
  );
  return [
    ...fenced.map(([, block = '']) => block),
    ...indented.map(([block]) => block),
  ].map((block) => JSON.parse(/^\s*[[{]/.test(block) ? block : `{${block}}`));
}

function written(t: Test, content: unknown): string {
  const file = join(temporaryDirectory(t), 'config.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

test('configuration on a page is taken', (t) => {
  const taken = (what: string, read: () => unknown) => {
    try {
      read();
      t.pass(what);
    } catch (error) {
      t.fail(`${what}: ${String(error)}`);
    }
  };
  const napi = (part: object) => ({
    ...napiConfig(temporaryDirectory(t)),
    ...part,
  });
  const [zone] = jsonBlocks('bgp');
  taken('bgp: a zone', () => loadConfig(written(t, zone), CONFIG_SCHEMA));
  const [cloud, accounts] = jsonBlocks('cloudapi');
  taken('cloudapi', () => readCloudapi(written(t, cloud)));
  const filled = JSON.stringify(accounts)
    .replaceAll('<MD5 colon fingerprint>', KEYS.alice.md5)
    .replaceAll('"<public key, PEM>"', JSON.stringify(KEYS.alice.publicPem));
  taken('cloudapi: accounts', () =>
    openAccountFile(written(t, JSON.parse(filled))).close(),
  );
  const [sdcadm] = jsonBlocks('sdcadm');
  taken('sdcadm', () => readSdcadm(written(t, sdcadm)));
  const [agent] = jsonBlocks('svp-agent');
  taken('svp-agent', () => readAgent(written(t, agent)));
  const [store] = jsonBlocks('operations');
  taken('operations: store', () =>
    loadConfig(written(t, napi(store ?? {})), configSchema),
  );
  const [listen, caller] = jsonBlocks('security');
  taken('security: napi-nat', () =>
    loadConfig(written(t, napi(listen ?? {})), configSchema),
  );
  taken('security: vxlnatd', () =>
    loadConfig(written(t, { ...zone, ...caller }), CONFIG_SCHEMA),
  );
  taken('security: svp-agent', () =>
    readAgent(written(t, { ...agent, ...caller })),
  );
  t.end();
});

test('a configuration that is not one is not taken', (t) => {
  const [agent] = jsonBlocks('svp-agent');
  t.throws(() => readAgent(written(t, { ...agent, napy: 1 })), /napy/);
  t.end();
});

test('commands and resources on a page are those there are', (t) => {
  const svp = [...page('svp').matchAll(/^ {4}svp (?:\[.*\] )?([a-z]\S+)/gm)];
  t.deepEqual(
    svp.map(([, name]) => name).sort(),
    Object.keys(SVP).sort(),
    'svp',
  );
  const sdcadm = [...page('sdcadm').matchAll(/^ {4}sdcadm-vxlnat (\S+)/gm)];
  const named = new Set(sdcadm.map(([, name]) => name));
  named.delete('help');
  t.deepEqual([...named].sort(), Object.keys(SDCADM).sort(), 'sdcadm-vxlnat');
  const rows = [...page('changefeed').matchAll(/^\| `(\w+)` \| (.+?) \|/gm)];
  t.deepEqual(
    rows.map(([, name]) => name).sort(),
    resources.map(({ resource }) => resource).sort(),
    'changefeed',
  );
  for (const [, name = '', changes = ''] of rows) {
    const listed = resources.find(({ resource }) => resource === name);
    const said = changes.split(' ');
    const unknown = (listed?.subResources ?? []).filter(
      (change) =>
        !said.includes(change) &&
        !(change.startsWith('allow_') && said.includes('allow_*')),
    );
    t.deepEqual(unknown, [], `changefeed: ${name}`);
    const gone = said.filter(
      (change) =>
        change !== 'allow_*' && !listed?.subResources.includes(change),
    );
    t.deepEqual(gone, [], `changefeed: ${name} has no other`);
  }
  t.end();
});
