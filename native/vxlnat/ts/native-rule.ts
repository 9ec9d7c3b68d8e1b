// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What crosses the bridge about a rule's options: a part of native.ts. */

import type { TimersDto } from './native.js';

/** At most so many; 0: any number. */
export interface LimitsDto {
  flows: number;
  /** TCP flows that are not established. */
  opening: number;
  /** New flows. */
  per_second: number;
}

/** How a rule gives public ports (facts: nat-behaviour D2, U1, P11). */
export type MappingDto =
  | 'endpoint-dependent'
  | 'endpoint-independent'
  | 'deterministic';

/** What may be said about a rule beyond where it leads. */
export interface RuleOptionsDto {
  mapping: MappingDto;
  /** Public addresses besides the rule's first; paired with hosts (P1). */
  more_public_ips: string[];
  /** Both 0: the engine's range. */
  port_low: number;
  port_high: number;
  /** Which of `slices` equal parts of the range, from 0 (P12). */
  slice: number;
  slices: number;
  /** Destinations that are not translated, and so not reached (P4). */
  exempt: string[];
  /** The most a SYN may announce, both ways; 0: anything (T14). */
  mss: number;
  /** Idle times of its flows; null: the engine's. */
  timers: TimersDto | null;
  /** Of each host (P3). */
  host: LimitsDto;
  /** Ports given to a host at once: 64 to 1024, or 0 (P10). */
  block_size: number;
}

/** Rule options as a caller gives them: every one has a default. */
export type RuleOptions = Partial<
  Omit<RuleOptionsDto, 'timers' | 'host'> & {
    timers: Partial<TimersDto> | null;
    host: Partial<LimitsDto>;
  }
>;
