/** `multiprocessing/sharedctypes`: values, arrays and structures in shared memory. */
import { defaultContext } from '@multiprocessing/contexts';
import * as core from '@multiprocessing/core/sharedctypes/sharedctypes';

export {
  CharArray,
  type CType,
  copy,
  type Fields,
  type LockContext,
  type SharedLock,
  SimpleData,
  Struct,
  Structure,
  StructureArray,
  type StructureClass,
  Synchronized,
  SynchronizedArray,
  SynchronizedBase,
  SynchronizedString,
  type Typecode,
  type TypecodeMap,
  WideCharArray,
} from '@multiprocessing/core/sharedctypes/sharedctypes';
export { Array, RawArray, RawValue, Value } from './index.ts';

/** As in core, with the default context. */
export const synchronized: typeof core.synchronized = (obj, lock, ctx = defaultContext) =>
  core.synchronized(obj, lock, ctx);
