// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What the configuration file of cloudapi-aip may say. */

import { UsageError } from '#lib/errors.js';
import {
  CLIENT_TLS_SCHEMA,
  SERVER_TLS_SCHEMA,
  type TlsFiles,
} from '#lib/http/tls.js';
import { loadConfig } from '#lib/service/config.js';
import type { LogLevel } from '#lib/service/log.js';
import type { ThrottleConfig } from './throttle.js';

export interface Config {
  listen: { host: string; port: number; tls?: TlsFiles };
  /** Sent as Triton-Datacenter-Name by /--ping. */
  datacenter?: string;
  napi_nat: { url: string; tls?: TlsFiles; timeout_ms?: number };
  /** Exactly one of the two. */
  accounts: { file: string } | { mahi_url: string; timeout_ms?: number };
  /** False for none; CloudAPI's own unless it says otherwise. */
  throttle?: ThrottleConfig | false;
  /** A proxy in front says who the client is, in X-Forwarded-For. */
  behind_proxy?: boolean;
  log_level?: LogLevel;
}

const url = { type: 'string', pattern: '^https?://' };
const timeout = { type: 'integer', minimum: 1 };

/** JSON Schema of `Config`; unknown keys are refused. */
const configSchema = {
  type: 'object',
  required: ['listen', 'napi_nat', 'accounts'],
  additionalProperties: false,
  properties: {
    listen: {
      type: 'object',
      required: ['host', 'port'],
      additionalProperties: false,
      properties: {
        // The empty text would listen on every address.
        host: { type: 'string', minLength: 1, default: '127.0.0.1' },
        port: { type: 'integer', minimum: 0, maximum: 65535 },
        tls: SERVER_TLS_SCHEMA,
      },
    },
    datacenter: { type: 'string' },
    napi_nat: {
      type: 'object',
      required: ['url'],
      additionalProperties: false,
      properties: { url, tls: CLIENT_TLS_SCHEMA, timeout_ms: timeout },
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
    throttle: {
      anyOf: [
        { const: false },
        {
          type: 'object',
          required: ['burst', 'rate'],
          additionalProperties: false,
          properties: {
            burst: { type: 'integer', minimum: 1 },
            rate: { type: 'number', exclusiveMinimum: 0 },
            exempt: { type: 'array', items: { type: 'string' } },
          },
        },
      ],
    },
    behind_proxy: { type: 'boolean' },
    log_level: {
      enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    },
  },
};

/**
 * Reads the configuration file.
 * @throws UsageError naming the file and the place in it
 */
export function readConfig(file: string): Config {
  const config = loadConfig<Config>(file, configSchema);
  const { accounts } = config;
  if ('file' in accounts === 'mahi_url' in accounts) {
    throw new UsageError(
      `${file}: /accounts: give one of "file" and "mahi_url"`,
    );
  }
  checkUrl(file, '/napi_nat/url', config.napi_nat.url);
  if ('mahi_url' in accounts) {
    checkUrl(file, '/accounts/mahi_url', accounts.mahi_url);
  }
  return config;
}

function checkUrl(file: string, at: string, text: string): void {
  if (URL.canParse(text)) return;
  throw new UsageError(`${file}: ${at}: is not a URL`);
}
