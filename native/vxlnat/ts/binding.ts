// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The one place that loads the `.node` file. A binding is loaded at the first
 * use and not at import, so that programs which only name its types (and
 * `--help`) work without a native build.
 */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AddonMissingError } from './errors.js';
import type { NativeBinding } from './native.js';

/** From dist/native/vxlnat/ts to where node-gyp leaves the addon. */
const ADDON = '../../../../native/vxlnat/build/Release/vxlnat.node';

/**
 * Loads the addon; Node keeps it, so a second call costs a look-up.
 * @throws AddonMissingError when it is not built or does not load
 */
export function loadBinding(): NativeBinding {
  const path = fileURLToPath(new URL(ADDON, import.meta.url));
  try {
    return createRequire(import.meta.url)(path) as NativeBinding;
  } catch (cause) {
    const missing =
      (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    throw new AddonMissingError(
      missing
        ? `native addon is not built: run make (no ${path})`
        : `native addon does not load: ${(cause as Error).message}`,
      { cause },
    );
  }
}
