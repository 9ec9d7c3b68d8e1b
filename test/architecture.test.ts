// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The house rules as tests: file and function sizes, dependency directions,
 * one folder for each infrastructure package, and documents that agree with
 * the code. A limit that only a reviewer knows is an opinion; these fail.
 * The rules are explained in CONTRIBUTING.md.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'tape';

const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((name) => name !== '' && existsSync(name));

const typescript = files.filter((name) => name.endsWith('.ts'));
const cpp = files.filter((name) => /\.(cc|h)$/.test(name));

function read(name: string): string {
  return readFileSync(name, 'utf8');
}

function lines(name: string): number {
  return read(name).trimEnd().split('\n').length;
}

/** Module specifiers that a TypeScript file names, types included. */
function imports(name: string): string[] {
  const found = read(name).matchAll(
    /^(?:import|export)\b[^;'"]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm,
  );
  return [...found].map((match) => (match[1] ?? match[2]) as string);
}

/** The repository file or folder that a specifier leads to, or a package. */
function target(from: string, specifier: string): string {
  if (specifier.startsWith('#lib/')) return `lib/${specifier.slice(5)}`;
  if (specifier.startsWith('#test/')) return `test/lib/${specifier.slice(6)}`;
  if (specifier.startsWith('#native/')) {
    return `native/vxlnat/ts/${specifier.slice(8)}`;
  }
  if (specifier.startsWith('.')) {
    return normalize(join(dirname(from), specifier));
  }
  return specifier;
}

function offenders(
  names: string[],
  wrong: (file: string, to: string) => boolean,
): string[] {
  return names.flatMap((file) =>
    imports(file)
      .map((specifier) => target(file, specifier))
      .filter((to) => wrong(file, to))
      .map((to) => `${file} imports ${to}`),
  );
}

test('no file is longer than its limit', (t) => {
  const limit = (name: string) => {
    if (name.includes('test/')) return 500;
    return name.endsWith('.ts') ? 400 : 450;
  };
  const long = [...typescript, ...cpp]
    .filter((name) => lines(name) > limit(name))
    .map((name) => `${name}: ${lines(name)}`);
  t.deepEqual(long, []);
  t.end();
});

/**
 * Where top-level functions of a formatted C++ file begin, with their lengths:
 * from the first line of the signature to the `}` in the first column.
 */
function functionLengths(text: string): { line: number; length: number }[] {
  const found: { line: number; length: number }[] = [];
  let head = -1;
  let isFunction = false;
  let open = false;
  text.split('\n').forEach((line, i) => {
    if (!open && /^[^\s/#}]/.test(line) && head < 0) {
      head = i;
      isFunction = !/^(extern|namespace|struct|class|enum|union)\b/.test(line);
    }
    if (open && /^\};?$/.test(line)) {
      if (isFunction) found.push({ line: head + 1, length: i - head + 1 });
      open = false;
      head = -1;
    } else if (!open && head >= 0 && /\{$/.test(line)) {
      open = !/^(namespace|extern)\b/.test(line);
      if (!open) head = -1;
    } else if (!open && /[;})]$/.test(line)) {
      if (/[;}]$/.test(line)) head = -1;
    }
  });
  return found;
}

test('no C++ function is longer than 70 lines', (t) => {
  const sources = cpp.filter((name) => name.endsWith('.cc'));
  const all = sources.flatMap((name) =>
    functionLengths(read(name)).map((each) => ({ name, ...each })),
  );
  t.ok(all.length > 300, `${all.length} functions were found`);
  t.deepEqual(
    all.filter(({ length }) => length > 70),
    [],
  );
  t.end();
});

test('an infrastructure package is imported in one folder only', (t) => {
  const homes: Record<string, string> = {
    restify: 'lib/http/',
    level: 'lib/store/',
    pg: 'lib/store/postgres/',
    ws: 'lib/changefeed/',
    ajv: 'lib/schema/',
    bunyan: 'lib/service/',
  };
  const wrong = offenders(
    typescript.filter((name) => !name.startsWith('test/')),
    (file, to) => {
      const home = homes[to.split('/')[0] as string];
      return home !== undefined && !file.startsWith(home);
    },
  );
  t.deepEqual(wrong, []);
  t.end();
});

test('dependencies point one way', (t) => {
  const service = (path: string) => /^services\/([^/]+)\//.exec(path)?.[1];
  const wrong = offenders(typescript, (file, to) => {
    if (file.startsWith('test/')) return false;
    if (to.startsWith('test/') && !file.startsWith('test/')) return true;
    if (file.startsWith('lib/')) {
      return /^(services|native|demo|sdcadm-plugin)\//.test(to);
    }
    if (file.startsWith('sdcadm-plugin/')) {
      return /^(services|native|demo)\//.test(to);
    }
    if (to.startsWith('sdcadm-plugin/')) return true;
    const own = service(file);
    if (own !== undefined && service(to) !== undefined) {
      return service(to) !== own;
    }
    return false;
  });
  t.deepEqual(wrong, []);
  t.end();
});

test('only vxlnatd/engine.ts reaches the native engine', (t) => {
  const wrong = offenders(
    typescript.filter((name) => !name.startsWith('test/')),
    (file, to) =>
      to.startsWith('native/vxlnat/ts/') &&
      !file.startsWith('native/vxlnat/ts/') &&
      file !== 'services/vxlnatd/engine.ts',
  );
  t.deepEqual(wrong, []);
  t.end();
});

test('pure files import no I/O, clock or logger', (t) => {
  const pure = typescript.filter(
    (name) =>
      /^lib\/(net|model)\//.test(name) ||
      /^services\/napi-nat\/placement/.test(name) ||
      /^services\/vxlnatd\/(desired|plan)\.ts$/.test(name),
  );
  const wrong = offenders(
    pure,
    (_file, to) =>
      /^node:(fs|net|http|dgram|child_process|timers)/.test(to) ||
      /^lib\/(clock|service|http|store|changefeed)/.test(to),
  );
  t.ok(pure.length > 5, 'there are pure files');
  t.deepEqual(wrong, []);
  t.end();
});

test('the engine includes itself and the standard library only', (t) => {
  const engine = cpp.filter((name) => name.startsWith('native/vxlnat/engine/'));
  const banned =
    /#include <(napi|thread|chrono|iostream|mutex|sys|unistd|netinet|arpa)/;
  const wrong = engine.filter(
    (name) =>
      banned.test(read(name)) ||
      [...read(name).matchAll(/#include "([^"]+)"/g)].some((match) =>
        /^(\.\.\/)*(io|addon)\//.test(match[1] as string),
      ),
  );
  t.ok(engine.length > 10, 'there is an engine');
  t.deepEqual(wrong, []);
  t.end();
});

test('every drop reason is explained in docs/counters.md', (t) => {
  const names = [
    ...read('native/vxlnat/engine/drops.def').matchAll(/^X\((\w+),/gm),
  ].map((match) => match[1] as string);
  const documented = [
    ...read('docs/counters.md').matchAll(/^\| `(\w+)` \|/gm),
  ].map((match) => match[1] as string);
  t.ok(names.length > 10, 'there are drop reasons');
  t.deepEqual([...documented].sort(), [...names].sort());
  t.end();
});

test('what docs/requirements.md names exists', (t) => {
  const named = [
    ...read('docs/requirements.md').matchAll(
      /`((?:test|native|lib|services|demo|docs)\/[^`\s]+)`/g,
    ),
  ].map((match) => match[1] as string);
  t.ok(named.length > 20, 'requirements name files');
  t.deepEqual(
    named.filter((name) => !existsSync(name)),
    [],
  );
  t.end();
});

test('the README names every folder of the top level', (t) => {
  const folders = new Set(
    files
      .filter((name) => name.includes('/') && !name.startsWith('.'))
      .map((name) => `${name.split('/')[0]}/`),
  );
  const readme = read('README.md');
  t.deepEqual(
    [...folders].filter((folder) => !readme.includes(`\`${folder}\``)),
    [],
  );
  t.end();
});

test('every file carries the licence line', (t) => {
  const without = [...typescript, ...cpp].filter(
    (name) => !read(name).slice(0, 600).includes('Mozilla Public'),
  );
  t.deepEqual(without, []);
  t.end();
});
