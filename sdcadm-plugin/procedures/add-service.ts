// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** SAPI has the service `vxlnat`, with the parameters that this version wants. */

import { isDeepStrictEqual } from 'node:util';
import type { Context } from '../context.js';
import { internalError } from '../errors.js';
import type { Procedure } from '../procedure.js';
import type { ChosenImage } from '../steps/image.js';
import { findService, SERVICE, type Site } from '../steps/site.js';

/** Room for a table of a million flows and the services around it. */
const PACKAGE = 'sdc_2048';

/** Run at every boot of the zone's machine by its guest tools. */
const USER_SCRIPT = `#!/bin/bash
# Written by sdcadm-vxlnat: makes this machine's configuration from its metadata.
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

/** For `configure.ts`: vxlnatd's configuration, but for the zone's addresses. */
function daemonConfig(ctx: Context, site: Site): string {
  return JSON.stringify({
    underlay_tag: site.underlay.nic_tag,
    external_tag: site.external.nic_tag,
    config: { napi: { url: ctx.clients.urls.napi } },
  });
}

function metadata(ctx: Context, site: Site): Record<string, unknown> {
  const { datacenter_name, dns_domain } = site.app.metadata;
  return {
    SERVICE_NAME: SERVICE,
    SERVICE_DOMAIN: `${SERVICE}.${datacenter_name}.${dns_domain}`,
    'user-script': USER_SCRIPT,
    'vxlnatd-config': daemonConfig(ctx, site),
    pass_vmapi_metadata_keys: ['vxlnatd-config'],
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
    const wanted = {
      params: params(site, image.uuid, await billingId(ctx)),
      metadata: metadata(ctx, site),
    };
    if (found === null) {
      return {
        summary: [`create "${SERVICE}" service in SAPI`],
        execute: async () => {
          ctx.ui(`Creating "${SERVICE}" service`);
          await ctx.clients.sapi.createService({
            name: SERVICE,
            application_uuid: site.app.uuid,
            ...wanted,
          });
        },
      };
    }
    const { service } = found;
    const fields = [
      ...differing(wanted.params, service.params),
      ...differing(wanted.metadata, service.metadata),
    ];
    if (fields.length === 0) return null;
    const names = fields.join(', ');
    return {
      summary: [`update service "${SERVICE}" params in SAPI: ${names}`],
      execute: async () => {
        ctx.ui(`Updating "${SERVICE}" SAPI service params: ${names}`);
        await ctx.clients.sapi.updateService(service.uuid, wanted);
      },
    };
  };
}
