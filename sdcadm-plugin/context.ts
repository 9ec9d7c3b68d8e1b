// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What every command, procedure and step gets: the APIs, the operator's
 * terminal, time. Tests give their own.
 */

import type { Clients } from './clients.js';

export interface Context {
  clients: Clients;
  /** A line to the operator. */
  ui: (line: string) => void;
  /** Asks; true for yes. */
  confirm: (question: string) => Promise<boolean>;
  /** Resolves after `ms` milliseconds. */
  pause: (ms: number) => Promise<void>;
  /** Milliseconds, monotonic. */
  now: () => number;
  /** Runs a program to its end; rejects with what it wrote when it fails. */
  run: (command: string, args: string[]) => Promise<void>;
  /** Takes sdcadm's lock; the answer gives it back. */
  lock: () => Promise<() => void>;
  /** Channel of the updates server when no `-C` says another. */
  channel: string;
}
