// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The measuring programs of the demo as functions: who fetches what from where
 * and what they saw.
 */

import type { Deployment } from './deployment.js';
import { INTERNET } from './topology.js';

const host = (name: string) =>
  new URL(`./hosts/${name}.js`, import.meta.url).pathname;

/** The address of the Internet host's HTTP server. */
export const INTERNET_URL = `http://${INTERNET.ip}/`;

export interface FetchResult {
  ok: boolean;
  /** When the whole answer was there, ms since the epoch. */
  at: number;
  attempts: number;
  body: string;
  error?: string;
}

/** Fetches a URL from a machine, trying again until `totalMs` are over. */
export function fetchFrom(
  deployment: Deployment,
  machine: string,
  url: string,
  totalMs = 5000,
  eachMs = 1000,
): Promise<FetchResult> {
  return deployment.lab.measure<FetchResult>(machine, [
    process.execPath,
    host('fetch'),
    url,
    String(totalMs),
    String(eachMs),
  ]).result;
}

/** Which source address the Internet host saw for a fetch by an instance. */
export async function seenAs(
  deployment: Deployment,
  instance: string,
): Promise<string> {
  const path = `from-${instance}`;
  const result = await fetchFrom(
    deployment,
    instance,
    `${INTERNET_URL}${path}`,
  );
  if (!result.ok) throw new Error(`${instance} got no answer: ${result.error}`);
  const body = JSON.parse(result.body) as { you: string; path: string };
  if (body.path !== `/${path}`) {
    throw new Error(`${instance} got another's answer: ${result.body}`);
  }
  return body.you;
}

/** Which instance answers on a public address, or null when none does. */
export async function whoAnswers(
  deployment: Deployment,
  publicIp: string,
  totalMs = 5000,
): Promise<string | null> {
  const result = await fetchFrom(
    deployment,
    'internet',
    `http://${publicIp}/`,
    totalMs,
  );
  if (!result.ok) return null;
  return (JSON.parse(result.body) as { instance: string }).instance;
}

export interface ProbeResult {
  first_at: number | null;
  last_at: number;
  sent: number;
  received: number;
  gaps: { from: number; to: number; ms: number }[];
}

/** UDP echoes from the Internet host; `write` the target when ip is `-`. */
export function udpProbe(
  deployment: Deployment,
  ip: string,
  mode: 'first' | 'all',
  totalMs: number,
) {
  return deployment.lab.measure<ProbeResult>('internet', [
    process.execPath,
    host('udp-probe'),
    ip,
    '7',
    mode,
    String(totalMs),
    '2',
    '30',
  ]);
}

export interface StreamResult {
  ok: boolean;
  lines: number;
  echoed: number;
  longest_gap_ms: number;
  error: string | null;
}

/** One TCP connection from the Internet host to an echo server. */
export function tcpStream(deployment: Deployment, ip: string, totalMs: number) {
  return deployment.lab.measure<StreamResult>('internet', [
    process.execPath,
    host('tcp-stream'),
    ip,
    '7',
    String(totalMs),
    '10',
  ]);
}
