/**
 * The file that a spawned child runs: `node spawn_main.js --multiprocessing-fork FDS`, the counterpart of
 * `python -c "from multiprocessing.spawn import spawn_main; spawn_main(...)" --multiprocessing-fork`.
 */
import { spawnMain } from './spawn.ts';

spawnMain(Number(process.argv[3]));
