/** `multiprocessing/testing`: for suites that assert how processes live and end. No counterpart in CPython. */
export {
  expectNoLeftovers,
  type LeftoverCheck,
  type LeftoverOptions,
  type TestHooks,
} from './testing_leftovers.ts';
export { type ProcessRecord, type Recording, recordProcesses } from './testing_record.ts';
