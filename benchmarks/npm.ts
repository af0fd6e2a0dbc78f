/** Packages from npm, in a folder of their own. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Installs into an empty folder. What is compiled is so with the headers beside this node, if there are any.
 *
 * @param packages what to install, as npm takes it
 */
export function installInto(
  folder: string,
  packages: readonly string[],
  { scripts = true }: { scripts?: boolean } = {},
): void {
  mkdirSync(folder, { recursive: true });
  const manifest = join(folder, 'package.json');
  // Or npm would install into the project above.
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n');
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const headers = existsSync(join(prefix, 'include/node')) ? { npm_config_nodedir: prefix } : {};
  const flags = ['--no-audit', '--no-fund', ...(scripts ? [] : ['--ignore-scripts'])];
  execFileSync('npm', ['install', ...flags, ...packages], {
    cwd: folder,
    env: { ...process.env, ...headers },
    stdio: ['ignore', 2, 2],
  });
}
