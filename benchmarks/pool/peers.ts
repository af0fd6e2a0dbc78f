/**
 * The pools of Node that the benchmark and the comparison of behaviours install, at these versions, beside the programs of this
 * folder.
 */
import { copyFileSync, existsSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installInto } from '../npm.ts';

/** With threads and with processes; piscina has threads alone. */
export const POOLS: Readonly<Record<string, string>> = {
  piscina: '5.3.2',
  tinypool: '2.2.0',
  workerpool: '10.0.3',
  'jest-worker': '30.5.1',
  poolifier: '5.3.2',
};

/** No pools, but used in their place. */
export const OTHERS: Readonly<Record<string, string>> = {
  comlink: '4.4.2',
  synckit: '0.12.3',
  bullmq: '6.7.0',
};

/** What bullmq reaches its server by. */
const CLIENT: Readonly<Record<string, string>> = { ioredis: '6.0.0' };

/** As libraries.mjs has them. */
export const LIBRARIES = Object.keys(POOLS).flatMap((name) =>
  name === 'piscina' ? [name] : [`${name}, threads`, `${name}, processes`],
);

export function describe(versions: Readonly<Record<string, string>>): string {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}

/** @param folder where they are installed, unless they are */
export function install(folder: string): void {
  const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  if (!existsSync(join(folder, 'node_modules'))) {
    const packages = Object.entries({ ...POOLS, ...OTHERS, ...CLIENT });
    installInto(
      folder,
      packages.map(([name, version]) => `${name}@${version}`),
      { scripts: false },
    );
    symlinkSync(
      here('../../packages/multiprocessing'),
      join(folder, 'node_modules/multiprocessing'),
    );
  }
  for (const file of readdirSync(here('.')).filter((name) => !name.endsWith('.ts')))
    copyFileSync(here(file), join(folder, file));
}
