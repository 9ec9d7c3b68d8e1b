// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** How vxlnatadm writes `bgp` for people. */

import { pairs, table } from '#lib/service/table.js';

interface Bgp {
  faults: string[];
  local_as: number;
  router_id: string | null;
  answers: boolean;
  announced: number;
  leaving: number;
  restarts: number;
  last_error: { time: string; message: string } | null;
  neighbors: {
    ip: string;
    as: number;
    state: string;
    since: string | null;
    bfd: string | null;
    exported: number;
    last_error: string | null;
  }[];
  prefixes: {
    ip: string;
    med: number | null;
    state: string;
    sent_to: string[];
  }[];
}

/** `bgp`. */
export function writeBgp(bgp: Bgp): string {
  const { last_error: last } = bgp;
  const head = pairs([
    ['ok', bgp.faults.length === 0 ? 'yes' : `NO: ${bgp.faults.join('; ')}`],
    ['BIRD', bgp.answers ? 'answers' : 'DOES NOT ANSWER'],
    ['restarts', bgp.restarts],
    ['AS', bgp.local_as],
    ['router ID', bgp.router_id ?? '-'],
    ['announced', `${bgp.announced}, ${bgp.leaving} of them about to go`],
    ['last error', last === null ? '-' : `${last.time} ${last.message}`],
  ]);
  const sessions = table(
    [
      { name: 'NEIGHBOR', cell: (n) => n.ip },
      { name: 'AS', cell: (n) => n.as },
      { name: 'STATE', cell: (n) => n.state },
      { name: 'SINCE', cell: (n) => n.since ?? '-' },
      { name: 'BFD', cell: (n) => n.bfd ?? 'off' },
      { name: 'SENT', cell: (n) => n.exported },
      { name: 'LAST ERROR', cell: (n) => n.last_error ?? '-' },
    ],
    bgp.neighbors,
  );
  const prefixes = table(
    [
      { name: 'PUBLIC', cell: (p) => p.ip },
      { name: 'STATE', cell: (p) => p.state },
      { name: 'MED', cell: (p) => p.med ?? '-' },
      { name: 'SENT TO', cell: (p) => p.sent_to.join(' ') || '-' },
    ],
    bgp.prefixes,
  );
  return `${head}\n\n${sessions}\n\n${prefixes}`;
}
