/**
 * The table of the types that every pickle may name.
 */
import { arrayTypes } from './arrays.ts';
import { collectionTypes } from './collections.ts';
import { datetimeTypes } from './datetime.ts';
import { dtypeTypes } from './dtypes.ts';
import { exceptionTypes } from './exceptions.ts';
import { plainTypes } from './globals.ts';
import { numberTypes } from './numbers.ts';
import { numpyTypes } from './numpy.ts';
import { placeTypes } from './places.ts';
import { timezoneTypes } from './timezones.ts';
import { PythonTypes } from './types.ts';

/** @internal */
export const knownTypes = PythonTypes.later(() => [
  plainTypes(),
  exceptionTypes(),
  timezoneTypes(),
  datetimeTypes(),
  numberTypes(),
  collectionTypes(),
  placeTypes(),
  arrayTypes(),
  dtypeTypes(),
  numpyTypes(),
]);
