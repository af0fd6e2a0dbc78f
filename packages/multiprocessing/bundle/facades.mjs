/**
 * The two modules of a sub-path: an ES module and a CommonJS one, both with what is in the one bundle of the process.
 */
import { readFileSync } from 'node:fs';

/** What each module of a sub-path begins with: others than Node, and an older one, have not got what all of the library needs. */
const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const CHECK = [
  `function fail(code, message, cause) { throw Object.assign(new Error(\`multiprocessing \${message}\`, { cause }), { code }); }`,
  `for (const name of ['bun', 'deno']) if (process.versions[name]) fail('ERR_MP_PLATFORM', \`needs Node.js, and this is \${name} \${process.versions[name]}: run the program by node\`);`,
  `if (!process.getBuiltinModule) throw new Error(\`multiprocessing needs Node.js ${engines.node}, and this is \${process.version}\`);`,
];
const BUNDLED =
  "'ERR_MP_BUNDLED', 'is not where it was installed: a bundler has put it into another file, which no child could load. Keep it external (esbuild: --external:multiprocessing; Rollup, webpack: external, externals)'";

/** What the modules of a sub-path have of the bundle: that of the process, or the one beside them. */
function bundleLines(own) {
  return [
    `const bundle = process.getBuiltinModule('node:fs')[Symbol.for('multiprocessing.bundle')] ?? load();`,
    `if (bundle.id !== BUNDLE_ID) fail('ERR_MP_TWO_VERSIONS', \`cannot be loaded from \${${own}}: this process has another version of it already, from \${bundle.folder}. Have one installed for all (npm dedupe)\`);`,
  ];
}

/** An ES module with the exports of one part of the bundle. */
export function facade(name, part, id) {
  const lines = [
    ...CHECK,
    `const BUNDLE_ID = '${id}';`,
    // A spawned child has the bundle, and node:module would take it 1 ms to import.
    `function load() {`,
    `  let require;`,
    `  try {`,
    `    require = process.getBuiltinModule('node:module').createRequire(import.meta.url);`,
    `    require.resolve('./load_bundle.cjs');`,
    `  } catch (cause) { fail(${BUNDLED}, cause); }`,
    `  return require('./load_bundle.cjs').loadBundle();`,
    `}`,
    ...bundleLines('import.meta.url'),
    `bundle.resolve ??= import.meta.resolve;`,
    `const part = bundle.subpath('${name}');`,
  ];
  if (name === 'forkable') lines.push('part.reexecute();');
  else {
    const { default: main, ...others } = part;
    lines.push(`export const { ${Object.keys(others).join(', ')} } = part;`);
    if (main !== undefined) lines.push('export default part.default;');
  }
  return `${lines.join('\n')}\n`;
}

/** The same for `require`. Both give what is in the one bundle of the process. */
export function commonjsFacade(name, part, id) {
  const lines = [
    `'use strict';`,
    ...CHECK,
    `const BUNDLE_ID = '${id}';`,
    // Bundlers make an ES module of this, or a script elsewhere.
    `function load() {`,
    `  const folder = typeof __dirname === 'string' ? __dirname : '';`,
    `  if (!process.getBuiltinModule('node:fs').existsSync(folder + '/bundle.cjs')) fail(${BUNDLED});`,
    `  return require('./load_bundle.cjs').loadBundle();`,
    `}`,
    ...bundleLines('__filename'),
    `const part = bundle.subpath('${name}');`,
  ];
  // Of a default export tools want to see a name.
  if ('default' in part)
    lines.push(...Object.keys(part).map((key) => `exports.${key} = part.${key};`));
  else lines.push(name === 'forkable' ? 'part.reexecute();' : 'module.exports = part;');
  return `${lines.join('\n')}\n`;
}
