/**
 * Places where programs of users run that this repository does not depend on: packages with pinned versions are installed into
 * a temporary folder, with the packed library. One line a check; the exit code is 1 if one of them fails.
 *
 *     pnpm test:topics [--node PATH] [--update]      all topics; --update: their tables, into docs/start-methods.md
 *     pnpm test:topics hosts [NAME ...]              one, or the rows of it whose names have one of these words
 *
 *     hosts.ts      process managers, loaders, bundlers, monitors: rows of host_rows.ts, run by cells.ts
 *     realms.ts     jest, whose test files have a globalThis and a process of their own
 *     supervise.ts  a command in a pid namespace, and what it leaves
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../benchmarks/machine.ts';
import { toMarkdown, updatePage } from '../../benchmarks/table.ts';
import { summary } from '../package/check.ts';
import { makeScratch } from '../package/projects.ts';
import { hosts } from './hosts.ts';
import { realms } from './realms.ts';
import type { Topic } from './topic.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string', default: process.execPath },
    update: { type: 'boolean', default: false },
  },
});
const topics: Readonly<Record<string, Topic>> = { hosts, realms };
const [asked, ...words] = positionals;
if (asked !== undefined && topics[asked] === undefined) {
  throw new Error(`${asked}: the topics are ${Object.keys(topics)}`);
}
if (values.update && (words.length > 0 || values.node !== process.execPath)) {
  throw new Error('--update takes all rows, by the Node that runs this');
}

const scratch = makeScratch();
console.log(`Node ${execFileSync(values.node, ['--version'], { encoding: 'utf8' }).trim()}`);
for (const [name, topic] of Object.entries(topics)) {
  if (asked !== undefined && asked !== name) continue;
  const table = await topic.run({ scratch, node: values.node, words });
  if (table === undefined) continue;
  console.log(`\n${toMarkdown(table)}\n`);
  if (values.update) {
    updatePage(name, `${toMarkdown(table)}\n\n${describeMachine()}`, 'start-methods.md');
  }
}
process.exitCode = summary();
