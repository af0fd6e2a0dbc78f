/**
 * How a child loads the files of its program: as the program itself does. Hooks of `require` (ts-node, swc, all that is made
 * of pirates) apply to what is required alone.
 */
import { fileURLToPath } from 'node:url';
import { importModule } from '../base/bundle.ts';
import { require } from '../base/require.ts';
import { isMainRequired } from './main_module.ts';

/** What `require` says of an ES module that it cannot load, or has under way. */
const IS_NO_COMMONJS = new Set([
  'ERR_REQUIRE_ESM',
  'ERR_REQUIRE_ASYNC_MODULE',
  'ERR_REQUIRE_CYCLE_MODULE',
]);

/**
 * Loads a module by its URL: in a program whose main module is CommonJS by `require`, and else, or where that cannot be, by
 * `import()`.
 * @returns its namespace; of what was required one with `default` alone
 * @internal
 */
export async function loadModule(url: string): Promise<object> {
  const isFile = /^file:[^?#]*$/.test(url);
  if (isFile && isMainRequired() && !/\.m[jt]s$/.test(url)) {
    try {
      return requireFile(url);
    } catch (error) {
      if (!IS_NO_COMMONJS.has((error as { code?: string }).code ?? '')) throw error;
    }
  }
  try {
    return await importModule(url);
  } catch (error) {
    // An ES module has required it, by way of a hook.
    const { code } = error as { code?: string };
    if (!isFile || code !== 'ERR_UNKNOWN_FILE_EXTENSION' || !isHooked(url)) throw error;
    return requireFile(url);
  }
}

function requireFile(url: string): object {
  return { default: require(fileURLToPath(url)) as unknown };
}

function isHooked(url: string): boolean {
  const extension = /\.\w+$/.exec(url)?.[0] ?? '';
  return extension in require.extensions;
}
