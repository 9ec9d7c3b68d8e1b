// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What docs/monitoring gives to operators: promtool accepts the metrics page,
 * the alarms and their tests, and every metric that an alarm or the dashboard
 * names is one that vxlnatd has.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { setUp } from './admin-world.js';
import { bgpOf } from './bgp-watch.js';

const FOLDER = 'docs/monitoring';
const LOCAL = 'build/tools/promtool';

function promtool(args: string[], input?: string): string {
  const command = existsSync(LOCAL) ? LOCAL : 'promtool';
  return execFileSync(command, args, { encoding: 'utf8', input });
}

function metricsIn(text: string): Set<string> {
  return new Set(text.match(/vxlnatd_[a-z_0-9]+/g));
}

/** Every expression of the dashboard, with Grafana's variables filled in. */
function expressions(dashboard: string): string[] {
  const { panels } = JSON.parse(dashboard) as {
    panels: { targets?: { expr: string }[] }[];
  };
  return panels
    .flatMap((panel) => panel.targets ?? [])
    .map(({ expr }) =>
      expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'),
    );
}

test('promtool accepts the alarms, and each fires on what it is for', (t) => {
  const checked = promtool(['check', 'rules', `${FOLDER}/alarms.yml`]);
  t.ok(/SUCCESS: 13 rules/.test(checked), checked.trim());
  const tested = promtool(['test', 'rules', `${FOLDER}/alarms.test.yml`]);
  t.ok(/SUCCESS/.test(tested), tested.trim());
  t.end();
});

test('an alarm that does not fire fails its test', (t) => {
  const folder = temporaryDirectory(t);
  const rules = readFileSync(`${FOLDER}/alarms.yml`, 'utf8');
  writeFileSync(join(folder, 'alarms.yml'), rules.replace('> 0.7', '> 0.8'));
  const tests = readFileSync(`${FOLDER}/alarms.test.yml`);
  writeFileSync(join(folder, 'alarms.test.yml'), tests);
  t.throws(
    () => promtool(['test', 'rules', join(folder, 'alarms.test.yml')]),
    /VxlnatHotDestination/,
  );
  t.end();
});

test('promtool accepts the expressions of the dashboard', (t) => {
  const found = expressions(readFileSync(`${FOLDER}/grafana.json`, 'utf8'));
  t.ok(found.length > 15, `${found.length} expressions`);
  const rules = found.map((expr, i) => ({ record: `panel:${i}`, expr }));
  const file = join(temporaryDirectory(t), 'dashboard.yml');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'd', rules }] }));
  const checked = promtool(['check', 'rules', file]);
  t.ok(checked.includes(`${found.length} rules found`), checked.trim());
  t.end();
});

test('alarms and dashboard name metrics that vxlnatd has', async (t) => {
  const { http, engine } = await setUp(t, bgpOf());
  engine.dropList = [{ name: 'PortExhausted', sentence: '', count: 1 }];
  const page = await (await fetch(`${http.url}/metrics`)).text();
  const checked = promtool(['check', 'metrics'], page);
  t.equal(checked, '', 'promtool finds nothing wrong with the page');
  const has = new Set(
    [...page.matchAll(/^# TYPE (vxlnatd_\S+)/gm)].map((line) => line[1]),
  );
  for (const file of ['alarms.yml', 'grafana.json']) {
    for (const name of metricsIn(readFileSync(`${FOLDER}/${file}`, 'utf8'))) {
      t.ok(has.has(name), `${file}: ${name}`);
    }
  }
  t.end();
});
