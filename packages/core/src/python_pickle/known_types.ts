/**
 * The table of the types that every pickle may name.
 */
import { exceptionTypes } from './exceptions.ts';
import { plainTypes } from './globals.ts';
import { PythonTypes } from './types.ts';

/** @internal */
export const knownTypes = new PythonTypes();
for (const type of [...plainTypes, ...exceptionTypes]) knownTypes.register(type);
