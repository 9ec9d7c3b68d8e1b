// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Runs one engine in the namespace that it is started in, as vxlnatd would,
 * driven by a test through lines of JSON: `{id, call, args}` in, `{id, result}`
 * or `{id, error}` out, `{events}` as they come. Ends with its input.
 */

import { createInterface } from 'node:readline';
import type { Operation } from '#native/index.js';
import {
  announceArp,
  type EngineOptions,
  type IoOptions,
  VxlNat,
} from '#native/index.js';

interface Call {
  id: number;
  call: string;
  args: unknown[];
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

let engine = null as VxlNat | null;

async function perform({ call, args }: Call): Promise<unknown> {
  if (call === 'open') {
    engine = VxlNat.open(
      args[0] as EngineOptions,
      args[1] as IoOptions,
      (events) => print({ events }),
    );
    return null;
  }
  if (call === 'announce') {
    return announceArp(args[0] as string, args[1] as string);
  }
  if (engine === null) throw new Error('open comes first');
  if (call === 'apply') return engine.apply(args[0] as Operation[]);
  if (call === 'stats') return engine.stats();
  if (call === 'drops') return engine.drops().filter((d) => d.count > 0);
  if (call === 'flows') return engine.flows();
  if (call === 'io') return engine.io();
  if (call === 'attach') return engine.attach();
  if (call === 'close') return engine.close();
  throw new Error(`unknown call ${call}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Call;
  try {
    print({ id: request.id, result: (await perform(request)) ?? null });
  } catch (error) {
    print({ id: request.id, error: String(error) });
  }
}
await engine?.close();
