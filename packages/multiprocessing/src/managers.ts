/** `multiprocessing/managers`: processes that hold objects for others. */
export * from '@multiprocessing/core/managers/managers';
