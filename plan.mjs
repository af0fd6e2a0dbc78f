/**
 * Draws the plan of the house into docs/design.md, from the imports as they are: `node plan.mjs --update`. Without
 * that it fails when the page shows another plan, or when a room's main file does not say what each of its files is for.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import config from './.dependency-cruiser.mjs';
import { packages, rooms } from './house.mjs';

const PAGE = 'docs/design.md';
const BEGIN = '<!-- plan.mjs -->';
const END = '<!-- end of plan.mjs -->';

/** From each room, `package/room`, to those that it imports of the same package. */
async function importsOfRooms() {
  const { output } = await cruise(
    packages.map((name) => `packages/${name}/src`),
    { ...config.options, ruleSet: { forbidden: [] } },
  );
  const roomOf = (path) => /^packages\/(\w+)\/src\/(\w+)\//.exec(path)?.slice(1).join('/');
  const imports = new Map();
  for (const { source, dependencies } of output.modules) {
    const from = roomOf(source);
    if (from === undefined) continue;
    if (!imports.has(from)) imports.set(from, new Set());
    for (const { resolved } of dependencies) {
      const to = roomOf(resolved);
      if (to !== undefined && to !== from) imports.get(from).add(to);
    }
  }
  return imports;
}

/** All rooms that can be reached. */
function below(imports, room) {
  const direct = [...imports.get(room)];
  return new Set([...direct, ...direct.flatMap((next) => [...below(imports, next)])]);
}

/** Those that no other one of them leads to: the arrows that are drawn. */
function arrows(imports, room) {
  const direct = [...imports.get(room)];
  return direct.filter((to) => !direct.some((by) => by !== to && below(imports, by).has(to)));
}

function floor(imports, room) {
  return Math.max(0, ...[...imports.get(room)].map((to) => floor(imports, to) + 1));
}

function listFiles(name, room) {
  return readdirSync(`packages/${name}/src/${room}`).filter((file) => file.endsWith('.ts'));
}

function text(imports) {
  const lines = [];
  for (const [name, list] of Object.entries(rooms)) {
    lines.push(
      `**${name}**`,
      '',
      '| floor | room | files | CPython | imports |',
      '|---|---|---|---|---|',
    );
    for (const { room, python = '' } of list) {
      const key = `${name}/${room}`;
      const used = list
        .map((other) => other.room)
        .filter((other) => imports.get(key).has(`${name}/${other}`));
      const files = listFiles(name, room).length;
      lines.push(
        `| ${floor(imports, key)} | ${room} | ${files} | ${python} | ${used.join(', ')} |`,
      );
    }
    lines.push('');
  }
  return lines;
}

function diagram(imports) {
  const lines = ['```mermaid', 'flowchart BT'];
  for (const [i, name] of packages.entries()) {
    const list = rooms[name]?.map(({ room }) => `    ${name}_${room}[${room}]`);
    if (list === undefined) lines.push(`  ${name}`);
    else lines.push(`  subgraph ${name}`, ...list, '  end');
    if (i > 0) lines.push(`  ${name} --> ${packages[i - 1]}`);
  }
  for (const from of imports.keys()) {
    for (const to of arrows(imports, from)) {
      lines.push(`  ${from.replace('/', '_')} --> ${to.replace('/', '_')}`);
    }
  }
  return [...lines, '```'];
}

/** What the main files do not say. */
function unsaid() {
  return Object.entries(rooms).flatMap(([name, list]) =>
    list.flatMap(({ room, main = room }) => {
      const path = join(`packages/${name}/src`, room, `${main}.ts`);
      if (!existsSync(path)) return [`${path} is not there: a room has a main file`];
      const [head] = readFileSync(path, 'utf8').split('*/');
      return listFiles(name, room)
        .filter((file) => join(dirname(path), file) !== path && !head.includes(file))
        .map((file) => `${path} does not say what ${room}/${file} is for`);
    }),
  );
}

const imports = await importsOfRooms();
const plan = [BEGIN, '', ...diagram(imports), '', ...text(imports), END].join('\n');
const page = readFileSync(PAGE, 'utf8');
const drawn = page.slice(page.indexOf(BEGIN), page.indexOf(END) + END.length);
const faults = unsaid();
if (process.argv.includes('--update'))
  writeFileSync(
    PAGE,
    page.replace(drawn, () => plan),
  );
else if (drawn !== plan) faults.push(`${PAGE} shows another plan: node plan.mjs --update`);
console.log(text(imports).join('\n'));
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
