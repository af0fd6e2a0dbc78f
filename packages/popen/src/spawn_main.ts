/**
 * The program that a spawned child runs; the counterpart of `python -c "from multiprocessing.spawn import
 * spawn_main; ..."`. Its fds are 3: the parent's sentinel, 4: the end of our own sentinel, which we only
 * hold, 5: the pickled process, 6 and up: what duplicateForChild passed.
 */
import { exitWithoutWork, reportAndExit } from './forked.ts';
import { setInheritedFds } from './inherited_fds.ts';
import { _main } from './spawn.ts';

const PARENT_SENTINEL = 3;
const DATA = 5;
const FIRST_INHERITED = 6;

/** Python's `spawn_main`. */
async function spawnMain(inheritedFds: number): Promise<void> {
  setInheritedFds(Array.from({ length: inheritedFds }, (_, i) => FIRST_INHERITED + i));
  exitWithoutWork();
  process.exit(await _main(DATA, PARENT_SENTINEL));
}

if (process.argv[2] !== '--multiprocessing-fork') {
  console.error('spawn_main is run by multiprocessing, not by hand');
  process.exit(2);
}
spawnMain(Number(process.argv[3])).catch(reportAndExit);
