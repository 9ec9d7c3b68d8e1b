// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Fetches a URL until it answers or time is up, each attempt short, and prints
 * one JSON line `{ok, at, attempts, body}` where `at` is when the first whole
 * answer was there (ms since the epoch). `node fetch.js URL TOTAL_MS [EACH_MS]`.
 */

import { get } from 'node:http';

const [url, total, each] = process.argv.slice(2) as string[];
const deadline = Date.now() + Number(total);

function attempt(): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(
      url as string,
      { timeout: Number(each ?? 1000), agent: false },
      (response) => {
        let body = '';
        response.on('data', (data) => {
          body += data;
        });
        response.on('end', () => resolve(body));
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
  });
}

let attempts = 0;
let last = 'no attempt';
for (;;) {
  attempts++;
  try {
    const body = await attempt();
    const at = Date.now();
    console.log(JSON.stringify({ ok: true, at, attempts, body }));
    break;
  } catch (error) {
    last = (error as Error).message;
  }
  if (Date.now() >= deadline) {
    console.log(JSON.stringify({ ok: false, attempts, error: last }));
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
}
