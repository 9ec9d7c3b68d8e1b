// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** VXLAN network identifiers ("vnet ids" in Triton): 24-bit numbers. */

/** The largest vnet id (RFC 7348 section 5: the VNI has 24 bits). */
export const VNET_MAX = 0xffffff;

/** Whether a value is a vnet id. */
export function isVnet(value: unknown): value is number {
  return (
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value >= 0 &&
    value <= VNET_MAX
  );
}
