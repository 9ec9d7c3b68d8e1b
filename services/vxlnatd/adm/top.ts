// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `vxlnatadm top`: what happened between two looks, as rates: the zone, its
 * busiest vnets and public IPs, and why packets were dropped.
 */

import { type Column, table } from '#lib/service/table.js';
import { protocolName } from './arguments.js';

interface Counted {
  flows: number;
  created: number;
  packets_out: number;
  bytes_out: number;
  packets_in: number;
  bytes_in: number;
}

interface Vnet extends Counted {
  vnet: number;
  drops: Record<string, number>;
}

interface Public extends Counted {
  ip: string;
  vnet: number | null;
}

interface Hot {
  public_ip: string;
  remote_ip: string;
  remote_port: number;
  proto: number;
  flows: number;
}

/** One look at the daemon. */
export interface Look {
  at: number;
  counts: { vnets: Vnet[]; publics: Public[] };
  drops: { name: string; sentence: string; count: number }[];
  /** Of each public IP the remote that holds most of its ports. */
  hot: Hot[];
  engine: Record<string, number>;
}

/** Rates of a vnet or public IP since the look before. */
export interface Rate {
  name: string;
  flows: number;
  new_flows: number;
  packets_out: number;
  packets_in: number;
  bits_out: number;
  bits_in: number;
  drops: number;
}

/** A public IP, with the remote that holds most of its ports. */
export interface PublicRate extends Rate {
  hottest: Hot | null;
}

/** What `top` shows. */
export interface Top {
  flows: number;
  packets_out: number;
  packets_in: number;
  drops: number;
  vnets: Rate[];
  publics: PublicRate[];
  reasons: { name: string; sentence: string; rate: number }[];
}

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

function rates<C extends Counted>(
  now: C[],
  before: C[],
  seconds: number,
  name: (each: C) => string,
  drops: (each: C) => number,
): Rate[] {
  const old = new Map(before.map((each) => [name(each), each]));
  return now
    .map((each) => {
      const then = old.get(name(each));
      // A counter that fell belongs to another: it began at 0.
      const rate = (read: (of: C) => number) => {
        const [last, first] = [read(each), then === undefined ? 0 : read(then)];
        return Math.round((last < first ? last : last - first) / seconds);
      };
      return {
        name: name(each),
        flows: each.flows,
        new_flows: rate((c) => c.created),
        packets_out: rate((c) => c.packets_out),
        packets_in: rate((c) => c.packets_in),
        bits_out: rate((c) => c.bytes_out) * 8,
        bits_in: rate((c) => c.bytes_in) * 8,
        drops: rate(drops),
      };
    })
    .sort(
      (a, b) =>
        b.packets_out + b.packets_in - (a.packets_out + a.packets_in) ||
        b.drops - a.drops ||
        b.flows - a.flows,
    );
}

/** What happened between two looks. */
export function compare(before: Look, now: Look): Top {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000);
  const old = new Map(before.drops.map(({ name, count }) => [name, count]));
  const vnets = rates(
    now.counts.vnets,
    before.counts.vnets,
    seconds,
    (v) => String(v.vnet),
    (v) => sum(Object.values(v.drops)),
  );
  const hot = new Map(now.hot.map((each) => [each.public_ip, each]));
  return {
    flows: now.engine['flows'] ?? 0,
    packets_out: sum(vnets.map((v) => v.packets_out)),
    packets_in: sum(vnets.map((v) => v.packets_in)),
    drops: Math.round(
      ((now.engine['drops'] ?? 0) - (before.engine['drops'] ?? 0)) / seconds,
    ),
    vnets,
    publics: rates(
      now.counts.publics,
      before.counts.publics,
      seconds,
      (p) => p.ip,
      () => 0,
    ).map((rate) => ({ ...rate, hottest: hot.get(rate.name) ?? null })),
    reasons: now.drops
      .map(({ name, sentence, count }) => ({
        name,
        sentence,
        rate: Math.round((count - (old.get(name) ?? 0)) / seconds),
      }))
      .filter(({ rate }) => rate > 0)
      .sort((a, b) => b.rate - a.rate),
  };
}

/** A number with a unit of thousands: `1.2M`. */
export function short(value: number): string {
  const units = ['', 'k', 'M', 'G', 'T'];
  let at = 0;
  let rest = value;
  for (; rest >= 1000 && at < units.length - 1; at++) rest /= 1000;
  return `${at === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)}${units[at]}`;
}

function rateTable<R extends Rate>(
  heading: string,
  all: R[],
  most: number,
  last: Column<R>[],
): string {
  const columns: Column<R>[] = [
    { name: heading, cell: (r) => r.name },
    { name: 'FLOWS', cell: (r) => r.flows },
    { name: 'NEW/S', cell: (r) => r.new_flows },
    { name: 'OUT P/S', cell: (r) => short(r.packets_out) },
    { name: 'IN P/S', cell: (r) => short(r.packets_in) },
    { name: 'OUT BIT/S', cell: (r) => short(r.bits_out) },
    { name: 'IN BIT/S', cell: (r) => short(r.bits_in) },
    ...last,
  ];
  return table(columns, all.slice(0, most));
}

function remote(hot: Hot | null): string {
  if (hot === null) return '-';
  return `${protocolName(hot.proto)} ${hot.remote_ip}:${hot.remote_port}`;
}

/**
 * Writes it for people.
 * @param most lines of each table
 */
export function writeTop(top: Top, most: number): string {
  const head =
    `${top.flows} flows, ${short(top.packets_out)} p/s out, ` +
    `${short(top.packets_in)} p/s in, ${short(top.drops)} dropped/s`;
  const reasons = table(
    [
      { name: 'DROP/S', cell: (r) => r.rate },
      { name: 'REASON', cell: (r) => r.name },
      { name: 'MEANING', cell: (r) => r.sentence },
    ],
    top.reasons.slice(0, most),
  );
  const vnets = rateTable('VNET', top.vnets, most, [
    { name: 'DROP/S', cell: (r) => r.drops },
  ]);
  const publics = rateTable('PUBLIC', top.publics, most, [
    { name: 'PORTS', cell: (r) => r.hottest?.flows ?? 0 },
    { name: 'TO ITS HOTTEST REMOTE', cell: (r) => remote(r.hottest) },
  ]);
  return [head, vnets, publics, reasons].join('\n\n');
}
