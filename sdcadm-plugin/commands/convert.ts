// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `convert`: fabric networks move from their own NAT zone to NAT Reform. */

import { UsageError } from '#lib/errors.js';
import { command, runOptions } from '../command.js';
import type { Context } from '../context.js';
import { openContext } from '../open.js';
import { OPTIONS, type OptionSpec } from '../options.js';
import { runProcedures } from '../procedure.js';
import { convertFabrics } from '../procedures/convert-fabrics.js';
import type { Network } from '../triton.js';

const { HELP, YES, DRY_RUN } = OPTIONS;
const OWNER: OptionSpec = {
  names: ['owner'],
  type: 'string',
  helpArg: 'UUID',
  help: 'All fabric networks of this account that have a NAT zone.',
};

function convertible(network: Network): boolean {
  return network.internet_nat === true && network.gateway !== undefined;
}

async function named(ctx: Context, uuids: string[]): Promise<Network[]> {
  return Promise.all(
    uuids.map(async (uuid) => {
      const network = await ctx.clients.napi.network(uuid);
      if (network === null)
        throw new UsageError(`Cannot find network "${uuid}"`);
      if (network.fabric !== true || !convertible(network)) {
        throw new UsageError(
          `network "${uuid}" (${network.name}) is not a fabric network with a gateway and internet_nat`,
        );
      }
      return network;
    }),
  );
}

/** RFD 158, "Smooth migration" and "NAPI". */
export const do_convert = command(
  {
    synopsis: 'Move fabric networks to NAT Reform.',
    help: [
      'Move fabric networks from their own NAT zones to NAT Reform, one after',
      'the other. Connections through the old zone end; new ones work at once.',
      'docs/conversion.md has the steps.',
      '',
      'Usage:',
      '    {{name}} convert [OPTIONS] NETWORK...',
      '    {{name}} convert [OPTIONS] --owner UUID',
      '',
      '{{options}}',
      '',
      'A network that is converted already is left as it is. Where a step',
      'fails the old NAT zone goes on serving.',
    ],
    operands: true,
    options: [HELP, YES, DRY_RUN, OWNER],
    async run(ctx, { opts, args }) {
      const owner = opts['owner'];
      if ((args.length === 0) === (owner === undefined)) {
        throw new UsageError('must name networks, or "--owner", and not both');
      }
      const networks =
        owner === undefined
          ? await named(ctx, [...new Set(args)])
          : (await ctx.clients.napi.fabricNetworks(String(owner))).filter(
              convertible,
            );
      return runProcedures(ctx, [convertFabrics(networks)], runOptions(opts));
    },
  },
  openContext,
);
