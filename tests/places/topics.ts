/**
 * Places where programs of users run that this repository does not depend on: packages with pinned versions are installed into
 * a temporary folder, with the packed library. One line a check; the exit code is 1 if one of them fails.
 *
 *     pnpm test:topics              all topics
 *     pnpm test:topics loaders      one
 *
 *     hosts.ts      pm2, and single executables
 *     loaders.ts    hooks of require: ts-node, swc, pirates
 *     realms.ts     jest, whose test files have a globalThis and a process of their own
 *     runtimes.ts   Bun and Deno
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check, summary } from '../package/check.ts';
import { add, makeScratch, tarball } from '../package/projects.ts';
import { hosts } from './hosts.ts';
import { loaders } from './loaders.ts';
import { realms } from './realms.ts';
import { runtimes } from './runtimes.ts';
import type { Topic } from './topic.ts';

const topics: Readonly<Record<string, Topic>> = { hosts, loaders, realms, runtimes };
const asked = process.argv.slice(2);
const scratch = makeScratch();

for (const name of asked.length > 0 ? asked : Object.keys(topics)) {
  const topic = topics[name];
  if (topic === undefined) throw new Error(`${name}: the topics are ${Object.keys(topics)}`);
  const project = join(scratch, name);
  cpSync(fileURLToPath(new URL(`programs/${name}`, import.meta.url)), project, { recursive: true });
  await check(`${name}: installed`, async () =>
    add('npm', project, { multiprocessing: tarball, ...topic.packages }),
  );
  await topic.checks(project);
}
process.exitCode = summary();
