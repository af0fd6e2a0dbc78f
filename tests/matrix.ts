/**
 * The whole test suite on every Node that this project supports: `pnpm test:matrix`.
 *
 * Each run puts its Node (support/nodes.ts) first in PATH and runs vitest by it, so that vitest's own workers, the
 * programs that tests start, and anything that asks for `node` get the same one. Versions are left out only
 * where their package does not run. The exit code is 1 if one version fails.
 *
 *     pnpm test:matrix [22 24 ...]      these versions only, 20 being the Node that runs this
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { environmentOf, nodeOf, VERSIONS } from './support/nodes.ts';

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

async function testWith(node: string): Promise<boolean> {
  const env = environmentOf(node);
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
