// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Typed fields of a query string, and what is wrong with them. */

import {
  type FieldError,
  invalidParameter,
  ServiceError,
} from '#lib/errors.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { isVnet } from '#lib/net/vnet.js';
import type { FlowMatchDto } from './engine.js';

function refuse(errors: FieldError[]): never {
  throw new ServiceError(422, {
    code: 'InvalidParameters',
    message: 'Invalid parameters',
    errors,
  });
}

/** Reads typed query fields and collects what is wrong with them. */
export class Fields {
  readonly errors: FieldError[] = [];
  readonly #query: Record<string, unknown>;

  constructor(query: Record<string, unknown>, known: readonly string[]) {
    this.#query = query;
    const unknown = Object.keys(query).filter((name) => !known.includes(name));
    if (unknown.length > 0) {
      this.errors.push({
        field: unknown,
        code: 'UnknownParameters',
        message: 'Unknown parameters',
      });
    }
  }

  text(name: string): string | null {
    const value = this.#query[name];
    return value === undefined ? null : String(value);
  }

  ip(name: string): string | null {
    const value = this.text(name);
    if (value === null || parseIpv4(value) !== null) return value;
    this.errors.push(invalidParameter(name, 'must be an IPv4 address'));
    return null;
  }

  integer(name: string, low: number, high: number): number | null {
    const value = this.text(name);
    if (value === null) return null;
    const number = /^\d{1,10}$/.test(value) ? Number(value) : -1;
    if (number >= low && number <= high) return number;
    this.errors.push(
      invalidParameter(name, `must be a number from ${low} to ${high}`),
    );
    return null;
  }

  vnet(name: string): number | null {
    const value = this.integer(name, 0, 0xffffff);
    return isVnet(value) ? value : null;
  }

  /** One of the given words. */
  word<W extends string>(name: string, words: readonly W[]): W | null {
    const value = this.text(name);
    if (value === null) return null;
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    this.errors.push(
      invalidParameter(name, `must be one of ${words.join(', ')}`),
    );
    return null;
  }

  /** Refuses the request when anything was wrong. */
  check(): void {
    if (this.errors.length > 0) refuse(this.errors);
  }
}

/** The query fields of `flowMatch`. */
export const MATCH_FIELDS = [
  'vnet',
  'private_ip',
  'public_ip',
  'remote_ip',
  'proto',
  'port',
] as const;

/** Which flows or packets are meant; what is not given is any. */
export function flowMatch(fields: Fields): FlowMatchDto {
  return {
    vnet: fields.vnet('vnet'),
    private_ip: fields.ip('private_ip'),
    public_ip: fields.ip('public_ip'),
    remote_ip: fields.ip('remote_ip'),
    proto: fields.integer('proto', 0, 255),
    port: fields.integer('port', 0, 65535),
  };
}
