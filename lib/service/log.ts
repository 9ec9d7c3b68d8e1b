// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Logs are bunyan records (facts: style 3.8): `component`, `req_id`, levels by
 * who should act. The only file that imports bunyan; everyone else names the
 * `Logger` type from here.
 */

import bunyan from 'bunyan';

export type Logger = bunyan;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export interface LogOptions {
  name: string;
  level: LogLevel;
  /** Where records go; standard error unless a test wants them elsewhere. */
  stream?: NodeJS.WritableStream;
}

/**
 * Makes a logger.
 * @param options its name, level and stream
 * @returns a bunyan logger whose `err` and `error` fields carry stacks
 */
export function createLogger(options: LogOptions): Logger {
  return bunyan.createLogger({
    name: options.name,
    serializers: { err: bunyan.stdSerializers.err },
    streams: [
      { level: options.level, stream: options.stream ?? process.stderr },
    ],
  });
}

/** A logger that says nothing, for tests and tools. */
export function silentLogger(): Logger {
  return bunyan.createLogger({ name: 'silent', streams: [] });
}
