// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The errors that cross a process boundary. Every HTTP service answers with
 * `{code, message}` or `{code, message, errors: [{field, code, message}]}`
 * (facts: triton-napi 1.2, cloudapi 1.7); `ServiceError` is that body plus its
 * status. Domain code throws it, `lib/http` writes it, clients read it back.
 */

/** What is wrong with one field of a request. */
export interface FieldError {
  /** The field's name; an array for UnknownParameters, as NAPI does. */
  field: string | string[];
  code: string;
  message: string;
  [extra: string]: unknown;
}

/** An object that stands in the way (facts: triton-napi 1.2, "used by"). */
export interface UsedByError {
  type: string;
  id: string;
  code: 'UsedBy';
  message: string;
  [extra: string]: unknown;
}

export interface ErrorBody {
  code: string;
  message: string;
  errors?: (FieldError | UsedByError)[];
  [extra: string]: unknown;
}

/** An error with an HTTP status and the body that a client sees. */
export class ServiceError extends Error {
  readonly status: number;
  readonly body: ErrorBody;
  readonly headers: Record<string, string>;

  /**
   * @param status HTTP status, 4xx or 5xx
   * @param body what the client receives
   * @param headers more response headers, such as Allow
   */
  constructor(
    status: number,
    body: ErrorBody,
    headers: Record<string, string> = {},
  ) {
    super(body.message);
    this.name = body.code;
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** A field error of the most common kind. */
export function invalidParameter(
  field: string,
  message: string,
  extra: Record<string, unknown> = {},
): FieldError {
  return { field, code: 'InvalidParameter', message, ...extra };
}

/** A field error for something that should have been sent. */
export function missingParameter(
  field: string,
  message = 'Missing parameter',
): FieldError {
  return { field, code: 'MissingParameter', message };
}

/** 404 with the message naming what was not found. */
export function notFound(message: string): ServiceError {
  return new ServiceError(404, { code: 'ResourceNotFound', message });
}

/** 422 InUse, naming each that stands in the way, sorted. */
export function inUse(
  message: string,
  type: string,
  ids: readonly string[],
): ServiceError {
  const errors: UsedByError[] = [...ids].sort().map((id) => ({
    type,
    id,
    code: 'UsedBy',
    message: `In use by ${type} "${id}"`,
  }));
  return new ServiceError(422, { code: 'InUse', message, errors });
}

/**
 * A failed command line or configuration: printed as one line, exit status 2.
 */
export class UsageError extends Error {
  readonly exitStatus = 2;
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
