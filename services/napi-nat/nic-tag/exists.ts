// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Whether the NIC tags that a request names exist (facts: triton-napi 1.3). */

import { type FieldError, invalidParameter } from '#lib/errors.js';
import type { NapiContext } from '../context.js';
import { type Check, Fault } from '../validate/params.js';
import { string, vnetId } from '../validate/values.js';
import { findNicTag } from './tags.js';

/** Several, as an array or as comma-separated text; none clears them. */
export const tagList: Check<string[]> = (value) => {
  const text = value === '' ? [] : value;
  const list = typeof text === 'string' ? text.split(',') : text;
  if (!Array.isArray(list)) return new Fault('must be an array');
  const invalid = list.filter((item) => typeof item !== 'string');
  if (invalid.length > 0) return new Fault('must be a string', { invalid });
  return [...new Set<string>(list)];
};

/** One, which may be in an array. */
export const oneTag: Check<string> = (value) => {
  const list = tagList(value);
  if (list instanceof Fault) return list;
  const [tag] = list;
  if (tag === undefined) return new Fault('must not be empty');
  return list.length === 1 ? tag : new Fault('must only specify one nic tag');
};

/** `tag` or, for a fabric, `tag/vnet`. */
export const tagOfNic: Check<string> = (value) => {
  const text = string(value);
  if (text instanceof Fault) return text;
  const [name = '', vnet, ...rest] = text.split('/');
  if (rest.length > 0) {
    return new Fault('only one slash is allowed after the tag name');
  }
  const tag = oneTag(name);
  if (tag instanceof Fault) return tag;
  const id = vnet === undefined ? 0 : vnetId(vnet);
  return id instanceof Fault ? id : text;
};

/** Where a request may name NIC tags. */
export interface NamedTags {
  nic_tag?: string | undefined;
  nic_tags_provided?: string[] | undefined;
  nic_tags_available?: string[] | undefined;
}

/** What is wrong with the tags that were named. */
export async function tagErrors(
  ctx: Pick<NapiContext, 'store'>,
  named: NamedTags,
): Promise<FieldError[]> {
  const errors: FieldError[] = [];
  const [tag] = named.nic_tag?.split('/') ?? [];
  if (tag !== undefined && (await findNicTag(ctx, tag)) === null) {
    errors.push(invalidParameter('nic_tag', 'nic tag does not exist'));
  }
  for (const field of ['nic_tags_available', 'nic_tags_provided'] as const) {
    const unknown: string[] = [];
    for (const name of named[field] ?? []) {
      if ((await findNicTag(ctx, name)) === null) unknown.push(name);
    }
    if (unknown.length === 0) continue;
    const message =
      unknown.length === 1 ? 'nic tag does not exist' : 'nic tags do not exist';
    errors.push(invalidParameter(field, message, { invalid: unknown }));
  }
  return errors;
}
