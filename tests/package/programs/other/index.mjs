export * as mp from '#multiprocessing';
export const where = import.meta.resolve('#multiprocessing');
