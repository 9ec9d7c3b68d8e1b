// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A site without Triton: this machine runs the services as systemd units.
 * Units are ours and replaced when they differ; configuration files belong to
 * the operator and are only written where there are none.
 */

import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '#lib/errors.js';
import type { Context } from '../context.js';
import type { Procedure } from '../procedure.js';

export const LOCAL_SERVICES = [
  'napi-nat',
  'cloudapi-aip',
  'vxlnatd',
  'svp-agent',
] as const;

/** The repository or the package, of which this file is `dist/`'s. */
const HOME = fileURLToPath(new URL('../../..', import.meta.url));
const TEMPLATES = join(HOME, 'sdcadm-plugin', 'systemd');

interface File {
  path: string;
  content: string;
  /** Ours is written over what is there; the operator's is not. */
  ours: boolean;
}

/** What an operator fills in before a service can run. */
const SETTINGS: Readonly<Record<string, string[]>> = {
  vxlnatd: ['vxlnatd.json', 'vxlnatd.env', 'rules'],
};

/** Paths of this installation in place of `@HOME@` and `@NODE@`. */
function filled(template: string): string {
  return readFileSync(join(TEMPLATES, template), 'utf8')
    .replaceAll('@HOME@', HOME.replace(/\/$/, ''))
    .replaceAll('@NODE@', process.execPath);
}

function filesOf(service: string, root: string): File[] {
  const unit = `${service}.service`;
  const settings = SETTINGS[service] ?? [`${service}.json`];
  return [
    {
      path: join(root, '/etc/systemd/system', unit),
      content: filled(unit),
      ours: true,
    },
    ...settings.map((name) => ({
      path: join(root, '/etc/vxlnat', name),
      content: filled(name),
      ours: false,
    })),
  ];
}

function isDone({ path, content, ours }: File): boolean {
  if (!existsSync(path)) return false;
  return !ours || readFileSync(path, 'utf8') === content;
}

/**
 * Never half a file, whenever the power fails. Settings come to hold passwords:
 * the units give them to their account's group.
 */
function write({ path, content, ours }: File): void {
  mkdirSync(dirname(path), { recursive: true });
  const mode = ours ? 0o644 : 0o640;
  writeFileSync(`${path}.new`, content, { mode });
  renameSync(`${path}.new`, path);
}

/** The account that units run as, known to the system before their start. */
async function makeAccount(ctx: Context): Promise<void> {
  if (await succeeds(ctx, 'id', ['vxlnat'])) return;
  await ctx.run('useradd', ['--system', '--user-group', 'vxlnat']);
}

async function succeeds(ctx: Context, program: string, args: string[]) {
  try {
    await ctx.run(program, args);
    return true;
  } catch {
    return false;
  }
}

/** What is to be done for one service. */
interface Lack {
  service: string;
  files: File[];
  /** Its settings are new: nobody has filled them in. */
  unfilled: File[];
  start: boolean;
}

async function lackOf(
  ctx: Context,
  service: string,
  root: string,
): Promise<Lack | null> {
  const files = filesOf(service, root).filter((file) => !isDone(file));
  const unfilled = files.filter((file) => !file.ours);
  const unit = `${service}.service`;
  const start =
    root === '' &&
    unfilled.length === 0 &&
    (files.length > 0 ||
      !(await succeeds(ctx, 'systemctl', ['is-enabled', '--quiet', unit])));
  if (files.length === 0 && !start) return null;
  return { service, files, unfilled, start };
}

async function supply(ctx: Context, lack: Lack): Promise<void> {
  for (const file of lack.files) {
    ctx.ui(`Writing ${file.path}`);
    write(file);
  }
  if (lack.unfilled.length > 0) {
    const names = lack.unfilled.map(({ path }) => path).join(', ');
    ctx.ui(`Fill in ${names}; then run this command again to start it`);
  }
  if (!lack.start) return;
  const unit = `${lack.service}.service`;
  await makeAccount(ctx);
  await ctx.run('systemctl', ['daemon-reload']);
  ctx.ui(`Starting ${unit}`);
  await ctx.run('systemctl', ['enable', unit]);
  await ctx.run('systemctl', ['restart', unit]);
}

/**
 * A service whose settings were just written is not started: they hold
 * documentation addresses (RFC 5737). The next run starts it.
 * @param services of `LOCAL_SERVICES`
 * @param root '' for this machine; else a directory in which files are written
 *   and nothing is started
 * @throws UsageError for a service that there is not
 */
export function installUnits(services: string[], root: string): Procedure {
  for (const service of services) {
    if (!(LOCAL_SERVICES as readonly string[]).includes(service)) {
      throw new UsageError(
        `--services: there is no "${service}", only ${LOCAL_SERVICES.join(', ')}`,
      );
    }
  }
  return async (ctx) => {
    const lacks = (
      await Promise.all(services.map((name) => lackOf(ctx, name, root)))
    ).filter((lack) => lack !== null);
    if (lacks.length === 0) return null;
    return {
      summary: lacks.flatMap(({ service, files, start }) => [
        ...files.map(({ path }) => `write ${path}`),
        ...(start ? [`enable and start ${service}`] : []),
      ]),
      execute: async () => {
        for (const lack of lacks) await supply(ctx, lack);
      },
    };
  };
}
