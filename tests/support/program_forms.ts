/**
 * Programs of fixtures/closures in the forms that people have theirs in: run as they are written, or by what a compiler makes
 * of them.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TransformOptions, transform } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const fixtures = join(root, 'tests/fixtures/closures');
const require = createRequire(import.meta.url);
const tsx = require.resolve('tsx/cli');
const strips = (process.features as { typescript?: unknown }).typescript;

export interface Form {
  /** What node is given for a program. @param folder where it was compiled to */
  readonly args: (program: string, folder: string) => readonly string[];
  /** Compiles files into a folder; undefined if there is nothing to do. */
  readonly build?: (files: readonly string[], folder: string) => Promise<void>;
  /** Why this Node cannot run it. */
  readonly unable?: string | undefined;
}

export const asWritten: Readonly<Record<string, Form>> = {
  'TypeScript under tsx': { args: (program) => [tsx, join(fixtures, `${program}.ts`)] },
  'TypeScript that Node strips of its types': {
    args: (program) => [join(fixtures, `${program}.ts`)],
    unable: strips ? undefined : `Node ${process.versions.node} strips no types`,
  },
  'an ES module that tsc has compiled': {
    args: (program) => [join(root, `tests/fixtures/dist/closures/${program}.js`)],
  },
};

export function byEsbuild(options: TransformOptions & { format: 'esm' | 'cjs' }): Form {
  const extension = options.format === 'cjs' ? 'cjs' : 'mjs';
  return {
    args: (program, folder) => [join(folder, `${program}.${extension}`)],
    build: async (files, folder) => {
      for (const name of files) {
        const source = readFileSync(join(fixtures, `${name}.ts`), 'utf8')
          .replace(/(?<='\.\/\w+)\.ts'/g, `.${extension}'`)
          .replace('mp.isMain(import.meta)', options.format === 'cjs' ? 'mp.isMain(module)' : '$&');
        const common = { loader: 'ts', target: 'node20', platform: 'node' } as const;
        const { code } = await transform(source, { ...common, ...options });
        writeFileSync(join(folder, `${name}.${extension}`), code);
      }
    },
  };
}

/** ES modules. @param options of the compiler */
export function byTsc(...options: string[]): Form {
  return {
    args: (program, folder) => [join(folder, `${program}.js`)],
    build: async (files, folder) => {
      writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
      const common = '--ignoreConfig --noCheck --module nodenext --rewriteRelativeImportExtensions';
      execFileSync(process.execPath, [
        join(root, 'node_modules/typescript/bin/tsc'),
        ...common.split(' '),
        ...options,
        ...['--outDir', folder],
        ...files.map((name) => join(fixtures, `${name}.ts`)),
      ]);
    },
  };
}

/** A folder for what is compiled, inside of the project, so that `multiprocessing` is found as from any program. */
export function scratchFolder(): { sub(): string } {
  let folder = '';
  beforeAll(() => {
    mkdirSync(join(root, '.cache'), { recursive: true });
    folder = mkdtempSync(join(root, '.cache/closures-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  return { sub: () => mkdtempSync(join(folder, 'form-')) };
}
