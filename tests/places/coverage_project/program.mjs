import * as mp from 'multiprocessing';
import { run } from './run.mjs';

if (mp.isMain(import.meta)) await run();
