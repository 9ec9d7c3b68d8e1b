// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Batches: requests are checked and their values written as text when the
 * caller asks, since the caller may change them while the batch waits; then
 * they run in order in one transaction.
 */

import { setImmediate as turn } from 'node:timers/promises';
import type {
  BatchRequest,
  BatchResult,
  EtagCondition,
  JournalEvent,
  WriteOptions,
} from './types.js';

/** Requests after which others get a turn: a large batch must not stop them. */
const TURN = 64;

/** What a put did. */
export interface Written {
  etag: string;
  /** The object's `_id`. */
  id: number;
  /** Whether there was an object before. */
  update: boolean;
}

/** A transaction of either engine, as a batch sees it. */
export interface Target {
  /** @param json the value's text */
  put(
    bucket: string,
    key: string,
    json: string,
    condition: EtagCondition,
  ): Written | Promise<Written>;
  /** @returns the `_id` that the object had */
  remove(
    bucket: string,
    key: string,
    condition: EtagCondition,
  ): number | Promise<number>;
  /** @throws StoreError EtagConflictError */
  check(
    bucket: string,
    key: string,
    condition: EtagCondition,
  ): void | Promise<void>;
  update(
    bucket: string,
    fields: Record<string, unknown>,
    filter: string,
  ): Promise<{ etag: string; count: number }>;
  deleteMany(bucket: string, filter: string): Promise<{ count: number }>;
  /** @throws StoreError EtagConflictError naming the first that matches */
  absent(bucket: string, filter: string): Promise<void>;
  append(events: JournalEvent[]): void;
  /** The journal's position after what was appended so far. */
  position(): number;
}

type Step = (target: Target) => Promise<BatchResult['etags'][number]>;

/**
 * A value's text.
 * @throws TypeError when it is not a plain object
 */
export function valueText(value: object): string {
  const text: unknown = JSON.stringify(value);
  if (typeof text !== 'string' || !text.startsWith('{')) {
    throw new TypeError('a value must be an object');
  }
  return text;
}

/**
 * @param requests in the order in which they take effect
 * @param events appended to the journal in the same commit
 * @returns the work for the writer
 */
export function prepareBatch(
  requests: BatchRequest[],
  events: JournalEvent[],
): (target: Target) => Promise<BatchResult> {
  const steps = requests.map(prepareRequest);
  const fixed = JSON.parse(JSON.stringify(events)) as JournalEvent[];
  return async (target) => {
    const etags: BatchResult['etags'] = [];
    for (const step of steps) {
      etags.push(await step(target));
      if (etags.length % TURN === 0) await turn();
    }
    target.append(fixed);
    return { etags, position: target.position() };
  };
}

function prepareRequest(request: BatchRequest): Step {
  const { bucket } = request;
  switch (request.operation) {
    case undefined:
    case 'put': {
      const { key } = request;
      const put = preparePut(bucket, key, request.value, request.options);
      return async (target) => ({ bucket, key, ...(await put(target)) });
    }
    case 'delete': {
      const { key } = request;
      const etag = request.options?.etag;
      return async (target) => {
        await target.remove(bucket, key, etag);
        return { bucket, key };
      };
    }
    case 'check': {
      const { key } = request;
      const { etag } = request.options;
      return async (target) => {
        await target.check(bucket, key, etag);
        return { bucket, key };
      };
    }
    case 'update': {
      const { filter } = request;
      const fields = structuredClone(request.fields);
      return async (target) => {
        const done = await target.update(bucket, fields, filter);
        return { bucket, filter, ...done };
      };
    }
    case 'deleteMany': {
      const { filter } = request;
      return async (target) => {
        const done = await target.deleteMany(bucket, filter);
        return { bucket, filter, ...done };
      };
    }
    case 'absent': {
      const { filter } = request;
      return async (target) => {
        await target.absent(bucket, filter);
        return { bucket, filter };
      };
    }
    default:
      throw new TypeError(
        `unknown operation "${String((request as BatchRequest).operation)}"`,
      );
  }
}

/** A put with its value taken now. */
export function preparePut(
  bucket: string,
  key: string,
  value: object,
  options: WriteOptions | undefined,
): (target: Target) => Promise<{ etag: string }> {
  const json = valueText(value);
  const condition = options?.etag;
  if (typeof key !== 'string' || key === '') {
    throw new TypeError('a key must be text');
  }
  return async (target) => {
    const { etag } = await target.put(bucket, key, json, condition);
    return { etag };
  };
}
