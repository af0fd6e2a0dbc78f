/** The rows of the table of hosts, by the project that they share. */
import { copyFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manager } from '../package/projects.ts';
import type { Row } from './cells.ts';
import { outputOf } from './topic.ts';

export interface Group {
  readonly name: string;
  readonly manager?: Manager;
  /** Makes what the rows start, once all is installed. */
  prepare?(project: string, node: string): Promise<void>;
  readonly rows: readonly Row[];
}

const both = (make: (program: string, language: string) => Row): Row[] => [
  make('app.mjs', 'ES modules'),
  make('app.cjs', 'CommonJS'),
];

/** No process that forks can have hooks of modules on a thread. */
const ON_A_THREAD = { forkserver: 'no: `ForkServerUnavailableError`', real: 'works, emulated' };

function all(cell: string): Required<Row>['cells'] {
  return { spawn: cell, forkserver: cell, emulated: cell, real: cell };
}

const node: Group = {
  name: 'node',
  async prepare(project) {
    for (const file of ['app.mjs', 'app.cjs']) symlinkSync(file, join(project, `link-to-${file}`));
  },
  rows: [
    ...both((program, language) => ({
      name: `a link to the main module, ${language}`,
      command: ['node', `link-to-${program}`],
    })),
    ...both((program, language) => ({
      name: `\`--preserve-symlinks-main\`, ${language}`,
      command: ['node', '--preserve-symlinks', '--preserve-symlinks-main', `link-to-${program}`],
    })),
    ...both((program, language) => ({
      name: `\`--inspect\`, ${language}`,
      command: ['node', '--inspect=0', program],
    })),
    ...both((program, language) => ({
      name: `\`--cpu-prof\`, ${language}`,
      command: ['node', '--cpu-prof', '--cpu-prof-dir=profiles', program],
    })),
    ...both((program, language) => ({
      name: `a worker of \`node:cluster\`, ${language}`,
      command: ['node', 'cluster.cjs', program],
    })),
  ],
};

/** The permission model has other flags in each version of Node. */
async function permissions(executable: string): Promise<Group> {
  const code = 'console.log([...process.allowedNodeEnvironmentFlags].join())';
  const flags = (await outputOf('/', executable, ['-e', code])).trim().split(',');
  const model = flags.includes('--permission') ? '--permission' : '--experimental-permission';
  const more = ['--allow-addons', '--allow-inspector'].filter((flag) => flags.includes(flag));
  const allowed = [model, '--allow-fs-read=*', ...more];
  // Nothing else finds the variables of a function.
  const inspects = flags.includes('--allow-inspector');
  return {
    name: 'permissions',
    rows: [
      {
        name: `\`--permission\`, with the flags that the error names, CommonJS`,
        command: ['node', ...allowed, 'app.cjs'],
        cells: inspects ? {} : { emulated: 'no: `PicklingError`' },
      },
      {
        name: `\`--permission --allow-fs-read=*\` alone`,
        command: ['node', model, '--allow-fs-read=*', 'app.cjs'],
        cells: all('no: `ERR_MP_PERMISSION`'),
      },
    ],
  };
}

const compilers: Group = {
  name: 'compilers',
  rows: [
    ...['ts-node/register', 'ts-node/register/transpile-only'].map((hook) => ({
      name: `\`-r ${hook}\``,
      packages: { 'ts-node': '10.9.2', typescript: '5.9.3' },
      command: ['node', '-r', hook, 'app.ts'],
    })),
    {
      name: '`-r @swc-node/register`',
      packages: { '@swc-node/register': '1.12.1', '@swc/core': '1.15.3' },
      command: ['node', '-r', '@swc-node/register', 'app.ts'],
    },
    {
      name: "jiti's command, TypeScript",
      packages: { jiti: '2.7.0' },
      command: ['node', 'node_modules/jiti/lib/jiti-cli.mjs', 'module.ts'],
      cells: all('no: `MultiprocessingWarning`'),
    },
    {
      name: '`--import jiti/register`, TypeScript',
      packages: { jiti: '2.7.0' },
      command: ['node', '--import', 'jiti/register', 'module.ts'],
      cells: { ...ON_A_THREAD, spawn: 'no: `PicklingError`' },
    },
  ],
};

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Makes a single executable of single.cjs. */
async function makeExecutable(project: string, executable: string): Promise<void> {
  const config = { main: 'single.cjs', output: 'single.blob', disableExperimentalSEAWarning: true };
  writeFileSync(join(project, 'single.json'), JSON.stringify(config));
  await outputOf(project, executable, ['--experimental-sea-config', 'single.json']);
  const path = join(project, 'single');
  copyFileSync(realpathSync(executable), path);
  const postject = 'node_modules/postject/dist/cli.js';
  const args = [postject, path, 'NODE_SEA_BLOB', 'single.blob', '--sentinel-fuse', FUSE];
  await outputOf(project, executable, args);
}

const PM2 = 'node_modules/pm2/lib/ProcessContainerFork.js';

const managers: Group = {
  name: 'managers',
  prepare: makeExecutable,
  rows: [
    ...both((program, language) => ({
      name: `pm2, ${language}`,
      packages: { pm2: '7.0.4' },
      // As pm2 starts a program in its fork mode.
      command: ['bash', '-c', `pm_exec_path=$PWD/${program} exec node ${PM2}`],
      env: { name: 'app', pm_id: '0' },
    })),
    {
      name: 'a single executable (SEA)',
      packages: { postject: '1.0.0-alpha.6' },
      command: ['./single'],
      cells: { forkserver: 'no: `ForkServerUnavailableError`', real: 'works, emulated' },
    },
  ],
};

/** What esbuild makes: the entry, its format, whether the library is external, and other flags. */
const BUNDLES = [
  ['app.mjs', 'mjs', 'external', ''],
  ['app.mjs', 'mjs', 'external', ', minified'],
  ['app.cjs', 'cjs', 'external', ''],
  ['app.cjs', 'cjs', 'external', ', minified'],
  ['silent_entry.mjs', 'mjs', 'external', ', of functions that the entry does not export'],
  ['app.mjs', 'mjs', 'inside', ''],
  ['app.mjs', 'mjs', 'inside', ', minified'],
  ['app.cjs', 'cjs', 'inside', ''],
  ['app.cjs', 'cjs', 'inside', ', minified'],
] as const;

const outputNames = BUNDLES.map(([, extension], i) => `bundle-${i}.${extension}`);

const bundlers: Group = {
  name: 'bundlers',
  async prepare(project) {
    for (const [i, [entry, extension, library, how]] of BUNDLES.entries()) {
      const flags = [
        `--format=${extension === 'mjs' ? 'esm' : 'cjs'}`,
        ...(library === 'external' ? ['--external:multiprocessing'] : []),
        ...(how === ', minified' ? ['--minify'] : []),
      ];
      const args = ['--bundle', '--platform=node', ...flags, `--outfile=${outputNames[i]}`, entry];
      await outputOf(project, join(project, 'node_modules/.bin/esbuild'), args);
    }
  },
  rows: BUNDLES.map(([, extension, library, how], i) => ({
    name: `esbuild, ${extension === 'mjs' ? 'ES modules' : 'CommonJS'}, the library ${library}${how}`,
    packages: { esbuild: '0.28.2' },
    command: ['node', outputNames[i] as string],
    ...(library === 'inside' ? { cells: all('no: `ERR_MP_BUNDLED`') } : {}),
    ...(how.startsWith(', of')
      ? { cells: { spawn: 'no: `PicklingError`', forkserver: 'no: `PicklingError`' } }
      : {}),
  })),
};

const TELEMETRY = {
  '@opentelemetry/api': '1.9.1',
  '@opentelemetry/auto-instrumentations-node': '0.81.2',
};
const TELEMETRY_START = '@opentelemetry/auto-instrumentations-node/register';
/** Nothing listens at that port, and it says nothing of it. */
const DATADOG_ENV = {
  DD_TRACE_AGENT_URL: 'http://127.0.0.1:9',
  DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
  DD_REMOTE_CONFIGURATION_ENABLED: 'false',
  DD_TRACE_STARTUP_LOGS: 'false',
  DD_CRASHTRACKING_ENABLED: 'false',
};

const monitors: Group = {
  name: 'monitors',
  rows: [
    {
      name: 'OpenTelemetry, `--require`, each span once',
      packages: TELEMETRY,
      command: ['node', 'collect.mjs', '--require', TELEMETRY_START, 'traced.cjs'],
      lines: () => ['own', 'spans: after, before, child'],
    },
    {
      name: 'OpenTelemetry, with its hook of ES modules',
      packages: TELEMETRY,
      command: [
        'node',
        '--no-warnings',
        '--experimental-loader=@opentelemetry/instrumentation/hook.mjs',
        '--import',
        TELEMETRY_START,
        'app.mjs',
      ],
      env: {
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_METRICS_EXPORTER: 'none',
        OTEL_LOGS_EXPORTER: 'none',
      },
      cells: ON_A_THREAD,
    },
    {
      name: 'dd-trace, `-r dd-trace/init`',
      packages: { 'dd-trace': '5.132.0' },
      command: ['node', '-r', 'dd-trace/init', 'app.cjs'],
      env: DATADOG_ENV,
    },
    {
      name: 'dd-trace, `--import dd-trace/initialize.mjs`',
      packages: { 'dd-trace': '5.132.0' },
      command: ['node', '--import', 'dd-trace/initialize.mjs', 'app.mjs'],
      env: DATADOG_ENV,
      cells: ON_A_THREAD,
    },
  ],
};

const YARN = ['npx', '-y', '-p', '@yarnpkg/cli-dist@4.18.1', 'yarn', 'node'];

const plugAndPlay: Group = {
  name: 'pnp',
  manager: 'pnp',
  rows: [
    {
      name: "Yarn 4.18.1, Plug'n'Play, `-r ./.pnp.cjs`, CommonJS",
      command: ['node', '-r', './.pnp.cjs', 'app.cjs'],
    },
    ...both((program, language) => ({
      name: `Yarn 4.18.1, Plug'n'Play, \`yarn node\`, ${language}`,
      command: [...YARN, program],
      cells: ON_A_THREAD,
    })),
  ],
};

const runtimes: Group = {
  name: 'runtimes',
  rows: [
    {
      name: 'Bun',
      packages: { bun: '1.4.5' },
      command: ['node_modules/.bin/bun', 'tells.mjs'],
      cells: all('no: `ERR_MP_PLATFORM`'),
    },
    {
      name: 'Deno',
      packages: { deno: '2.9.6' },
      command: ['node_modules/.bin/deno', 'run', '-A', 'tells.mjs'],
      cells: all('no: `ERR_MP_PLATFORM`'),
    },
  ],
};

export async function groupsOf(executable: string): Promise<Group[]> {
  const withPermissions = await permissions(executable);
  return [node, withPermissions, compilers, managers, bundlers, monitors, plugAndPlay, runtimes];
}
