import 'multiprocessing/forkable';
import * as mp from 'multiprocessing';
import { forkAvailable } from 'multiprocessing/os';

const ctx = mp.getContext('fork');
const p = new ctx.Process({ target: () => console.log(mp.currentProcess().name, String(ctx)) });
await p.start();
await p.join();
console.log(forkAvailable().available);
