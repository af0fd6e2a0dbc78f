/**
 * No counterpart in CPython: runs first in a process that is going to fork (forkSafeExecArgv() puts
 * it there by `--require`) and sees to it that no module is loaded by way of a thread. See loader.ts.
 */
import { readFileSync } from 'node:fs';
import Module, { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { shared } from '@multiprocessing/core/base/state';
import { ForkUnsafeLoaderError } from './errors.ts';
import type { PreloadMark } from './loader.ts';
import { hostTsx, internalsExposed } from './tsx_in_thread.ts';

interface CjsModule {
  exports: unknown;
}
type Extension = (module: CjsModule, filename: string) => void;
type Load = (this: CjsModule, filename: string) => void;

const { _extensions: extensions, prototype } = Module as unknown as {
  _extensions: Record<string, Extension>;
  prototype: { load: Load };
};

const hosted = internalsExposed();
const mark: PreloadMark = { hosted };
shared()[Symbol.for('multiprocessing.loader_preload')] = mark;
hideOurFlags();
Object.assign(Module, { register });
syncBuiltinESMExports();
interceptLoad();

/**
 * A child_process.fork() of the user's inherits process.execArgv, and must not become like us. What tells that
 * this process can fork, --single-threaded, stays visible.
 */
function hideOurFlags(): void {
  const { execArgv } = process;
  const at = execArgv.findIndex(
    (flag, i) => flag === '--require' && execArgv[i + 1] === import.meta.filename,
  );
  if (at < 0) return;
  execArgv.splice(at, 2);
  const internals = execArgv.indexOf('--expose-internals');
  if (hosted && internals >= 0) execArgv.splice(internals, 1);
}

/** In place of `module.register()`, which starts a thread. */
function register(
  specifier: string | URL,
  parentURL?: string | URL | Module.RegisterOptions<unknown>,
  options?: Module.RegisterOptions<unknown>,
): void {
  const given =
    typeof parentURL === 'object' && !(parentURL instanceof URL) ? parentURL : (options ?? {});
  const parent = String(
    given === parentURL ? (given.parentURL ?? 'data:') : (parentURL ?? 'data:'),
  );
  const isTsx = /[\\/]tsx[\\/]dist[\\/]/.test(parent);
  if (isTsx && hosted) {
    hostTsx(new URL(specifier, parent), given.data, given.transferList);
    return;
  }
  throw new ForkUnsafeLoaderError(
    `module.register('${specifier}') in ${parent}: its hooks would run on a thread, and this process ` +
      'forks, which no thread survives. Use module.registerHooks(), or the spawn start method',
  );
}

/**
 * Two files are treated in a special way when they are loaded by CommonJS. Handlers of `.js` are left alone: hooks put others in
 * their place, which call what they have found there.
 */
function interceptLoad(): void {
  const { load } = prototype;
  const native = extensions['.js'] as Extension;
  prototype.load = function (filename) {
    if (/[\\/]esbuild[\\/]lib[\\/]main\.js$/.test(filename)) loadEsbuild(load, this, filename);
    else if (
      extensions['.js'] !== native &&
      filename.endsWith('.js') &&
      isOurs(dirname(filename))
    ) {
      loadNatively(load, this, filename, native);
    } else load.call(this, filename);
  };
}

/** tsx/cjs would make a second, CommonJS copy of this library; Node's require() has one instance. */
function loadNatively(load: Load, module: CjsModule, filename: string, native: Extension): void {
  const hooked = extensions['.js'] as Extension;
  extensions['.js'] = native;
  try {
    load.call(module, filename);
  } finally {
    extensions['.js'] = hooked;
  }
}

/** Its transformSync hides a thread unless told not to; its transform shares a process and a pipe. */
function loadEsbuild(load: Load, module: CjsModule, filename: string): void {
  const before = process.env.ESBUILD_WORKER_THREADS;
  process.env.ESBUILD_WORKER_THREADS = '0';
  load.call(module, filename);
  if (before === undefined) delete process.env.ESBUILD_WORKER_THREADS;
  else process.env.ESBUILD_WORKER_THREADS = before;
  if (!hosted) return;
  const esbuild = module.exports as { transformSync(...args: unknown[]): unknown };
  const transform = async (...args: unknown[]) => esbuild.transformSync(...args);
  module.exports = { ...esbuild, transform };
}

const ours = new Map<string, boolean>();

/** Whether a directory belongs to a package of this library. */
function isOurs(directory: string): boolean {
  let known = ours.get(directory);
  if (known === undefined) {
    try {
      const { name } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
      known = /^(@multiprocessing\/.*|multiprocessing)$/.test(String(name));
    } catch {
      const parent = dirname(directory);
      known = parent !== directory && isOurs(parent);
    }
    ours.set(directory, known);
  }
  return known;
}
