// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Which image a zone is made from, and how it comes into the datacenter. */

import type { Context } from '../context.js';
import { internalError, updateError } from '../errors.js';
import type { Image, SapiService } from '../triton.js';
import { SERVICE } from './site.js';

/** What `-i` and `-C` say. */
export interface ImageWish {
  image: string;
  channel: string;
}

export interface ChosenImage extends Image {
  /** It has to be downloaded first. */
  missing: boolean;
}

/** Words for an image: `UUID (name@version)` over two lines. */
export function imageLines(
  before: string,
  image: { uuid: string; name: string; version: string },
): string {
  return `${before} ${image.uuid}\n    (${image.name}@${image.version})`;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** An import of a large image over a slow line. */
const IMPORT_LIMIT_MS = 3_600_000;
const POLL_MS = 2000;

async function local(ctx: Context, uuid: string): Promise<Image | null> {
  const image = await ctx.clients.imgapi.image(uuid);
  return image?.state === undefined || image.state === 'active' ? image : null;
}

async function current(
  ctx: Context,
  service: SapiService | null,
): Promise<Image> {
  const uuid = service?.params['image_uuid'];
  if (typeof uuid !== 'string') {
    throw updateError(
      `There is no current image of "${SERVICE}": it was never set up. Use -i latest.`,
    );
  }
  const image = await ctx.clients.imgapi.image(uuid);
  if (image === null) throw internalError(`IMGAPI has no image ${uuid}`);
  return image;
}

async function newest(ctx: Context, wish: ImageWish): Promise<Image> {
  const images = await ctx.clients.updates.images({
    name: SERVICE,
    channel: wish.channel,
    ...(wish.image === 'latest' ? {} : { version: wish.image }),
  });
  const [image] = images.sort((a, b) =>
    (a.published_at ?? '') < (b.published_at ?? '') ? 1 : -1,
  );
  if (image === undefined) {
    const which = wish.image === 'latest' ? '' : ` version "${wish.image}"`;
    throw updateError(
      `no "${SERVICE}" image${which} found in channel "${wish.channel}"`,
    );
  }
  return image;
}

async function byUuid(ctx: Context, wish: ImageWish): Promise<Image> {
  const image =
    (await ctx.clients.imgapi.image(wish.image)) ??
    (await ctx.clients.updates.image(wish.image, wish.channel));
  if (image === null) {
    throw updateError(
      `no image ${wish.image} found in IMGAPI or in channel "${wish.channel}"`,
    );
  }
  return image;
}

/**
 * Finds the image.
 * @param service ours, if it is set up: where `current` comes from
 * @throws SdcadmError where there is no such image
 */
export async function chooseImage(
  ctx: Context,
  wish: ImageWish,
  service: SapiService | null,
): Promise<ChosenImage> {
  const image =
    wish.image === 'current'
      ? await current(ctx, service)
      : UUID.test(wish.image)
        ? await byUuid(ctx, wish)
        : await newest(ctx, wish);
  return { ...image, missing: (await local(ctx, image.uuid)) === null };
}

/**
 * Brings an image into the datacenter's IMGAPI; harmless when it is there or
 * on its way.
 * @throws SdcadmError when it is not active within an hour
 */
export async function importImage(ctx: Context, image: Image): Promise<void> {
  const { imgapi } = ctx.clients;
  const started = ctx.now();
  if ((await imgapi.image(image.uuid)) === null) {
    await imgapi.importRemote(image.uuid, ctx.clients.urls.updates);
  }
  while ((await local(ctx, image.uuid)) === null) {
    if (ctx.now() - started > IMPORT_LIMIT_MS) {
      throw internalError(
        `image ${image.uuid} was not imported within an hour; see IMGAPI's log`,
      );
    }
    await ctx.pause(POLL_MS);
  }
}
