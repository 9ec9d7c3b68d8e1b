// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The errors that the native engine's wrapper throws. Native code throws plain
 * errors whose `name` says which class is meant; `asVxlNatError` turns them
 * into these classes, so that a caller tests with `instanceof` or by `code`.
 */

/** Any error of the engine; `code` equals the class's name without Error. */
export class VxlNatError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = `${code}Error`;
    this.code = code;
  }
}

/** A value of the wrong type or out of range; nothing was changed. */
export class InvalidValueError extends VxlNatError {
  /** Path of the value, such as `operations[3].prefix`. */
  readonly field: string;

  constructor(field: string, problem: string, options?: ErrorOptions) {
    super('InvalidValue', `${field}: ${problem}`, options);
    this.field = field;
  }
}

/** A socket, the TUN device or an interface could not be used. */
export class EngineIoError extends VxlNatError {
  constructor(message: string, options?: ErrorOptions) {
    super('EngineIo', message, options);
  }
}

/** The engine has been closed. */
export class EngineClosedError extends VxlNatError {
  constructor(message = 'the engine is closed', options?: ErrorOptions) {
    super('EngineClosed', message, options);
  }
}

/** The mailbox to the worker is full: try again later. */
export class EngineBusyError extends VxlNatError {
  constructor(message: string, options?: ErrorOptions) {
    super('EngineBusy', message, options);
  }
}

/** `build/Release/vxlnat.node` is missing or does not fit this Node. */
export class AddonMissingError extends VxlNatError {
  constructor(message: string, options?: ErrorOptions) {
    super('AddonMissing', message, options);
  }
}

/**
 * The class for what native code threw. Field errors read `path: problem`.
 * @param thrown anything; what is not a named native error is returned as is
 */
export function asVxlNatError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const options = { cause: thrown };
  switch (thrown.name) {
    case 'FieldError': {
      const colon = thrown.message.indexOf(': ');
      return new InvalidValueError(
        thrown.message.slice(0, Math.max(colon, 0)),
        thrown.message.slice(colon < 0 ? 0 : colon + 2),
        options,
      );
    }
    case 'IoError':
      return new EngineIoError(thrown.message, options);
    case 'ClosedError':
      return new EngineClosedError(thrown.message, options);
    case 'BusyError':
      return new EngineBusyError(thrown.message, options);
    default:
      return thrown;
  }
}
