/**
 * `main.mjs ADDON METHOD before|first [allow]`: a child uses an addon, which its parent has used `before` when the main module was imported, or
 * which is used for the `first` time there. Prints, as JSON, how that went. MULTIPROCESSING is the URL of the library.
 */
import { use, useAndLeave } from './uses.mjs';

const mp = await import(process.env.MULTIPROCESSING);
const [addon, method, when, allow] = process.argv.slice(2);

/** Seconds after which a child hangs. */
const LONG = 10;

if (when === 'before') await use(addon);

if (mp.isMain(import.meta)) {
  const ctx = mp.getContext(method);
  if (allow !== undefined) ctx.allowThreads = true;
  const p = new ctx.Process({ target: useAndLeave, args: [addon] });
  await p.start();
  await p.join(LONG);
  const hangs = p.exitcode === undefined;
  if (hangs) p.kill();
  await p.join();
  const emulated = method === 'fork' && ctx.emulated;
  process.stdout.write(JSON.stringify({ hangs, exitcode: p.exitcode, emulated }));
  process.exit(0);
}
