// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Between the AIP that napi-nat keeps and the one a customer sees, and between
 * their errors. RFD 158 names (`uuid`, `private-ip`) and CloudAPI names (`id`,
 * `private_ip`) are both given (design 5). Pure.
 */

import {
  type FieldError,
  missingParameter,
  ServiceError,
} from '#lib/errors.js';
import type { Aip, AipState } from '#lib/model/aip.js';

/** What a customer sees (RFD 158, "GetAIP"). */
export interface PublicAip {
  id: string;
  uuid: string;
  ip: string;
  family: 'ipv4';
  state: AipState;
  deletion_protection: boolean;
  private_ip?: string;
  'private-ip'?: string;
  description?: string;
  tags?: Record<string, string | number | boolean>;
  belongs_to_uuid?: string;
  belongs_to_type?: string;
  owner_uuid: string;
  created: string;
  updated: string;
}

/** The customer's view of an AIP; optional fields are left out, not null. */
export function toPublic(aip: Aip): PublicAip {
  return {
    id: aip.uuid,
    uuid: aip.uuid,
    ip: aip.ip,
    family: aip.family,
    state: aip.state,
    deletion_protection: aip.deletion_protection,
    ...(aip.private_ip === undefined
      ? {}
      : { private_ip: aip.private_ip, 'private-ip': aip.private_ip }),
    ...(aip.description === undefined ? {} : { description: aip.description }),
    ...(aip.tags === undefined ? {} : { tags: aip.tags }),
    ...(aip.belongs_to_uuid === undefined
      ? {}
      : {
          belongs_to_uuid: aip.belongs_to_uuid,
          belongs_to_type: aip.belongs_to_type ?? 'Instance',
        }),
    owner_uuid: aip.owner_uuid,
    created: aip.created_timestamp,
    updated: aip.modified_timestamp,
  };
}

function isFieldError(error: unknown): error is FieldError {
  return typeof (error as FieldError).field === 'string';
}

/** Codes of napi-nat that a customer sees as they are. */
const SHOWN = ['AIPInUse', 'CannotDestroyAIPError', 'IdempotencyKeyReused'];

/**
 * The error a customer gets for one of napi-nat's (facts: cloudapi 1.7): 404
 * and the codes above as they are, validation as 409 InvalidArgument with its fields,
 * everything that is our own trouble as 503.
 */
export function toPublicError(error: unknown): unknown {
  if (!(error instanceof ServiceError)) return error;
  const { code, message, errors } = error.body;
  if (error.status === 404) {
    return new ServiceError(404, { code: 'ResourceNotFound', message });
  }
  if (SHOWN.includes(code)) {
    return new ServiceError(error.status, { code, message });
  }
  if (code === 'QuotaExceeded') {
    return new ServiceError(403, {
      code: 'NotAuthorized',
      message:
        'Quota exceeded; to have your limits raised please contact Support',
    });
  }
  if (error.status === 412) {
    return new ServiceError(412, { code: 'PreconditionFailed', message });
  }
  if (error.status === 507) {
    return new ServiceError(503, {
      code: 'ServiceUnavailableError',
      message: 'no public address is free at the moment',
    });
  }
  if (error.status === 422 || error.status === 409) {
    const fields = (errors ?? []).filter(isFieldError);
    const [first] = fields;
    if (first?.code === 'MissingParameter' && fields.length === 1) {
      return missingArgument(String(first.field));
    }
    return invalidArgument(fields.length === 0 ? message : fields);
  }
  return new ServiceError(503, {
    code: 'ServiceUnavailableError',
    message: 'the address service is not available; try again',
  });
}

/** 409 MissingParameter as CloudAPI words it. */
export function missingArgument(field: string): ServiceError {
  const message = `${field} must be specified`;
  return new ServiceError(409, {
    code: 'MissingParameter',
    message,
    errors: [missingParameter(field, message)],
  });
}

/**
 * 409 InvalidArgument as CloudAPI words it: `property "f": m` joined by commas.
 * @param what a whole message, or the fields at fault
 */
export function invalidArgument(what: string | FieldError[]): ServiceError {
  if (typeof what === 'string') {
    return new ServiceError(409, { code: 'InvalidArgument', message: what });
  }
  const message = what
    .map((error) => `property "${error.field}": ${error.message}`)
    .join(', ');
  return new ServiceError(409, {
    code: 'InvalidArgument',
    message,
    errors: what,
  });
}
