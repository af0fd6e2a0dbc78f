/**
 * Tests that start processes, under the test runners that people use: `pnpm test:places [--node PATH ...] [RUNNER ...]`.
 * With --update the table of docs/testing.md shows what was seen.
 * The packed library and each runner in an empty project outside of this repository.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../benchmarks/machine.ts';
import { toMarkdown, updatePage } from '../../benchmarks/table.ts';
import { add, makeScratch, tarball } from '../package/projects.ts';
import { EXPECTED, fillProject, visit } from './places.ts';
import { type Runner, runners } from './runners.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string', multiple: true, default: [process.execPath] },
    update: { type: 'boolean', default: false },
  },
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

/** What one runner does on one node: `right`, or what is wrong. */
async function tryOut(runner: Runner, node: string): Promise<string> {
  const folder = projectOf(runner);
  fillProject(folder, runner);
  const { output, ...outcome } = await visit(folder, runner, node);
  const refused = /bad option: \S+/.exec(output)?.[0];
  if (refused !== undefined) return `none (${refused})`;
  if (JSON.stringify(outcome) === JSON.stringify(EXPECTED)) return 'right';
  console.log(JSON.stringify(outcome), `\n${output.slice(0, 3000)}`);
  return '**wrong**';
}

const versions = values.node.map((node) =>
  execFileSync(node, ['--version'], { encoding: 'utf8' }).trim(),
);
const rows: string[][] = [];
for (const runner of chosen) {
  const cells: string[] = [];
  for (const node of values.node) cells.push(await tryOut(runner, node));
  console.log(`${runner.name}: ${cells.join(', ')}`);
  const packages = Object.entries(runner.packages).filter(([name]) => !name.startsWith('@'));
  rows.push([runner.name, packages.map(([, version]) => version).join(', '), ...cells]);
}
if (values.update) {
  const table = {
    title: 'Nine tests that start processes',
    columns: ['runner', 'version', ...versions.map((version) => `Node ${version.slice(1)}`)],
    rows,
  };
  updatePage('places', `${toMarkdown(table)}\n\n${describeMachine()}`, 'testing.md');
}
process.exit(rows.some((row) => row.includes('**wrong**')) ? 1 : 0);
