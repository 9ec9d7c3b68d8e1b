// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What the configuration file of cloudapi-aip may say. */

import type { LogLevel } from '#lib/service/log.js';

export interface Config {
  listen: { host: string; port: number };
  /** Sent as Triton-Datacenter-Name by /--ping. */
  datacenter?: string;
  napi_nat: { url: string; timeout_ms?: number };
  /** Exactly one of the two. */
  accounts: { file: string } | { mahi_url: string; timeout_ms?: number };
  log_level?: LogLevel;
}

const url = { type: 'string', pattern: '^https?://' };
const timeout = { type: 'integer', minimum: 1 };

/** JSON Schema of `Config`; unknown keys are refused. */
export const configSchema = {
  type: 'object',
  required: ['listen', 'napi_nat', 'accounts'],
  additionalProperties: false,
  properties: {
    listen: {
      type: 'object',
      required: ['host', 'port'],
      additionalProperties: false,
      properties: {
        host: { type: 'string' },
        port: { type: 'integer', minimum: 0, maximum: 65535 },
      },
    },
    datacenter: { type: 'string' },
    napi_nat: {
      type: 'object',
      required: ['url'],
      additionalProperties: false,
      properties: { url, timeout_ms: timeout },
    },
    accounts: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: {
        file: { type: 'string' },
        mahi_url: url,
        timeout_ms: timeout,
      },
    },
    log_level: {
      enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    },
  },
};
