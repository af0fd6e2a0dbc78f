/**
 * Rolls up the declarations of the five packages for those who install this one: all of them in one file, and per
 * sub-path one that exports its part of it. A type is the same whichever way it was come by: the ES modules' .d.ts
 * files export what is in the CommonJS ones, which both kinds may import.
 *
 * What a user may not have is not needed. Members that are `@internal` and those for `util.inspect` are left out,
 * Node's types are taken from @types/node where it is there (types/node.d.ts), and the type parameters that typed
 * arrays have since TypeScript 5.7 are written so that 5.6 can read them.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from '@typescript/typescript6';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';

const packages = fileURLToPath(new URL('../', import.meta.url));

/** The file with all declarations, and how it begins. */
const LIBRARY = 'library';
const BANNER = '/// <reference lib="esnext.disposable" />';

/** Types of @types/node, and their names in types/node.d.ts, which is imported by this name. */
const NODE_TYPES = 'node types';
const STANDS_FOR = { Buffer: 'Buffer', URL: 'URL', 'NodeJS.Signals': 'Signals' };

/**
 * Writes the declarations of these sub-paths.
 * @param names of the modules in src/
 * @param outdir where `name.d.ts` and `name.d.cts` go
 */
export async function rollTypes(names, outdir) {
  // The tool reads files, and not what another plugin makes of them.
  const scratch = mkdtempSync(join(tmpdir(), 'types-'));
  try {
    const output = await roll(names, scratch);
    mkdirSync(outdir, { recursive: true });
    for (const { fileName, code } of output) {
      const foreign = /^(import|export) .* from '[^.].*$/m.exec(code)?.[0];
      if (foreign) throw new Error(`${fileName} needs what a user may not have: ${foreign}`);
      writeFileSync(join(outdir, fileName), code);
    }
    for (const name of names) {
      // The others are part of the program then: what a user's declarations need to name is exported by one of them.
      const others = names
        .filter((other) => other !== name)
        .map((other) => `import './${other}.js';\n`);
      const own = `export * from './${name}.cjs';\n`;
      writeFileSync(join(outdir, `${name}.d.ts`), others.join('') + own);
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

async function roll(names, scratch) {
  for (const name of readdirSync(packages)) copyDeclarations(name, scratch);
  writeFileSync(
    join(scratch, 'node.d.ts'),
    readFileSync(new URL('types/node.d.ts', import.meta.url)),
  );
  const face = join(scratch, 'multiprocessing/');
  const bundle = await rollup({
    input: Object.fromEntries(names.map((name) => [name, `${face}${name}.d.ts`])),
    plugins: [workspace(scratch, face), dts()],
    treeshake: { moduleSideEffects: false },
    onwarn({ code, message }) {
      // Fine are an import of which nothing is left, a sub-path without exports (forkable), and a type that is reached
      // only through others.
      if (code === 'UNUSED_EXTERNAL_IMPORT' || code === 'EMPTY_BUNDLE') return;
      if (/no public re-export/.test(message)) return;
      throw new Error(message);
    },
  });
  const { output } = await bundle.generate({
    format: 'es',
    banner: ({ name }) => (name === LIBRARY ? BANNER : ''),
    entryFileNames: '[name].d.cts',
    chunkFileNames: '[name].d.cts',
    manualChunks: (id) => (id.startsWith(face) ? undefined : LIBRARY),
    minifyInternalExports: false,
  });
  return output;
}

function copyDeclarations(name, scratch) {
  const dist = join(packages, name, 'dist');
  for (const file of readdirSync(dist, { recursive: true })) {
    if (!file.endsWith('.d.ts')) continue;
    const target = join(scratch, name, file);
    mkdirSync(dirname(target), { recursive: true });
    const text = readFileSync(join(dist, file), 'utf8');
    writeFileSync(target, portable(text, name === 'multiprocessing'));
  }
}

/** Finds the other packages, and what stands for Node's types. A sub-path imports another as it is. */
function workspace(scratch, face) {
  return {
    name: 'workspace',
    resolveId(id, importer) {
      if (importer?.startsWith(face) && id.startsWith('.')) {
        return { id: id.replace(/\.ts$/, '.cjs'), external: true };
      }
      if (id === NODE_TYPES || id === 'node:net') return join(scratch, 'node.d.ts');
      if (id.startsWith('node:')) return { id, external: true };
      const [, name, path = 'index'] = /^@multiprocessing\/(\w+)(?:\/(.*))?$/.exec(id) ?? [];
      return name && join(scratch, name, `${path}.d.ts`);
    },
  };
}

/**
 * A declaration file that needs neither @types/node nor TypeScript 5.7.
 * @param isFace whether what it exports is public
 */
function portable(text, isFace) {
  const file = ts.createSourceFile('file.d.ts', text, ts.ScriptTarget.Latest, true);
  const imports = new Set();
  let result = '';
  let done = 0;
  const visit = (node) => {
    const standIn = ts.isTypeReferenceNode(node) ? STANDS_FOR[node.typeName.getText()] : undefined;
    const by = isLeftOut(node, isFace) ? leftIn(node) : (standIn ?? withoutBuffer(node));
    if (by === undefined) {
      ts.forEachChild(node, visit);
      return;
    }
    if (standIn) imports.add(standIn);
    result += text.slice(done, by === '' ? node.getFullStart() : node.getStart()) + by;
    done = node.getEnd();
  };
  visit(file);
  result += text.slice(done);
  if (imports.size === 0) return result;
  return `import type { ${[...imports].join(', ')} } from '${NODE_TYPES}';\n${result}`;
}

function isLeftOut(node, isFace) {
  // It says nothing that the members do not say, and some of what is implemented is left out.
  if (ts.isHeritageClause(node) && node.token === ts.SyntaxKind.ImplementsKeyword) return true;
  if (ts.isFunctionDeclaration(node)) return isFace && isInternal(node);
  if (!ts.isClassElement(node) && !ts.isTypeElement(node)) return false;
  return node.name?.getText() === '[inspect.custom]' || isInternal(node);
}

/** A class without a constructor could be made by anybody. */
function leftIn(node) {
  return ts.isConstructorDeclaration(node) ? '\n  protected constructor();' : '';
}

function isInternal(node) {
  return ts.getJSDocTags(node).some((tag) => tag.tagName.text === 'internal');
}

/** What `Uint8Array<ArrayBuffer>` is where typed arrays have no type parameter. */
function withoutBuffer(node) {
  const isBase = ts.isExpressionWithTypeArguments(node);
  if (!isBase && !ts.isTypeReferenceNode(node)) return undefined;
  const [, name, like] = /^(DataView|\w+Array)<ArrayBuffer(Like)?>$/.exec(node.getText()) ?? [];
  if (name === undefined || isBase || like || name === 'DataView') return name;
  return `ReturnType<typeof ${name}.of>`;
}
