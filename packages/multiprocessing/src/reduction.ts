/** `multiprocessing/reduction`: how objects are pickled for another process. */
export { ForkingPickler, nameOf, type Reduced, register } from '@multiprocessing/core';
