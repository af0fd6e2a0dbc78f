/** `multiprocessing/pickle`: data in Python's own pickle format, and what Python's classes are here. */
export {
  AttributeError,
  type ClassOptions,
  DEFAULT_PROTOCOL,
  type DumpsOptions,
  dumps,
  type FromPython,
  HIGHEST_PROTOCOL,
  KeyError,
  type LoadsOptions,
  loads,
  PythonError,
  registerClass,
  registerEnum,
  Tuple,
} from '@multiprocessing/core/python_pickle/python_pickle';
