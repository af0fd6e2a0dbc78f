/** Under which settings the types are compiled: each without an error, in what a user writes and in what we declare. */
import { strictEqual } from 'node:assert';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check } from './check.ts';
import { add, emptyProject, tarball } from './projects.ts';

const VERSIONS = ['5.6', '5.9', '7'];

const strict = {
  strict: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  target: 'es2022',
  declaration: true,
  outDir: 'out',
};

const modules = ['program.mts', 'program.cts', 'both.mts', 'disposable.mts'];

interface Setting {
  readonly options: object;
  readonly files: readonly string[];
  /** Whether @types/node is installed. */
  readonly node?: boolean;
  /** The versions of TypeScript that have it; all if left out. */
  readonly versions?: readonly string[];
}

const settings: Readonly<Record<string, Setting>> = {
  'nothing but es2022': {
    options: { module: 'nodenext', lib: ['es2022'], types: [] },
    files: modules,
  },
  'the default lib, for a bundler': {
    options: { module: 'preserve', types: [] },
    files: modules,
  },
  'what factories make, inferred': {
    options: { module: 'nodenext', lib: ['es2022'], types: [] },
    files: ['inferred.mts'],
  },
  'what factories make, inferred, for a bundler': {
    options: { module: 'preserve', types: [] },
    files: ['inferred.mts'],
  },
  '@types/node': {
    options: { module: 'nodenext', lib: ['es2022'], types: ['node'] },
    files: [...modules, 'node.mts'],
    node: true,
  },
  '@types/node, and types: []': {
    options: { module: 'nodenext', lib: ['es2022'], types: [] },
    files: modules,
    node: true,
  },
  'CommonJS with node10': {
    options: { module: 'commonjs', moduleResolution: 'node10', types: [] },
    files: ['script.ts'],
    versions: ['5.6', '5.9'],
  },
};

/** Compiles with every version of TypeScript. */
export async function checkTypes(scratch: string): Promise<void> {
  const compilers = emptyProject(join(scratch, 'compilers'), 'types');
  add(
    'npm',
    compilers,
    Object.fromEntries(
      VERSIONS.map((version) => [`typescript-${version}`, `npm:typescript@~${version}`]),
    ),
  );
  for (const node of [false, true]) {
    const project = emptyProject(join(scratch, node ? 'types-node' : 'types'), 'types');
    writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
    const library = { multiprocessing: `file:${tarball}` };
    add('npm', project, node ? { ...library, '@types/node': '20' } : library);
    for (const [title, setting] of Object.entries(settings)) {
      if ((setting.node ?? false) !== node) continue;
      for (const version of setting.versions ?? VERSIONS) {
        const tsc = join(compilers, `node_modules/typescript-${version}/bin/tsc`);
        const compilerOptions = { ...strict, ...setting.options };
        writeFileSync(
          join(project, 'tsconfig.json'),
          JSON.stringify({ compilerOptions, files: setting.files }),
        );
        await check(`types, TypeScript ${version}: ${title}`, async () => {
          strictEqual(await compile(tsc, project), '');
        });
      }
    }
  }
}

/** @returns what the compiler has to say */
function compile(tsc: string, project: string): Promise<string> {
  return new Promise((done) => {
    execFile(process.execPath, [tsc, '--project', project], (error, stdout, stderr) => {
      done(error && stdout + stderr === '' ? error.message : stdout + stderr);
    });
  });
}
