// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A plan that looks at everything, without a wait. */

import type { Desired } from '../../services/vxlnatd/desired.js';
import { type Applied, plan, type Step } from '../../services/vxlnatd/plan.js';
import { survey } from '../../services/vxlnatd/survey.js';

/** The steps from `applied` to `desired`, whatever was touched. */
export function planAll(desired: Desired, applied: Applied): Step[] {
  const turns = survey(desired, applied);
  for (;;) {
    const { done, value } = turns.next();
    if (done) return plan(desired, applied, value);
  }
}
