/**
 * The file that the forkserver runs: `node forkserver_main.js SETTINGS`.
 */
import { forkserverMain } from './server.ts';

forkserverMain(...process.argv.slice(2));
