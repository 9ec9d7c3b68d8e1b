// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * moray's triggers: functions that run in the transaction of a write. `pre`
 * runs before each put and may change or refuse what is written; `post` runs
 * after each put and delete and may write more, such as an audit line. They
 * run for single writes and for those of batches, in their order, not for
 * `update` and `deleteMany`, and not for what triggers write.
 *
 * moray keeps them with the bucket as source text. Here they are given when
 * the store is opened: whoever can write to a database shall not thereby run
 * code in the processes that read it. A write can be tried again, so a
 * trigger has no effect but through its target; all other writes wait for it.
 */

import { type Target, valueText } from './batch.js';

/** What a trigger can do in the transaction of its write. */
export type TriggerTarget = Pick<Target, 'put' | 'remove' | 'check' | 'append'>;

/** A put that is about to be made. */
export interface Put {
  readonly bucket: string;
  readonly key: string;
  /** What is written is what is here in the end. */
  value: Record<string, unknown>;
}

/** A put or delete that was made. */
export interface Done {
  readonly bucket: string;
  readonly key: string;
  /** The object's `_id`. */
  readonly id: number;
  /** What it is now; null when it was deleted. */
  readonly value: Record<string, unknown> | null;
  /** Whether there was an object before. */
  readonly update: boolean;
}

/** Of one bucket, each in the order in which they run. */
export interface Triggers {
  /** What one throws refuses the write, and the batch that it is in. */
  pre?: ((put: Put, target: TriggerTarget) => void | Promise<void>)[];
  post?: ((done: Done, target: TriggerTarget) => void | Promise<void>)[];
}

/** By the name of the bucket. */
export type BucketTriggers = Readonly<Record<string, Triggers>>;

/** A transaction whose puts and deletes run triggers. */
export function withTriggers(target: Target, all: BucketTriggers): Target {
  if (Object.keys(all).length === 0) return target;
  const of = (bucket: string): Triggers =>
    Object.hasOwn(all, bucket) ? (all[bucket] as Triggers) : {};
  const inner: TriggerTarget = {
    put: (...write) => target.put(...write),
    remove: (...write) => target.remove(...write),
    check: (...condition) => target.check(...condition),
    append: (events) => target.append(events),
  };
  return {
    ...inner,
    async put(bucket, key, json, condition) {
      const { pre = [], post = [] } = of(bucket);
      if (pre.length + post.length === 0) {
        return target.put(bucket, key, json, condition);
      }
      const put: Put = { bucket, key, value: JSON.parse(json) };
      for (const trigger of pre) await trigger(put, inner);
      const text = valueText(put.value);
      const written = await target.put(bucket, key, text, condition);
      const { id, update } = written;
      for (const trigger of post) {
        const value = JSON.parse(text) as Record<string, unknown>;
        await trigger({ bucket, key, id, value, update }, inner);
      }
      return written;
    },
    async remove(bucket, key, condition) {
      const id = await target.remove(bucket, key, condition);
      for (const trigger of of(bucket).post ?? []) {
        await trigger({ bucket, key, id, value: null, update: true }, inner);
      }
      return id;
    },
    update: (...write) => target.update(...write),
    deleteMany: (...write) => target.deleteMany(...write),
    absent: (...condition) => target.absent(...condition),
    position: () => target.position(),
  };
}
