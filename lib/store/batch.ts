// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Batches: requests are checked and their values written as text when the
 * caller asks, since the caller may change them while the batch waits; then
 * they run in order in one transaction.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { requireBucket } from './bucket.js';
import {
  deleteMany,
  deleteObject,
  putObject,
  updateObjects,
} from './mutate.js';
import type { Transaction } from './transaction.js';
import type {
  BatchRequest,
  BatchResult,
  JournalEvent,
  WriteOptions,
} from './types.js';

/** Requests after which others get a turn: a large batch must not stop them. */
const TURN = 64;

type Step = (txn: Transaction) => Promise<BatchResult['etags'][number]>;

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
): (txn: Transaction) => Promise<BatchResult> {
  const steps = requests.map(prepareRequest);
  const fixed = JSON.parse(JSON.stringify(events)) as JournalEvent[];
  return async (txn) => {
    const etags: BatchResult['etags'] = [];
    for (const step of steps) {
      etags.push(await step(txn));
      if (etags.length % TURN === 0) await turn();
    }
    txn.append(fixed);
    return { etags, position: txn.position() };
  };
}

function prepareRequest(request: BatchRequest): Step {
  const { bucket } = request;
  switch (request.operation) {
    case undefined:
    case 'put': {
      const { key } = request;
      const put = preparePut(bucket, key, request.value, request.options);
      return async (txn) => ({ bucket, key, ...put(txn) });
    }
    case 'delete': {
      const { key } = request;
      const etag = request.options?.etag;
      return async (txn) => {
        deleteObject(txn, requireBucket(txn, bucket), key, etag);
        return { bucket, key };
      };
    }
    case 'update': {
      const { filter } = request;
      const fields = structuredClone(request.fields);
      return async (txn) => {
        const found = requireBucket(txn, bucket);
        const done = await updateObjects(txn, found, fields, filter);
        return { bucket, filter, ...done };
      };
    }
    case 'deleteMany': {
      const { filter } = request;
      return async (txn) => {
        const found = requireBucket(txn, bucket);
        return { bucket, filter, ...(await deleteMany(txn, found, filter)) };
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
): (txn: Transaction) => { etag: string } {
  const json = valueText(value);
  const condition = options?.etag;
  if (typeof key !== 'string' || key === '') {
    throw new TypeError('a key must be text');
  }
  return (txn) => ({
    etag: putObject(txn, requireBucket(txn, bucket), key, json, condition),
  });
}
