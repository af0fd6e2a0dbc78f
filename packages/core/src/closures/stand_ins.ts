/**
 * What stands in the code that is sent for something that is not there. Where it can be, it is as long as that, so that what
 * follows keeps its place: an error tells the column.
 */

/** What variables are called in the code that is sent. @internal */
export const prefix = '__mp_';
/** @internal */
export const THIS = 'ꓔhis';
/** @internal */
export const ARGUMENTS = `${prefix}args`;
/** @internal */
export const META = `${prefix}meta`;

/** @internal */
export const HERITAGE = 'ꓧ';
/** The name of a member whose name was computed. @internal */
export const NAME = 'ꓠ';
/** @internal */
export const STATICS = `${prefix}statics`;
/** @internal */
export const PRIVATES = `${prefix}privates`;
/** Set while private members are given to an object (stamps.ts). @internal */
export const MARK = 'ꓢ';

/** A change of a source. @internal */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** So much room, with the same lines. @internal */
export const blank = (text: string) => text.replace(/[^\n]/g, ' ');
