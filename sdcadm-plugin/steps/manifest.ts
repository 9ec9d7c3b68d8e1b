// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * SAPI's configuration manifest of a zone's machine: what is alike in all
 * zones, filled in from the service's metadata. `configure.ts` fetches it at
 * boot; an agent of SAPI would write the same file.
 */

import type { Context } from '../context.js';
import type { SapiManifest } from '../triton.js';

/** Its name in SAPI, and its key in the service. */
export const MANIFEST = 'vxlnatd';

/** `{{{NAME}}}` is a key of the metadata, as in all of SAPI's templates. */
const WANTED = {
  name: MANIFEST,
  path: '/etc/vxlnat/zone.json',
  template: `{
  "underlay_tag": "{{{UNDERLAY_TAG}}}",
  "external_tag": "{{{EXTERNAL_TAG}}}",
  "base": {
    "napi": { "url": "{{{NAPI_URL}}}" },
    "svp": { "host": "{{{SVP_HOST}}}" }
  },
  "own": {{{VXLNATD_CONFIG}}}
}
`,
  post_cmd:
    'node /opt/vxlnat/dist/sdcadm-plugin/configure.js && systemctl restart vxlnatd',
  version: '1.0.0',
};

function asWanted(manifest: SapiManifest): boolean {
  return Object.entries(WANTED).every(
    ([key, value]) => manifest[key as keyof SapiManifest] === value,
  );
}

/** The manifest as this version wants it; null while SAPI has none. */
export async function findManifest(ctx: Context): Promise<SapiManifest | null> {
  return (await ctx.clients.sapi.manifests()).find(asWanted) ?? null;
}

/** Makes it: SAPI changes no manifest, a new text is a new one. */
export function createManifest(ctx: Context): Promise<SapiManifest> {
  ctx.ui(`Creating "${MANIFEST}" configuration manifest`);
  return ctx.clients.sapi.createManifest(WANTED);
}
