/**
 * Tests that start processes, under the test runners that people use: `pnpm test:places [--node PATH] [RUNNER ...]`.
 * The packed library and each runner in an empty project outside of this repository.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { add, makeScratch, tarball } from '../package/projects.ts';
import { EXPECTED, fillProject, visit } from './places.ts';
import { type Runner, runners } from './runners.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string', default: process.execPath } },
});

const scratch = makeScratch();
const chosen = runners.filter(
  ({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
);
const projects = new Map<string, string>();

/** Runners with the same packages share a project. */
function projectOf({ packages }: Runner): string {
  const key = JSON.stringify(packages);
  let folder = projects.get(key);
  if (folder === undefined) {
    folder = join(scratch, `project-${projects.size}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    add('npm', folder, { multiprocessing: tarball, ...packages });
    projects.set(key, folder);
  }
  return folder;
}

let wrong = 0;
for (const runner of chosen) {
  const folder = projectOf(runner);
  fillProject(folder, runner);
  const { output, ...outcome } = await visit(folder, runner, values.node);
  if (/bad option/.test(output)) {
    console.log(`skipped  ${runner.name}: ${/.*bad option.*/.exec(output)?.[0]}`);
    continue;
  }
  const right = JSON.stringify(outcome) === JSON.stringify(EXPECTED);
  console.log(`${right ? 'right  ' : 'WRONG  '}  ${runner.name}`);
  if (right) continue;
  wrong++;
  console.log(JSON.stringify(outcome), `\n${output.slice(0, 3000)}`);
}
process.exit(wrong > 0 ? 1 : 0);
