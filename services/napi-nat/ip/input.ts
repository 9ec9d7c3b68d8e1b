// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Parameters of addresses (facts: triton-napi 6.1). */

import type { Values } from '../validate/params.js';
import { bool, limit, offset, string, uuid } from '../validate/values.js';

export const listSpec = {
  optional: {
    belongs_to_type: string,
    belongs_to_uuid: uuid,
    owner_uuid: uuid,
    limit,
    offset,
    network_uuid: string,
  },
  strict: true,
};
export type ListInput = Partial<Values<typeof listSpec.optional>>;

export const updateSpec = {
  optional: {
    owner_uuid: uuid,
    belongs_to_uuid: uuid,
    // Any text, as in NAPI: only a NIC's has to be one of three.
    belongs_to_type: string,
    reserved: bool,
    unassign: bool,
    free: bool,
    check_owner: bool,
  },
};
export type UpdateInput = Partial<Values<typeof updateSpec.optional>>;
