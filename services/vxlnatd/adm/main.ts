#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** vxlnatadm: the process around `commands.ts`. */

import { type Ask, vxlnatadm } from './commands.js';

/** Asking takes at most this long, in milliseconds. */
const TIMEOUT_MS = 10_000;

const ask: Ask = async (url, method) => {
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    const { cause, message } = error as Error & { cause?: Error };
    throw new Error(
      `${url}: ${cause?.message || message}; is vxlnatd running there?`,
    );
  }
  const text = await response.text();
  try {
    return {
      status: response.status,
      body: text === '' ? null : JSON.parse(text),
    };
  } catch {
    throw new Error(`${url}: the answer is not JSON; is this vxlnatd?`);
  }
};

const outcome = await vxlnatadm(process.argv.slice(2), ask);
process.stdout.write(outcome.stdout);
process.stderr.write(outcome.stderr);
process.exitCode = outcome.status;
