/** `multiprocessing/shared_memory`: memory that processes share by a name. */
export { SharedMemory, type SharedMemoryOptions } from '@multiprocessing/core';
