/** `multiprocessing/shared_memory`: memory that processes share by a name. */
export {
  type Shareable,
  ShareableList,
  SharedMemory,
  type SharedMemoryOptions,
} from '@multiprocessing/core';
