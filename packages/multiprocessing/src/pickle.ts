/** `multiprocessing/pickle`: plain data in Python's own pickle format. */
export {
  DEFAULT_PROTOCOL,
  type DumpsOptions,
  dumps,
  HIGHEST_PROTOCOL,
  type LoadsOptions,
  loads,
  Tuple,
} from '@multiprocessing/core/python_pickle/python_pickle';
