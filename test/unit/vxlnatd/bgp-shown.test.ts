// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `GET /bgp`, `vxlnatadm bgp` and the metrics of announcement by BGP. */

import test from 'tape';
import type { BgpStatus } from '../../../services/vxlnatd/announce/bgp.js';
import { setUp } from './admin-world.js';
import { bgpOf } from './bgp-watch.js';

/** The status of a zone, with one session changed. */
function broken(
  changes: Partial<BgpStatus['neighbors'][number]>,
): Partial<BgpStatus> {
  const [first, ...others] = bgpOf().status().neighbors;
  if (first === undefined) throw new Error('no neighbour');
  return { neighbors: [{ ...first, ...changes }, ...others] };
}

test('bgp shows sessions and who is sent what', async (t) => {
  const { adm } = await setUp(t, bgpOf());
  const { status, stdout } = await adm('bgp');
  t.equal(status, 0);
  t.equal(
    stdout,
    `ok:         yes
BIRD:       answers
restarts:   0
AS:         1
router ID:  203.0.113.2
announced:  1, 0 of them about to go
last error: -

NEIGHBOR         AS  STATE        SINCE                    BFD  SENT  LAST ERROR
198.51.100.1  65000  Established  2026-11-21 16:21:00.575  Up      1  -
198.51.100.2  65000  Established  2026-11-21 16:21:00.575  Up      1  -

PUBLIC   STATE             MED  SENT TO
3.3.3.2  announced  4294967284  198.51.100.1 198.51.100.2
`,
  );
  const json = JSON.parse((await adm('bgp', '-j')).stdout);
  t.deepEqual(json.faults, []);
  t.equal(json.neighbors[1].ip, '198.51.100.2');
  t.deepEqual(json.prefixes[0].sent_to, ['198.51.100.1', '198.51.100.2']);
});

test('bgp says what is wrong, by its status too', async (t) => {
  const cases: [Partial<BgpStatus>, string][] = [
    [{ answers: false }, 'BIRD does not answer'],
    [
      broken({ state: 'Active Socket: refused', established: false }),
      '198.51.100.1 is not established: Active Socket: refused',
    ],
    [broken({ exported: 0 }), '198.51.100.1 is sent 0 of 1 public IPs'],
  ];
  for (const [changes, fault] of cases) {
    const { adm } = await setUp(t, bgpOf(changes));
    const shown = await adm('bgp');
    t.equal(shown.status, 1, fault);
    t.ok(shown.stdout.includes(`NO: ${fault}\n`), 'for people');
    const json = await adm('bgp', '--json');
    t.equal(json.status, 1);
    t.deepEqual(JSON.parse(json.stdout).faults, [fault], 'and as JSON');
  }
});

test('bgp has nothing to show without BGP', async (t) => {
  const { adm } = await setUp(t);
  const { status, stdout, stderr } = await adm('bgp');
  t.equal(status, 1);
  t.equal(stdout, '');
  t.ok(stderr.includes('this zone does not announce by BGP'), stderr.trim());
  t.equal((await adm('bgp', 'more')).status, 2, 'it takes no argument');
});

test('metrics tell the same', async (t) => {
  const { http } = await setUp(t, bgpOf({ restarts: 3, announced: 2 }));
  const page = await (await fetch(`${http.url}/metrics`)).text();
  for (const line of [
    'vxlnatd_bgp_established{neighbor="198.51.100.1"} 1',
    'vxlnatd_bgp_bfd_up{neighbor="198.51.100.2"} 1',
    'vxlnatd_bgp_exported{neighbor="198.51.100.1"} 1',
    'vxlnatd_bgp_served 2',
    'vxlnatd_bgp_bird_up 1',
    'vxlnatd_bgp_restarts_total 3',
  ]) {
    t.ok(page.includes(`\n${line}\n`), line);
  }
});
