// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `make bench`: runs the parts asked for, prints a table, writes
 * build/bench.json; with --docs also docs/performance.md and its plots.
 * docs/benchmarks.md says what each row is.
 */

import { parseArgs } from 'node:util';
import { benchBoot } from './boot.js';
import { benchChangefeed } from './changefeed.js';
import { benchCore } from './core.js';
import { benchFailover } from './failover.js';
import { benchNapi } from './napi.js';
import { document } from './packets/document.js';
import { benchFair } from './packets/fair.js';
import { benchNewFlows } from './packets/newflow.js';
import { benchPps } from './packets/pps.js';
import { benchRestart } from './packets/restart.js';
import { benchRtt } from './packets/rtt.js';
import { benchTcp } from './packets/tcp.js';
import { benchPlacement } from './placement.js';
import {
  machineWords,
  missing,
  printRows,
  type Row,
  writeRows,
} from './report.js';
import { benchZonesInLab } from './zones-lab.js';

const PARTS: Record<string, () => Promise<Row[]>> = {
  core: benchCore,
  napi: benchNapi,
  changefeed: benchChangefeed,
  zones: benchZonesInLab,
  failover: benchFailover,
  placement: benchPlacement,
  boot: benchBoot,
  pps: benchPps,
  newflow: benchNewFlows,
  rtt: benchRtt,
  tcp: benchTcp,
  fair: benchFair,
  restart: benchRestart,
};

const { values } = parseArgs({
  options: { only: { type: 'string' }, docs: { type: 'boolean' } },
});
const wanted = values.only?.split(',') ?? Object.keys(PARTS);
const unknown = wanted.find((part) => PARTS[part] === undefined);
if (unknown !== undefined) {
  const known = Object.keys(PARTS).join(', ');
  console.error(`bench: there is no part "${unknown}"; there are ${known}`);
  process.exit(2);
}

const rows: Row[] = [];
for (const part of wanted) {
  console.error(`bench: ${part}`);
  try {
    const measured = await (PARTS[part] as () => Promise<Row[]>)();
    rows.push(
      ...measured.map((r) => (r.missing ? { ...r, id: `${part}.${r.id}` } : r)),
    );
  } catch (error) {
    // What the other parts took minutes to measure is not thrown away.
    rows.push(missing(part, String(error)));
    process.exitCode = 1;
  }
  writeRows(rows);
}
printRows(rows);
if (values.docs) document(rows, machineWords());
