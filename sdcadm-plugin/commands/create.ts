// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `create`: more zones of a service that is set up; or this machine's units. */

import { UsageError } from '#lib/errors.js';
import { command, listOf, runOptions, textOf } from '../command.js';
import { validationError } from '../errors.js';
import { openContext } from '../open.js';
import { OPTIONS, type OptionSpec } from '../options.js';
import { runProcedures } from '../procedure.js';
import { createZones } from '../procedures/create-zones.js';
import { downloadImage } from '../procedures/download-image.js';
import { installUnits, LOCAL_SERVICES } from '../procedures/install-units.js';
import { chooseImage } from '../steps/image.js';
import { requireTags, selectServers } from '../steps/servers.js';
import { readSite, requireService, SERVICE } from '../steps/site.js';

const { HELP, YES, DRY_RUN, SERVERS, IMAGE, CHANNEL } = OPTIONS;
const LOCAL: OptionSpec = {
  names: ['local'],
  type: 'bool',
  help: 'Without Triton: services of this machine, as systemd units.',
};
const SERVICES: OptionSpec = {
  names: ['services'],
  type: 'arrayOfCommaSepString',
  helpArg: 'NAMES',
  help: `With --local: which of ${LOCAL_SERVICES.join(', ')} (default: vxlnatd).`,
};
const ROOT: OptionSpec = {
  names: ['root'],
  type: 'string',
  helpArg: 'DIR',
  help: 'With --local: write below DIR and start nothing, to build an image.',
};

/** RFD 158, "SAPI and sdcadm"; design section 8 for --local. */
export const do_create = command(
  {
    synopsis: 'Create further zones, or (--local) a standalone site.',
    help: [
      'Create a NAT zone on each of the servers.',
      '',
      'Usage:',
      '    {{name}} create [OPTIONS] -s SERVER[,SERVER...]',
      '    {{name}} create --local [--services NAMES] [--root DIR]',
      '',
      '{{options}}',
      '',
      "The image is the service's own unless -i names another, for these zones",
      'alone.',
      '',
      'With --local no Triton is asked: the services are installed on this',
      'machine as hardened systemd units. Configuration files that are there',
      'already are left as they are.',
    ],
    options: [
      ...[HELP, YES, DRY_RUN, SERVERS, IMAGE, CHANNEL],
      ...[LOCAL, SERVICES, ROOT],
    ],
    async run(ctx, { opts }) {
      if (opts['local'] === true) {
        if (opts['servers'] !== undefined) {
          throw new UsageError('cannot specify both "--local" and "--servers"');
        }
        const names = listOf(opts['services']);
        const units = installUnits(
          names.length === 0 ? ['vxlnatd'] : names,
          textOf(opts['root'], ''),
        );
        return runProcedures(ctx, [units], runOptions(opts));
      }
      const servers = await selectServers(ctx, listOf(opts['servers']));
      const { service } = await requireService(ctx);
      if (service.params['image_uuid'] === undefined) {
        throw validationError(
          `SAPI "${SERVICE}" service is missing params.image_uuid`,
        );
      }
      const site = await readSite(ctx);
      requireTags(servers, site);
      const channel = textOf(opts['channel'], ctx.channel);
      const wish = { image: textOf(opts['image'], 'current'), channel };
      const image = await chooseImage(ctx, wish, service);
      return runProcedures(
        ctx,
        [downloadImage(image, channel), createZones(site, servers, image)],
        runOptions(opts),
      );
    },
  },
  openContext,
);
