/** A program whose dependency has a copy of the library of its own. */
import { createRequire } from 'node:module';
import * as mp from 'multiprocessing';
import * as other from 'other';

const require = createRequire(import.meta.url);
export const copies = [mp, other.mp, require('multiprocessing'), require('other').mp];
export const separate = import.meta.resolve('multiprocessing') !== other.where;
