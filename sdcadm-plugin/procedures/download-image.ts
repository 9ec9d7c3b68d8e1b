// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The image is in the datacenter's IMGAPI. */

import type { Procedure } from '../procedure.js';
import { type ChosenImage, imageLines, importImage } from '../steps/image.js';

/** @param channel where it comes from, for the operator */
export function downloadImage(image: ChosenImage, channel: string): Procedure {
  return async (ctx) => {
    if (!image.missing) return null;
    return {
      summary: [
        `${imageLines('download image', image)}\n` +
          `    from updates server using channel "${channel}"`,
      ],
      execute: async () => {
        ctx.ui(imageLines('Downloading image', image));
        await importImage(ctx, image);
        ctx.ui(imageLines('Imported image', image));
      },
    };
  };
}
