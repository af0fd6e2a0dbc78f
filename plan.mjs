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

/** What house.mjs does not know, and what it knows and is not there. */
function unknown() {
  const known = Object.fromEntries(packages.map((name) => [name, rooms[name] ?? []]));
  const folders = (path) =>
    readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const faults = differences(
    'packages',
    packages,
    folders('packages').map(({ name }) => name),
  );
  for (const [name, list] of Object.entries(known)) {
    const src = `packages/${name}/src`;
    const there = folders(src).map((entry) => entry.name);
    faults.push(
      ...differences(
        src,
        list.map(({ room }) => room),
        there,
      ),
    );
    for (const room of there)
      faults.push(
        ...differences(
          `${src}/${room}`,
          [],
          folders(`${src}/${room}`).map((entry) => entry.name),
        ),
      );
    if (list.length === 0) continue;
    for (const file of listFiles(name, '.')) {
      if (file !== 'index.ts') faults.push(`${src}/${file} is in no room`);
    }
  }
  return faults;
}

function differences(place, known, there) {
  return [
    ...there
      .filter((name) => !known.includes(name))
      .map((name) => `house.mjs does not know ${place}/${name}`),
    ...known.filter((name) => !there.includes(name)).map((name) => `${place}/${name} is not there`),
  ];
}

/** What the main files do not say, and what they say of files that are not there. */
function unsaid() {
  return Object.entries(rooms).flatMap(([name, list]) =>
    list.flatMap(({ room, main = room }) => {
      const path = join(`packages/${name}/src`, room, `${main}.ts`);
      if (!existsSync(path)) return [`${path} is not there: a room has a main file`];
      const [head] = readFileSync(path, 'utf8').split('*/');
      const files = listFiles(name, room);
      const said = new Set(head.match(/(?<![\w/])\w+\.ts\b/g));
      const listed = [...head.matchAll(/^ \* {5}(\w+\.ts) /gm)].map((line) => line[1]);
      return [
        ...files
          .filter((file) => join(dirname(path), file) !== path && !said.has(file))
          .map((file) => `${path} does not say what ${room}/${file} is for`),
        ...listed
          .filter((file) => !main.startsWith('..') && !files.includes(file))
          .map((file) => `${path} says what ${file} is for, which is not there`),
      ];
    }),
  );
}

const imports = await importsOfRooms();
const plan = [BEGIN, '', ...diagram(imports), '', ...text(imports), END].join('\n');
const page = readFileSync(PAGE, 'utf8');
const drawn = page.slice(page.indexOf(BEGIN), page.indexOf(END) + END.length);
const faults = [...unknown(), ...unsaid()];
if (process.argv.includes('--update'))
  writeFileSync(
    PAGE,
    page.replace(drawn, () => plan),
  );
else if (drawn !== plan) faults.push(`${PAGE} shows another plan: node plan.mjs --update`);
console.log(text(imports).join('\n'));
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
