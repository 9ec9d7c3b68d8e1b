// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `post-setup`: the service in SAPI, and zones on the servers named. */

import { command, listOf, runOptions, textOf } from '../command.js';
import { openContext } from '../open.js';
import { OPTIONS } from '../options.js';
import { runProcedures } from '../procedure.js';
import { addService } from '../procedures/add-service.js';
import { createZones } from '../procedures/create-zones.js';
import { downloadImage } from '../procedures/download-image.js';
import { chooseImage } from '../steps/image.js';
import { requireTags, selectServers } from '../steps/servers.js';
import { findService, readSite } from '../steps/site.js';

const { HELP, YES, DRY_RUN, SERVERS, IMAGE, CHANNEL } = OPTIONS;

/** RFD 158, "SAPI and sdcadm". */
export const do_post_setup = command(
  {
    synopsis: 'Create the "vxlnat" service and its first zones.',
    help: [
      'Create the "vxlnat" service and a NAT zone on each of the servers.',
      '',
      'Usage:',
      '    {{name}} post-setup [OPTIONS] -s SERVER[,SERVER...]',
      '',
      '{{options}}',
      '',
      'A server has one zone at most. What is there already is left as it is,',
      'so this command can be run again, also after it failed half-way.',
    ],
    options: [HELP, YES, DRY_RUN, SERVERS, IMAGE, CHANNEL],
    async run(ctx, { opts }) {
      const servers = await selectServers(ctx, listOf(opts['servers']));
      const site = await readSite(ctx);
      requireTags(servers, site);
      const found = await findService(ctx);
      const channel = textOf(opts['channel'], ctx.channel);
      // A second run must not change the image unasked.
      const usual = found === null ? 'latest' : 'current';
      const wish = { image: textOf(opts['image'], usual), channel };
      const image = await chooseImage(ctx, wish, found?.service ?? null);
      return runProcedures(
        ctx,
        [
          downloadImage(image, channel),
          addService(site, image),
          createZones(site, servers, image),
        ],
        runOptions(opts),
      );
    },
  },
  openContext,
);
