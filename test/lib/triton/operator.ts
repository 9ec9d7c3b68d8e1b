// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** An operator who types command lines at a test's datacenter. */

import { sdcadmVxlnat } from '../../../sdcadm-plugin/cli.js';
import {
  API_NAMES,
  type ApiName,
  createClients,
} from '../../../sdcadm-plugin/clients.js';
import type { Context } from '../../../sdcadm-plugin/context.js';

export interface Run {
  status: number;
  /** What the operator saw, and what went wrong. */
  lines: string[];
  stderr: string;
  asked: string[];
}

export interface OperatorOptions {
  /** To every question. */
  answer?: boolean;
  /** Instead of the datacenter's, such as a real napi-nat. */
  urls?: Partial<Record<ApiName, string>>;
  /** Called instead of waiting. */
  onPause?: () => unknown;
  run?: Context['run'];
}

/**
 * Runs a command line; time passes only in waits.
 * @param url of the datacenter's APIs
 */
export async function operate(
  url: string,
  argv: string[],
  options: OperatorOptions = {},
): Promise<Run> {
  const lines: string[] = [];
  const asked: string[] = [];
  let now = 0;
  const urls = Object.fromEntries(API_NAMES.map((name) => [name, url]));
  const clients = createClients({
    ...(urls as Record<ApiName, string>),
    ...options.urls,
  });
  const ctx: Context = {
    clients,
    channel: 'release',
    ui: (line) => void lines.push(...line.split('\n')),
    confirm: async (question) => {
      asked.push(question);
      return options.answer ?? false;
    },
    pause: async (ms) => {
      now += ms;
      await options.onPause?.();
    },
    now: () => now,
    run: options.run ?? (async () => {}),
    lock: async () => () => {},
  };
  const ending = await sdcadmVxlnat(
    argv,
    async () => ({ ctx, close: () => clients.close() }),
    (text) => void lines.push(...text.trimEnd().split('\n')),
  );
  return { ...ending, lines, asked };
}
