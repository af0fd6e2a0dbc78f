/** `multiprocessing/connection`: so far `wait` and its blocking twin. */
export { type Waitable, wait, waitSync } from '@multiprocessing/core';
