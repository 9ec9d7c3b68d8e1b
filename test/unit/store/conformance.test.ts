// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: the two engines of the store differ. Every test below runs
 * on the embedded engine and on a real PostgreSQL.
 */

import './conformance/batch.js';
import './conformance/bucket.js';
import './conformance/gap.js';
import './conformance/journal.js';
import './conformance/mutate.js';
import './conformance/pages.js';
import './conformance/query.js';
import './conformance/range.js';
import './conformance/reopen.js';
import './conformance/semantics.js';
import './conformance/trigger.js';
