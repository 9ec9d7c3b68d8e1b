// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The store's interface: moray's semantics (facts: triton-napi 9.2) with the
 * journal in the same batch. `openLevelStore` gives the embedded engine,
 * `openPostgresStore` the one that several processes share.
 */

/** Types an index can have; `[type]` is an array of them. */
export type ScalarIndexType =
  | 'string'
  | 'number'
  | 'boolean'
  | 'ip'
  | 'subnet'
  | 'mac'
  | 'uuid'
  | 'date'
  | 'numrange'
  | 'daterange';
export type IndexType = ScalarIndexType | `[${ScalarIndexType}]`;

export interface IndexSpec {
  type: IndexType;
  /** No two objects may have the same value; unset never conflicts. */
  unique?: boolean;
}

export interface BucketConfig {
  index: Record<string, IndexSpec>;
  options?: { version?: number };
}

export interface BucketInfo extends BucketConfig {
  name: string;
  mtime: number;
  /** Fields added by updateBucket and not yet reindexed. */
  reindex_active: string[];
}

export interface StoredObject<T = Record<string, unknown>> {
  bucket: string;
  key: string;
  value: T;
  _id: number;
  _etag: string;
  /** Milliseconds since the epoch. */
  _mtime: number;
}

/**
 * `undefined`: no check. `null`: must not exist. A string: must be the current
 * etag. A violation is an EtagConflictError.
 */
export type EtagCondition = string | null | undefined;

export interface WriteOptions {
  etag?: EtagCondition;
}

export type BatchRequest =
  | {
      operation?: 'put';
      bucket: string;
      key: string;
      value: object;
      options?: WriteOptions;
    }
  | {
      operation: 'delete';
      bucket: string;
      key: string;
      options?: WriteOptions;
    }
  | {
      operation: 'update';
      bucket: string;
      filter: string;
      fields: Record<string, unknown>;
    }
  | { operation: 'deleteMany'; bucket: string; filter: string }
  /** Writes nothing: the batch fails unless the condition holds. */
  | {
      operation: 'check';
      bucket: string;
      key: string;
      options: { etag: string | null };
    }
  /** Writes nothing: the batch fails when an object matches. */
  | { operation: 'absent'; bucket: string; filter: string };

/**
 * A change event committed with the batch that it is about (design 4.2).
 * `object` is what our own subscriber needs to fold without asking again: the
 * object as it is after the batch, or null when it is gone.
 */
export interface JournalEvent {
  resource: string;
  subResources: string[];
  id: string;
  object: object | null;
  /** More fields of the changefeed item, such as etag or cn_uuid. */
  extra?: Record<string, unknown>;
}

export interface JournalEntry extends JournalEvent {
  /** Position: strictly increasing by one, never used twice. */
  seq: number;
  /** Milliseconds since the epoch at commit. */
  published: number;
}

export interface BatchResult {
  etags: {
    bucket: string;
    key?: string;
    filter?: string;
    etag?: string;
    count?: number;
  }[];
  /** The journal's position after this batch. */
  position: number;
}

export interface SortSpec {
  attribute: string;
  order?: 'ASC' | 'DESC';
}

export interface FindOptions {
  /** Default 1000. */
  limit?: number;
  offset?: number;
  sort?: SortSpec | SortSpec[];
  noLimit?: boolean;
  /** Whoever does not ask for `count` does not pay for it. */
  noCount?: boolean;
  /** Refuses a filter with any field that no index serves. */
  requireIndexes?: boolean;
}

export interface FindResult<T> {
  objects: StoredObject<T>[];
  /** All matches, ignoring limit and offset; with noCount, those given. */
  count: number;
}

/** A run of addresses that no object of the bucket has (facts 8, step 1). */
export interface Gap {
  /** In host order. */
  start: number;
  length: number;
}

/** The journal as publishers and zones read it. */
export interface Journal {
  /** Position of the newest committed entry; 0 when there is none. */
  position(): number;
  /** The oldest position from which `read` still has everything. */
  horizon(): number;
  /**
   * Entries after `seq`, oldest first.
   * @throws StoreError JournalHorizonError when `seq` is below the horizon
   */
  read(seq: number, limit: number): Promise<JournalEntry[]>;
  /** Calls back after each commit that wrote entries; returns unsubscribe. */
  onCommit(listener: (entries: JournalEntry[]) => void): () => void;
  /** Forgets entries up to and including `seq`. */
  compact(seq: number): Promise<void>;
}

/** What a copy writes as it was, with nothing in its place. */
export interface Image {
  /** Says from when on, and until when, the store is not whole. */
  unfinished?: boolean;
  objects?: StoredObject[];
  /** Where the journal begins; before any entries. */
  horizon?: number;
  /** They follow what is there. */
  entries?: JournalEntry[];
}

export interface Store {
  createBucket(name: string, config: BucketConfig): Promise<void>;
  getBucket(name: string): Promise<BucketInfo>;
  updateBucket(name: string, config: BucketConfig): Promise<void>;
  /** Create or update; nothing when the versions are equal. */
  putBucket(name: string, config: BucketConfig): Promise<void>;
  deleteBucket(name: string): Promise<void>;
  listBuckets(): Promise<BucketInfo[]>;
  reindexObjects(
    name: string,
    count: number,
  ): Promise<{ processed: number; remaining: number }>;

  getObject<T = Record<string, unknown>>(
    bucket: string,
    key: string,
  ): Promise<StoredObject<T>>;
  putObject(
    bucket: string,
    key: string,
    value: object,
    options?: WriteOptions,
  ): Promise<{ etag: string }>;
  delObject(bucket: string, key: string, options?: WriteOptions): Promise<void>;
  findObjects<T = Record<string, unknown>>(
    bucket: string,
    filter: string,
    options?: FindOptions,
  ): Promise<FindResult<T>>;
  updateObjects(
    bucket: string,
    fields: Record<string, unknown>,
    filter: string,
  ): Promise<{ etag: string; count: number }>;
  deleteMany(bucket: string, filter: string): Promise<{ count: number }>;
  /** All or nothing, isolated, events in the same write. */
  batch(
    requests: BatchRequest[],
    events?: JournalEvent[],
  ): Promise<BatchResult>;
  /**
   * The lowest run of addresses strictly between `from` and `to` that no object
   * has in its `field` (an `ip` index), at most 50 long; null when none.
   */
  findGap(
    bucket: string,
    field: string,
    from: number,
    to: number,
  ): Promise<Gap | null>;

  /** Part of a copy (copy.ts): no condition is checked, nothing is new. */
  restore(image: Image): Promise<void>;

  /**
   * Tells the other processes that have this store open, now or never: nothing
   * is kept, and nobody answers. For what is observed, not what is decided.
   * @param text at most 7000 bytes
   */
  tell(text: string): void;
  /** Calls back with what another process tells; returns unsubscribe. */
  onTold(listener: (text: string) => void): () => void;

  readonly journal: Journal;
  /** Whether other processes can have this store open at the same time. */
  readonly shared: boolean;
  close(): Promise<void>;
}

/** Moray's error names (facts: triton-napi 9.2), and the journal's. */
export type StoreErrorName =
  | 'BucketNotFoundError'
  | 'BucketConflictError'
  | 'BucketVersionError'
  | 'ObjectNotFoundError'
  | 'EtagConflictError'
  | 'UniqueAttributeError'
  | 'NotIndexedError'
  | 'InvalidQueryError'
  | 'InvalidIndexTypeError'
  | 'InvalidBucketConfigError'
  | 'InvalidBucketNameError'
  | 'FieldUpdateError'
  | 'NotNullableError'
  | 'JournalHorizonError'
  | 'NoDatabasePeersError'
  | 'QueryTimeoutError'
  | 'LeaseLostError';

/** An error with moray's name and context; `name` is what callers test. */
export class StoreError extends Error {
  override readonly name: StoreErrorName;
  readonly context: Record<string, string>;

  constructor(
    name: StoreErrorName,
    message: string,
    context: Record<string, string> = {},
  ) {
    super(message);
    this.name = name;
    this.context = context;
  }
}

/** Whether `error` is a StoreError of this name. */
export function isStoreError(
  error: unknown,
  name: StoreErrorName,
): error is StoreError {
  return error instanceof StoreError && error.name === name;
}
