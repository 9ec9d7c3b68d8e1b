// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What an operator sees who starts a program wrongly: status 2 for the command
 * line and configuration, 1 for what fails at run time, 0 for --help; a line
 * that names the file and the place in it, never a stack.
 */

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { napiConfig } from '#test/napi-config.js';
import { temporaryDirectory } from '#test/tmp.js';

const PROGRAMS = {
  'napi-nat': 'napi-nat/main.js',
  'cloudapi-aip': 'cloudapi-aip/main.js',
  vxlnatd: 'vxlnatd/main.js',
  vxlnatadm: 'vxlnatd/adm/main.js',
  'svp-agent': 'svp-agent/main.js',
} as const;
type Program = keyof typeof PROGRAMS;
/** Those with a JSON configuration, and the option that names it. */
const OPTION = {
  'napi-nat': '-f',
  'cloudapi-aip': '-f',
  vxlnatd: '-c',
  'svp-agent': '-f',
} as const;
type Service = keyof typeof OPTION;
const SERVICES = Object.keys(OPTION) as Service[];

/** A start that must fail does so in far less. */
const PATIENCE_MS = 30_000;
const AT_ONCE = 4;

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

function run(program: Program, args: string[]): Promise<Ran> {
  const url = new URL(`../../services/${PROGRAMS[program]}`, import.meta.url);
  const child = spawn(process.execPath, [url.pathname, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LOG_LEVEL: '' },
  });
  const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const ran: Ran = { status: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    ran.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    ran.stderr += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (status) => {
      clearTimeout(late);
      resolve({ ...ran, status });
    });
  });
}

interface Case {
  what: string;
  program: Program;
  args: string[];
  status: number;
  /** What stderr must say: the file, the place, the option. */
  says: (string | RegExp)[];
  /** Most lines on stderr. */
  lines?: number;
}

function complaints(
  { program, status, says, lines = 1 }: Case,
  ran: Ran,
): string[] {
  const found: string[] = [];
  if (ran.status !== status) found.push(`status ${ran.status}, not ${status}`);
  // Records of the log are there too; they are no complaints.
  const said = ran.stderr.split('\n').filter((line) => /^[^{]/.test(line));
  if (said.length === 0) found.push('silent');
  if (said.length > lines) found.push(`${said.length} lines`);
  if (said.some((line) => !line.startsWith(`${program}: `))) {
    found.push('a line without the name of the program');
  }
  if (/^\s+at |\.js:\d+|node:internal/m.test(ran.stderr)) found.push('a stack');
  for (const each of says) {
    const there =
      typeof each === 'string'
        ? ran.stderr.includes(each)
        : each.test(ran.stderr);
    if (!there) found.push(`does not say ${each}`);
  }
  return found;
}

/** Runs the cases, a few at once. */
async function all(t: Test, cases: Case[]): Promise<void> {
  const left = [...cases];
  async function work(): Promise<void> {
    for (let each = left.shift(); each; each = left.shift()) {
      const ran = await run(each.program, each.args);
      const wrong = complaints(each, ran);
      t.deepEqual(wrong, [], `${each.program}: ${each.what}`);
      if (wrong.length > 0) t.comment(ran.stderr);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

const ZONE = '7a6f6e65-0000-4000-8000-000000000001';

/** A configuration that each service would start with. */
function good(service: Service, directory: string): object {
  switch (service) {
    case 'napi-nat':
      return napiConfig(directory);
    case 'cloudapi-aip':
      return {
        listen: { host: '127.0.0.1', port: 0 },
        napi_nat: { url: 'http://127.0.0.1:1' },
        accounts: { file: join(directory, 'accounts.json') },
      };
    case 'vxlnatd':
      return {
        zone_uuid: ZONE,
        napi: { url: 'http://127.0.0.1:1' },
        underlay: { ip: '127.0.0.1' },
        manage_os: false,
        tun: { name: 'vxncfgerr0' },
        admin: { host: '127.0.0.1', port: 0 },
      };
    default:
      return {
        svp: { host: '127.0.0.1' },
        underlay_ip: '127.0.0.1',
        vnets: [{ vnet_id: 1 }],
      };
  }
}

type Json = Record<string, unknown>;

/** A copy with one value changed; undefined removes it. */
function changed(config: object, path: string, value: unknown): object {
  const copy = structuredClone(config) as Json;
  const names = path.split('/').slice(1);
  const last = names.pop() as string;
  const at = names.reduce((where, name) => where[name] as Json, copy);
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

const NETWORK = {
  network: '192.0.2.0',
  netmask: '255.255.255.0',
  startIP: '192.0.2.2',
  endIP: '192.0.2.9',
};

/** One wrong value in each: where it is, what it is, where it is reported. */
const WRONG: Record<Service, [path: string, value: unknown, said?: string][]> =
  {
    'napi-nat': [
      ['/store', undefined],
      ['/listen/port', '80'],
      ['/svp/port', 70_000],
      ['/nonsense', 1],
      ['/nat_reform/policy/nonsense', 1],
      ['/nat_reform/probe/interval_ms', 1e300],
      ['/overlay/overlay_nic_tag', 'a b'],
      ['/mac_oui', '01b8d0'],
      ['/initial_networks/external/startIP', '3.3.3.256'],
      ['/initial_networks/external/gateway', '9.9.9.9', '/external: gateway'],
      ['/initial_networks/external/netmask', '255.0.255.0', '/external: '],
      ['/initial_networks/a b', NETWORK, '/initial_networks: '],
    ],
    'cloudapi-aip': [
      ['/napi_nat', undefined],
      ['/listen/port', true],
      ['/listen/host', ''],
      ['/nonsense', 1],
      ['/napi_nat/url', 'http://[', '/napi_nat/url: is not a URL'],
      ['/accounts', {}],
      ['/accounts/mahi_url', 'http://localhost', '/accounts: give one of'],
    ],
    vxlnatd: [
      ['/underlay', undefined],
      ['/underlay/port', 0],
      ['/underlay/ip', '1.2.3.400'],
      ['/engine', { timers: { nonsense: 1 } }, '/engine/timers/nonsense'],
      ['/engine', { port_low: 9, port_high: 8 }, '/engine/port_low'],
      ['/nonsense', 1],
      ['/napi/url', 'http://'],
      ['/announce', 'arp', '/external/interface'],
    ],
    'svp-agent': [
      ['/svp', undefined],
      ['/underlay_ip', '1.2.3.400'],
      ['/vnets/0/vnet_id', 2 ** 24],
      ['/vnets/0/nonsense', 1],
      ['/napi', { url: 'http://[' }, '/napi/url'],
      ['/mtu', 'x'],
    ],
  };

function configCases(t: Test): Case[] {
  const directory = temporaryDirectory(t);
  let files = 0;
  return SERVICES.flatMap((program) =>
    WRONG[program].map(([path, value, said = path]) => {
      files += 1;
      const home = join(directory, String(files));
      mkdirSync(home);
      const file = join(home, 'config.json');
      const config = changed(good(program, home), path, value);
      writeFileSync(file, JSON.stringify(config));
      const shown = JSON.stringify(value) ?? 'missing';
      return {
        what: `${path} = ${shown.slice(0, 40)}`,
        program,
        args: [OPTION[program], file],
        status: 2,
        says: [file, said],
        lines: 2,
      };
    }),
  );
}

test('each wrong value is named with its file, status 2', async (t) => {
  await all(t, configCases(t));
});

test('files that are no configuration, status 2', async (t) => {
  const directory = temporaryDirectory(t);
  const texts = { broken: '{"a":', list: '[]', empty: '' };
  for (const [name, text] of Object.entries(texts)) {
    writeFileSync(join(directory, name), text);
  }
  const files: [string, string | RegExp][] = [
    [join(directory, 'none'), 'no such file'],
    [directory, 'is a directory'],
    [join(directory, 'broken'), 'is not JSON'],
    [join(directory, 'list'), 'must be object'],
    [join(directory, 'empty'), 'is not JSON'],
  ];
  // One loader reads them all: each service once, each file once.
  const cases = files.map(([file, why], i): Case => {
    const program = SERVICES[i % SERVICES.length] as Service;
    const args = [OPTION[program], file];
    return { what: String(why), program, args, status: 2, says: [file, why] };
  });
  const rules = join(directory, 'rules');
  writeFileSync(rules, 'bind 192.0.2.1\nnonsense\n');
  const accounts = join(directory, 'cloudapi.json');
  writeFileSync(accounts, JSON.stringify(good('cloudapi-aip', directory)));
  await all(t, [
    ...cases,
    {
      what: 'rules with a fault',
      program: 'vxlnatd',
      args: ['-f', rules],
      status: 2,
      says: [`${rules}:2: `],
    },
    {
      what: 'no rules',
      program: 'vxlnatd',
      args: ['-f', join(directory, 'none')],
      status: 2,
      says: [join(directory, 'none'), 'no such file'],
    },
    {
      what: 'no accounts',
      program: 'cloudapi-aip',
      args: ['-f', accounts],
      status: 2,
      says: [join(directory, 'accounts.json'), 'no such file'],
    },
  ]);
});

test('command lines that nobody meant, status 2', async (t) => {
  const usage = (
    program: Program,
    args: string[],
    ...says: (string | RegExp)[]
  ): Case => ({
    what: `"${args.join(' ')}"`,
    program,
    args,
    status: 2,
    says: [...says, '--help'],
  });
  await all(t, [
    ...SERVICES.map((program) => usage(program, ['--nonsense'], '--nonsense')),
    usage('napi-nat', ['nonsense'], 'nonsense'),
    usage('vxlnatd', ['-c'], '-c'),
    usage('napi-nat', [], '-f'),
    usage('cloudapi-aip', [], '-f'),
    usage('svp-agent', [], '-f'),
    usage('vxlnatadm', [], 'command'),
    usage('vxlnatadm', ['--nonsense'], '--nonsense'),
    usage('vxlnatadm', ['nonsense'], 'nonsense'),
    usage('vxlnatadm', ['status', 'more'], 'more'),
    usage('vxlnatadm', ['-u', 'nonsense', 'status'], '--url'),
    usage('vxlnatadm', ['flows', '--limit', 'x'], '--limit'),
    usage('vxlnatadm', ['kill-flow'], 'PROTO'),
    usage('vxlnatadm', ['kill-flow', 'tcp', 'x', 'y'], 'IP:PORT'),
  ]);
});

test('what fails at run time has status 1 and says what', async (t) => {
  const directory = temporaryDirectory(t);
  const blocker = createServer();
  await new Promise<void>((resolve) => {
    blocker.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => blocker.close());
  const { port } = blocker.address() as { port: number };
  const plain = join(directory, 'plain');
  writeFileSync(plain, 'a file');
  writeFileSync(join(directory, 'accounts.json'), '[]');
  const failing: [Service, string, unknown, string | RegExp][] = [
    ['napi-nat', '/listen/port', port, String(port)],
    ['napi-nat', '/svp/port', port, String(port)],
    ['napi-nat', '/store/directory', plain, plain],
    ['napi-nat', '/store/directory', join(plain, 'x'), plain],
    ['cloudapi-aip', '/listen/port', port, String(port)],
    // Which of them fails first depends on what the tester may do.
    ['vxlnatd', '/underlay/interface', 'vxn-none0', /./],
    ['svp-agent', '/netns', 'vxn-none0', /vxn-none0|permitted/],
  ];
  const cases = failing.map(([program, path, value, says], i): Case => {
    const home = join(directory, String(i));
    mkdirSync(home);
    const file = join(home, 'config.json');
    const accounts = join(directory, 'accounts.json');
    let config = changed(good(program, home), path, value);
    if (program === 'cloudapi-aip') {
      config = changed(config, '/accounts/file', accounts);
    }
    writeFileSync(file, JSON.stringify(config));
    return {
      what: `${path} = ${value}`,
      program,
      args: [OPTION[program], file],
      status: 1,
      says: [says],
      lines: 2,
    };
  });
  await all(t, [
    ...cases,
    {
      what: 'nobody answers',
      program: 'vxlnatadm',
      args: ['-u', 'http://127.0.0.1:9', 'status'],
      status: 1,
      says: ['http://127.0.0.1:9'],
    },
  ]);
});

test('--help and --version have status 0 and say it on stdout', async (t) => {
  async function helps(program: Program): Promise<void> {
    const help = await run(program, ['--help']);
    t.equal(help.status, 0, `${program} --help`);
    t.match(help.stdout, new RegExp(`usage: ${program} `, 'i'), 'its usage');
    t.equal(help.stderr, '', 'nothing on stderr');
  }
  await Promise.all((Object.keys(PROGRAMS) as Program[]).map(helps));
  const version = await run('napi-nat', ['--version']);
  t.equal(version.status, 0, '--version');
  t.match(version.stdout, /^\S+ \d+\.\d+\.\d+\n$/, version.stdout.trim());
});
