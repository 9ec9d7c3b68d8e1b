// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** SAPI has the service `vxlnat`, with what this version wants of it. */

import { isDeepStrictEqual } from 'node:util';
import type { Context } from '../context.js';
import { internalError } from '../errors.js';
import type { Procedure } from '../procedure.js';
import type { ChosenImage } from '../steps/image.js';
import { createManifest, findManifest, MANIFEST } from '../steps/manifest.js';
import { findService, SERVICE, type Site } from '../steps/site.js';

/** Room for a table of a million flows and the services around it. */
const PACKAGE = 'sdc_2048';

/** Run at every boot of the zone's machine by its guest tools. */
const USER_SCRIPT = `#!/bin/bash
# Written by sdcadm-vxlnat: makes this machine's configuration from SAPI's.
set -o errexit
node /opt/vxlnat/dist/sdcadm-plugin/configure.js
systemctl enable vxlnatd
systemctl restart vxlnatd
`;

async function billingId(ctx: Context): Promise<string> {
  const found = await ctx.clients.papi.packages(PACKAGE);
  const [one] = found;
  if (one === undefined || found.length > 1) {
    throw internalError(`${found.length} "${PACKAGE}" packages found`);
  }
  return one.uuid;
}

/** The NICs of a zone: admin, underlay, and the one it sends by. */
function networks(site: Site): object[] {
  return [
    { name: 'admin' },
    { uuid: site.underlay.uuid },
    { uuid: site.external.uuid, primary: true, allow_ip_spoofing: true },
  ];
}

function params(site: Site, image: string, billing: string) {
  return {
    billing_id: billing,
    image_uuid: image,
    brand: 'bhyve',
    archive_on_delete: true,
    delegate_dataset: false,
    maintain_resolvers: true,
    firewall_enabled: false,
    networks: networks(site),
    tags: { smartdc_role: SERVICE, smartdc_type: 'core' },
  };
}

function metadata(
  ctx: Context,
  site: Site,
  stored: Record<string, unknown>,
): Record<string, unknown> {
  const { datacenter_name, dns_domain } = site.app.metadata;
  const { napi, sapi } = ctx.clients.urls;
  return {
    SERVICE_NAME: SERVICE,
    SERVICE_DOMAIN: `${SERVICE}.${datacenter_name}.${dns_domain}`,
    'user-script': USER_SCRIPT,
    // VMAPI hands this key on to the machine.
    'sapi-url': sapi,
    UNDERLAY_TAG: site.underlay.nic_tag,
    EXTERNAL_TAG: site.external.nic_tag,
    NAPI_URL: napi,
    SVP_HOST: new URL(napi).hostname,
    // The operator's: what there is stays.
    VXLNATD_CONFIG: stored['VXLNATD_CONFIG'] ?? '{}',
  };
}

function differing(
  wanted: Record<string, unknown>,
  stored: Record<string, unknown>,
): string[] {
  return Object.keys(wanted).filter(
    (key) => !isDeepStrictEqual(wanted[key], stored[key]),
  );
}

/** @param image for instances made from now on */
export function addService(site: Site, image: ChosenImage): Procedure {
  return async (ctx) => {
    const found = await findService(ctx);
    const manifest = await findManifest(ctx);
    const wanted = {
      params: params(site, image.uuid, await billingId(ctx)),
      metadata: metadata(ctx, site, found?.service.metadata ?? {}),
    };
    const manifests = async () => ({
      [MANIFEST]: (manifest ?? (await createManifest(ctx))).uuid,
    });
    if (found === null) {
      return {
        summary: [`create "${SERVICE}" service in SAPI`],
        execute: async () => {
          const named = await manifests();
          ctx.ui(`Creating "${SERVICE}" service`);
          await ctx.clients.sapi.createService({
            name: SERVICE,
            application_uuid: site.app.uuid,
            ...wanted,
            manifests: named,
          });
        },
      };
    }
    const { service } = found;
    const old = service.manifests?.[MANIFEST];
    const fields = [
      ...differing(wanted.params, service.params),
      ...differing(wanted.metadata, service.metadata),
      ...(manifest !== null && manifest.uuid === old ? [] : ['manifests']),
    ];
    if (fields.length === 0) return null;
    const names = fields.join(', ');
    return {
      summary: [`update service "${SERVICE}" params in SAPI: ${names}`],
      execute: async () => {
        const named = await manifests();
        ctx.ui(`Updating "${SERVICE}" SAPI service params: ${names}`);
        await ctx.clients.sapi.updateService(service.uuid, {
          ...wanted,
          manifests: named,
        });
        if (old !== undefined && old !== named[MANIFEST]) {
          await ctx.clients.sapi.deleteManifest(old);
        }
      },
    };
  };
}
