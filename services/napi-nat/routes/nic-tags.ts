// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/nic_tags` (facts: triton-napi 6.3). */

import type { Route } from '#lib/http/types.js';
import type { NapiContext } from '../context.js';
import { serializeNicTag } from '../nic-tag/record.js';
import {
  createNicTag,
  findNicTag,
  getNicTag,
  listNicTags,
  removeNicTag,
  updateNicTag,
} from '../nic-tag/tags.js';
import { duplicate, read, readOrThrow, refuse } from '../validate/params.js';
import { limit, mtu, offset, tagName, uuid } from '../validate/values.js';

const MAX_PAGE = 1000;
const tagMtu = mtu(1500);
const byName = { required: { name: tagName } };

/** Routes of NIC tags. */
export function nicTagRoutes(ctx: NapiContext): Route[] {
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/nic_tags',
      name: 'listnictags',
      async handler(request) {
        const page = readOrThrow(request.params, {
          optional: { limit, offset },
          strict: true,
        });
        const tags = await listNicTags(ctx, {
          limit: page.limit ?? MAX_PAGE,
          offset: page.offset ?? 0,
        });
        return { status: 200, body: tags.map(serializeNicTag) };
      },
    },
    {
      method: 'POST',
      path: '/nic_tags',
      name: 'createnictag',
      async handler(request) {
        const { input, errors } = read(request.params, {
          required: { name: tagName },
          optional: { uuid, mtu: tagMtu },
        });
        const { name } = input as Partial<typeof input>;
        if (name !== undefined && (await findNicTag(ctx, name))) {
          errors.push(duplicate('name'));
        }
        refuse(errors);
        const record = await createNicTag(ctx, input);
        return { status: 200, body: serializeNicTag(record) };
      },
    },
    {
      method: ['GET', 'HEAD'],
      path: '/nic_tags/:name',
      name: 'getnictag',
      async handler(request) {
        const { name } = readOrThrow(request.route, byName);
        const { value } = await getNicTag(ctx, name);
        return { status: 200, body: serializeNicTag(value) };
      },
    },
    {
      method: 'PUT',
      path: '/nic_tags/:oldname',
      name: 'updatenictag',
      async handler(request) {
        const oldName = request.route['oldname'] as string;
        const input = readOrThrow(request.params, {
          optional: { name: tagName, mtu: tagMtu },
        });
        const record = await updateNicTag(ctx, oldName, input);
        return { status: 200, body: serializeNicTag(record) };
      },
    },
    {
      method: 'DELETE',
      path: '/nic_tags/:name',
      name: 'deletenictag',
      async handler(request) {
        const { name } = readOrThrow(request.route, byName);
        await removeNicTag(ctx, name);
        return { status: 204 };
      },
    },
  ];
}
