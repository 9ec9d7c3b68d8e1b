// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Opens the gateways of a benchmark side by side. A path that is not there
 * becomes a line in the table, not a failure.
 */

import { missing, type Row } from '../report.js';
import {
  cleanUpAtExit,
  type Gateway,
  kernelGateway,
  NotAvailable,
  ourGateway,
  PATHS,
  type Path,
  type Settings,
  tuneMachine,
} from './gateway.js';
import { downAll } from './lab.js';
import { buildTraffic, Traffic } from './traffic.js';

export interface Opened {
  gateways: Gateway[];
  traffics: Traffic[];
  /** Rows of paths that are not available. */
  rows: Row[];
  close(): void;
}

let prepared = false;

function prepare(): void {
  if (prepared) return;
  prepared = true;
  buildTraffic();
  cleanUpAtExit();
}

/**
 * Raises the kernel's gateway and ours.
 * @param paths those of ours that are wanted
 */
export async function openGateways(
  settings: Settings,
  paths: readonly Path[] = PATHS,
): Promise<Opened> {
  prepare();
  tuneMachine(settings.flows);
  const gateways = [kernelGateway('ker', settings)];
  const rows: Row[] = [];
  for (const path of paths) {
    try {
      gateways.push(await ourGateway(path.slice(0, 3), path, settings));
    } catch (error) {
      // A path may be missing here; a daemon that has none is broken.
      if (!(error instanceof NotAvailable) || path === 'tun') throw error;
      rows.push(missing(path, error.message));
    }
  }
  return { gateways, traffics: [], rows, close: downAll };
}

/** The same with the traffic program in each lab. */
export async function openAll(
  settings: Settings,
  paths: readonly Path[] = PATHS,
): Promise<Opened> {
  const opened = await openGateways(settings, paths);
  try {
    for (const gateway of opened.gateways) {
      opened.traffics.push(await Traffic.start(gateway));
    }
    return opened;
  } catch (error) {
    opened.close();
    throw error;
  }
}
