/**
 * The replaceable pickler: `BaseContext.reducer` of multiprocessing/context.py.
 */
import { typeError } from '../base/errors.ts';
import { processWide } from '../base/state.ts';
import * as reduction from './reduction.ts';

/** What stands in for the reduction module: anything with a ForkingPickler that can pickle. */
export interface Reducer {
  ForkingPickler: { dumps(obj: unknown): Uint8Array };
}

const state = processWide('reducer', () => ({ current: reduction as Reducer }));

/** What children are pickled with. @internal */
export function getReducer(): Reducer {
  return state.current;
}

/** @throws TypeError unless it has ForkingPickler.dumps @internal */
export function setReducer(reducer: Reducer): void {
  if (typeof reducer?.ForkingPickler?.dumps !== 'function') {
    throw typeError(
      'reducer must have a ForkingPickler with a dumps method, as multiprocessing/reduction',
    );
  }
  state.current = reducer;
}
