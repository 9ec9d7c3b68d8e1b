// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Fabric networks ask napi-nat for NAT Reform, and are waited for. */

import type { Procedure } from '../procedure.js';
import { convertNetwork } from '../steps/convert.js';
import type { Network } from '../triton.js';

/** @param networks each with a gateway and `internet_nat` */
export function convertFabrics(networks: Network[]): Procedure {
  return async (ctx) => {
    const legacy = networks.filter(
      ({ nat_reform_public }) => (nat_reform_public ?? '') === '',
    );
    if (legacy.length === 0) return null;
    return {
      summary: legacy.map(
        ({ uuid, name, subnet }) =>
          `convert network ${uuid} (${name}, ${subnet}) to NAT Reform`,
      ),
      execute: async () => {
        for (const network of legacy) {
          ctx.ui(`Converting network ${network.uuid} (${network.name})`);
          const address = await convertNetwork(ctx, network);
          ctx.ui(`Converted network ${network.uuid}: public IP ${address}`);
        }
      },
    };
  };
}
