/**
 * What tools of coverage say of a program and its children: by `pnpm test:coverage [--node PATH]`. Each with the packed
 * library in an empty project. A branch of the helper runs in the child only, another in the parent only, one nowhere, and each
 * report must say just that. Prints the table of docs/coverage.md.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { add, makeScratch, tarball } from '../package/projects.ts';
import { ALONE, cellOf, type Gaps, methods, type Tool, tools } from './coverage_tools.ts';

const { values } = parseArgs({ options: { node: { type: 'string', default: process.execPath } } });

const FORK = '--single-threaded';
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const scratch = makeScratch();
const projects = new Map<string, string>();

/** Tools with the same packages share a project. */
function projectOf({ packages }: Tool): string {
  const key = JSON.stringify(packages);
  let project = projects.get(key);
  if (project === undefined) {
    project = join(scratch, `project-${projects.size}`);
    cpSync(here('coverage_project'), project, { recursive: true });
    cpSync(here('../fixtures/coverage/helper.mjs'), join(project, 'helper.mjs'));
    writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
    add('npm', project, { multiprocessing: tarball, ...packages });
    projects.set(key, project);
  }
  return project;
}

/** Runs a tool, and reads its report. */
function measure(tool: Tool, env: Readonly<Record<string, string>>): Gaps | string {
  const { args, runs, settings } = tool;
  const project = projectOf(tool);
  const flags = env.REAL === 'true' ? [FORK] : [];
  const program = runs === undefined ? [] : [values.node, ...flags, runs];
  rmSync(join(project, 'report'), { recursive: true, force: true });
  mkdirSync(join(project, 'report'));
  const { VITEST: _, NODE_V8_COVERAGE: __, ...own } = process.env;
  const { status, stdout, stderr } = spawnSync(
    values.node,
    [...(args[0] === '--test' ? flags : []), ...args, ...program],
    {
      cwd: project,
      env: { ...own, ...env, FLAGS: flags.join(' '), SETTINGS: JSON.stringify(settings) },
      encoding: 'utf8',
    },
  );
  if (status !== 0) return `ended with ${status}:\n${stdout}${stderr}`;
  return readGaps(readFileSync(join(project, 'report/lcov.info'), 'utf8'));
}

function readGaps(report: string): Gaps {
  const section = report.split('end_of_record').find((text) => /^SF:.*helper\.mjs$/m.test(text));
  const all = [...(section ?? '').matchAll(/^(DA|BRDA):(\d+),(?:\d+,\d+,)?(\d+)/gm)];
  const gaps = (kind: string) =>
    all
      .filter(([, key, , count]) => key === kind && count === '0')
      .map(([, , line]) => Number(line));
  if (all.length === 0) return { lines: [-1], branches: [-1] };
  return { lines: gaps('DA'), branches: gaps('BRDA') };
}

let wrong = 0;
console.log(`| | ${Object.keys(methods).join(' | ')} |`);
console.log(`| --- |${' --- |'.repeat(Object.keys(methods).length)}`);
for (const tool of tools) {
  const cells = Object.entries(methods).map(([method, env]) => {
    const found = measure(tool, env);
    const right = tool.alone?.includes(method) ? ALONE : tool.right;
    if (JSON.stringify(found) === JSON.stringify(right)) return cellOf(tool, method);
    wrong++;
    console.error(tool.name, env, typeof found === 'string' ? found.slice(0, 2000) : found);
    return '**wrong**';
  });
  console.log(`| ${tool.name} | ${cells.join(' | ')} |`);
}
process.exit(wrong > 0 ? 1 : 0);
