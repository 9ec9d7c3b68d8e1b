// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The data plane of a store that nobody else writes, as a zone reads it. */

import { json } from 'node:stream/consumers';
import type { Dataplane } from '#lib/model/dataplane.js';
import { dataplaneText } from '#lib/model/dataplane-text.js';
import { rulesDigest } from '#lib/model/rules-digest.js';
import type { NapiContext } from '../../services/napi-nat/context.js';
import { dataplanePages } from '../../services/napi-nat/dataplane/snapshot.js';

/** Everything, with the digest of what it has. */
export async function readDataplane(
  ctx: Pick<NapiContext, 'store'>,
): Promise<Dataplane> {
  const position = ctx.store.journal.position();
  const pages = dataplanePages(ctx, { position, digest: '' });
  const read = (await json(dataplaneText(pages) as never)) as Dataplane;
  return { ...read, digest: rulesDigest(read.fabrics, read.one_to_ones) };
}
