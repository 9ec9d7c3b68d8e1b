// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * sdcadm's errors: each says which code it prints and which status the process
 * ends with (facts: svp-portolan-vxlnat 6.1). `UsageError` is lib/errors'.
 */

import { ServiceError } from '#lib/errors.js';

/** A failure that has a code of sdcadm's. */
export class SdcadmError extends Error {
  readonly code: string;
  readonly exitStatus: number;

  constructor(code: string, exitStatus: number, message: string) {
    super(message);
    this.name = `${code}Error`;
    this.code = code;
    this.exitStatus = exitStatus;
  }
}

/** What was asked cannot be done in this state of the datacenter. */
export function updateError(message: string): SdcadmError {
  return new SdcadmError('Update', 2, message);
}

/** An object of Triton's is not as it has to be. */
export function validationError(message: string): SdcadmError {
  return new SdcadmError('Validation', 2, message);
}

/** Something that should not happen. */
export function internalError(message: string): SdcadmError {
  return new SdcadmError('Internal', 1, message);
}

/** An API's refusal, with the API's name and its field errors indented. */
export function clientError(service: string, error: unknown): unknown {
  if (!(error instanceof ServiceError)) return error;
  const { code, message, errors = [] } = error.body;
  const fields = errors.map((each) =>
    'field' in each
      ? `\n    ${[each['field']].flat().join(', ')}: ${each.message}`
      : `\n    ${each.message}`,
  );
  return new SdcadmError(
    'SDCClient',
    1,
    `${service} client error (${code}): ${message}${fields.join('')}`,
  );
}
