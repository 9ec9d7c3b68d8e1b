// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat is killed with SIGKILL in every step of a conversion, and the fabric
 * loses its router or the job is forgotten. Each write of it is taken apart in
 * `test/unit/napi-nat/convert-steps.test.ts`; this is the process itself.
 */

import test from 'tape';
import { type NatProcess, startNatProcess } from '#test/nat-process.js';
import { begin, killInEachStep, legacy } from './conversion-world.js';

test('kill -9 in each step: the old NAT zone serves, then the new one', async (t) => {
  const at = await legacy(t, '51', {}, startNatProcess);
  const kill = () => (at.world as NatProcess).replace();
  await killInEachStep(t, { at, uuid: await begin(at), kill });
});
