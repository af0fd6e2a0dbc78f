/** What else than `node FILE` starts programs: each row of host_rows.ts under each start method, and the table of what came of it. */
import { strictEqual } from 'node:assert';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Table } from '../../benchmarks/table.ts';
import { check } from '../package/check.ts';
import { METHODS, type Method, type Row, runCell } from './cells.ts';
import { groupsOf } from './host_rows.ts';
import { install, type Topic } from './topic.ts';

const methods = Object.keys(METHODS) as Method[];

/** The cells of a row; a check each. */
async function tryOut(project: string, row: Row, node: string): Promise<string[]> {
  const cells: string[] = [];
  for (const method of methods) {
    await check(`${row.name}, ${method}`, async () => {
      const { text, output } = await runCell(project, row, method, node);
      cells.push(text);
      const right = row.cells?.[method] ?? 'works';
      strictEqual(text, right, `${text}, and not ${right}:\n${output.slice(0, 3000)}`);
    });
  }
  return cells;
}

function versionsOf({ packages = {} }: Row): string {
  return Object.entries(packages)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}

export const hosts: Topic = {
  async run({ scratch, node, words }) {
    const rows: string[][] = [];
    for (const group of await groupsOf(node)) {
      const chosen = group.rows.filter(
        ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
      );
      if (chosen.length === 0) continue;
      const project = join(scratch, group.name);
      cpSync(fileURLToPath(new URL('programs/hosts', import.meta.url)), project, {
        recursive: true,
      });
      const packages = Object.assign({}, ...group.rows.map(({ packages }) => packages));
      if (!(await install(project, packages, group.manager))) continue;
      await group.prepare?.(project, node);
      for (const row of chosen) {
        rows.push([row.name, versionsOf(row), ...(await tryOut(project, row, node))]);
      }
    }
    const columns = ['the program is started by', 'versions'];
    const table: Table = {
      title: 'Programs that start children',
      columns: [...columns, ...methods.map((method) => METHODS[method].title)],
      rows,
    };
    return table;
  },
};
