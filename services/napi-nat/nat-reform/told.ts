// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** How the processes of napi-nat tell each other of heartbeats. */

import type { Heartbeat } from '#lib/model/dataplane.js';

/** Longest text that processes tell each other. */
const TOLD_LIMIT = 7000;

export interface ToldBeat {
  zone: string;
  beat: Heartbeat;
}

/** A heartbeat for the others; a long list of addresses stays here. */
export function toldBeat(zone: string, beat: Heartbeat): string {
  const whole: ToldBeat = { zone, beat };
  const text = JSON.stringify(whole);
  if (text.length <= TOLD_LIMIT) return text;
  const short: ToldBeat = { zone, beat: { ...beat, announced: [] } };
  return JSON.stringify(short);
}
