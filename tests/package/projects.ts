/** Empty projects outside of this repository, with the packed library and the tools that the programs want. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

function readManifest(path: string): { name: string; version: string } & Record<string, object> {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** What `pnpm pack:package` has made. */
const { name, version } = readManifest(here('../../packages/multiprocessing/package.json'));
export const tarball = here(`../../dist/${name}-${version}.tgz`);

/** How each package manager adds packages to a project, and the files that it wants there before. */
const managers = {
  npm: {
    add: ['npm', 'install', '--no-audit', '--no-fund', '--loglevel=error'],
    files: {},
  },
  pnpm: {
    add: ['npx', '-y', 'pnpm@12', 'add', '--silent'],
    // As the README says: pnpm wants to be told about each install script, and these need not run.
    files: { 'pnpm-workspace.yaml': 'allowBuilds:\n  koffi: false\n  esbuild: false\n' },
  },
  yarn: {
    add: ['npx', '-y', '-p', '@yarnpkg/cli-dist@4', 'yarn', 'add'],
    files: { '.yarnrc.yml': 'nodeLinker: node-modules\nenableTelemetry: false\n' },
  },
  pnp: {
    add: ['npx', '-y', '-p', '@yarnpkg/cli-dist@4.18.1', 'yarn', 'add'],
    files: { '.yarnrc.yml': 'nodeLinker: pnp\nenableTelemetry: false\n', 'yarn.lock': '' },
  },
};
export type Manager = keyof typeof managers;

export function isManager(manager: string): manager is Manager {
  return Object.hasOwn(managers, manager);
}

/** A folder for all projects of this run, removed at its end. */
export function makeScratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'multiprocessing-'));
  process.on('exit', () => rmSync(folder, { recursive: true }));
  return folder;
}

/** Writes the files that a package manager wants in a project. */
export function writeSettings(manager: Manager, project: string): void {
  for (const [file, text] of Object.entries(managers[manager].files)) {
    writeFileSync(join(project, file), text);
  }
}

/** Adds packages to a project: name and what stands for it. */
export function add(manager: Manager, project: string, packages: Record<string, string>): void {
  const [command, ...args] = managers[manager].add as [string, ...string[]];
  const list = Object.entries(packages).map(([name, source]) => `${name}@${source}`);
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
  const env = {
    ...process.env,
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_ENABLE_IMMUTABLE_INSTALLS: '0',
  };
  try {
    execFileSync(command, [...args, ...list], {
      cwd: project,
      env,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${manager} could not install ${list.join(' ')}:\n${stdout}${stderr}`);
  }
}

/** A project with these files, and nothing installed. */
export function emptyProject(folder: string, files: string): string {
  cpSync(here(files), folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  return folder;
}

/** A project with the programs, installed by a package manager. */
export function makeProject(scratch: string, manager: Manager, other: string): string {
  const project = emptyProject(join(scratch, manager), 'programs');
  writeSettings(manager, project);
  cpSync(join(project, 'program.ts'), join(project, 'untyped/program.ts'));
  rmSync(join(project, 'other'), { recursive: true });
  add(manager, project, {
    [name]: `file:${tarball}`,
    other: `file:${other}`,
    tsx: '4',
    esbuild: '~0.28.2',
  });
  return project;
}

/**
 * Packs a dependency that brings a copy of the library with it. Not in a node_modules of its own: yarn takes the package
 * of that name from the registry then, which is another.
 * @returns its tarball
 */
export function packOther(scratch: string): string {
  const folder = join(scratch, 'other');
  cpSync(here('programs/other'), folder, { recursive: true });
  const copy = join(folder, 'copy');
  mkdirSync(copy, { recursive: true });
  execFileSync('tar', ['xzf', tarball, '-C', copy, '--strip-components=1']);
  const manifest = readManifest(join(folder, 'package.json'));
  // What the copy needs is found from there, also where packages see only what they name.
  const { dependencies } = readManifest(join(copy, 'package.json'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, dependencies }));
  execFileSync('npm', ['pack', folder, '--pack-destination', scratch, '--loglevel=error'], {
    stdio: 'pipe',
  });
  return join(scratch, 'other-1.0.0.tgz');
}
