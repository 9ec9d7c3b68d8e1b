// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Where the datacenter's APIs are. On a headnode their names follow from two
 * keys, as they do for sdcadm; each can be named apart.
 */

import { UsageError } from '#lib/errors.js';
import { loadConfig } from '#lib/service/config.js';
import { API_NAMES, type ApiName } from './clients.js';

/** The configuration file. */
export interface ConfigFile {
  datacenter_name?: string;
  dns_domain?: string;
  /** Instead of `http://API.DATACENTER.DOMAIN`. */
  urls?: Partial<Record<ApiName, string>>;
  channel?: string;
}

export interface Config {
  urls: Record<ApiName, string>;
  channel: string;
}

const DEFAULT_FILE = '/opt/vxlnat/etc/sdcadm-vxlnat.json';
const UPDATES = 'https://updates.tritondatacenter.com';

const text = { type: 'string', minLength: 1 };
const url = {
  type: 'string',
  pattern: '^https?://[^/]+',
  description: 'must be an http:// or https:// URL',
};
const SCHEMA = {
  type: 'object',
  properties: {
    datacenter_name: text,
    dns_domain: text,
    urls: {
      type: 'object',
      properties: Object.fromEntries(API_NAMES.map((name) => [name, url])),
    },
    channel: text,
  },
};

/**
 * @param file the environment's SDCADM_VXLNAT_CONFIG, else the usual one
 * @throws UsageError naming the file and the key
 */
export function readConfig(file = DEFAULT_FILE): Config {
  const content = loadConfig<ConfigFile>(file, SCHEMA);
  const { datacenter_name: name, dns_domain: domain, urls = {} } = content;
  const usual = (api: ApiName) => {
    if (api === 'updates') return UPDATES;
    if (name !== undefined && domain !== undefined) {
      return `http://${api}.${name}.${domain}`;
    }
    throw new UsageError(
      `${file}: /urls/${api}: is required where datacenter_name and dns_domain are not given`,
    );
  };
  return {
    urls: Object.fromEntries(
      API_NAMES.map((api) => [api, urls[api] ?? usual(api)]),
    ) as Record<ApiName, string>,
    channel: content.channel ?? 'release',
  };
}
