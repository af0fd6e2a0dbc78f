/**
 * Python's `timedelta`, `timezone` and `ZoneInfo`.
 */
import { inspect } from 'node:util';
import { typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { GlobalName, type PythonType } from './types.ts';

const dayInSeconds = 86_400;

/** Two digits. */
export function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** @throws TypeError, ValueError */
export function checkInteger(value: unknown, name: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw typeError(`${name} must be an integer, not ${inspect(value)}`);
  }
  if (value < least || value > most) {
    throw new ValueError(`${name} must be in ${least} to ${most}, not ${value}`);
  }
  return value;
}

/** A length of time; Python's `datetime.timedelta`. The days may be negative, the rest is not. */
export class TimeDelta {
  readonly days: number;
  /** 0 to 86399. */
  readonly seconds: number;
  /** 0 to 999999. */
  readonly microseconds: number;

  /** @throws ValueError for more than 999999999 days */
  constructor(days = 0, seconds = 0, microseconds = 0) {
    const most = Number.MAX_SAFE_INTEGER;
    checkInteger(microseconds, 'microseconds', -most, most);
    checkInteger(seconds, 'seconds', -most, most);
    const carried = Math.floor(microseconds / 1e6);
    const all = seconds + carried;
    this.microseconds = microseconds - carried * 1e6;
    const more = Math.floor(all / dayInSeconds);
    this.seconds = all - more * dayInSeconds;
    this.days = checkInteger(
      checkInteger(days, 'days', -most, most) + more,
      'days',
      -999_999_999,
      999_999_999,
    );
  }

  /** Python's `total_seconds()`. */
  totalSeconds(): number {
    return this.days * dayInSeconds + this.seconds + this.microseconds / 1e6;
  }

  /** Python's `str(delta)`. */
  toString(): string {
    const { days, seconds, microseconds } = this;
    const time = `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
    const fraction = microseconds === 0 ? '' : `.${String(microseconds).padStart(6, '0')}`;
    const before = days === 0 ? '' : `${days} day${Math.abs(days) === 1 ? '' : 's'}, `;
    return `${before}${time}${fraction}`;
  }

  /** @internal */
  [inspect.custom](): string {
    const { days, seconds, microseconds } = this;
    const parts = Object.entries({ days, seconds, microseconds }).filter(([, n]) => n !== 0);
    return `datetime.timedelta(${parts.map(([name, n]) => `${name}=${n}`).join(', ') || '0'})`;
  }
}

/** `+01:00`, with seconds and microseconds if there are any. */
export function offsetText(offset: TimeDelta): string {
  const micro = (offset.days * dayInSeconds + offset.seconds) * 1e6 + offset.microseconds;
  const size = Math.abs(micro);
  const seconds = Math.floor(size / 1e6);
  let text = `${micro < 0 ? '-' : '+'}${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}`;
  if (size % 60e6 !== 0) text += `:${two(seconds % 60)}`;
  if (size % 1e6 !== 0) text += `.${String(size % 1e6).padStart(6, '0')}`;
  return text;
}

/** A time zone of one offset; Python's `datetime.timezone`. */
export class TimeZone {
  /** Python's `timezone.utc`. */
  static readonly utc: TimeZone;
  readonly offset: TimeDelta;
  readonly name: string | undefined;

  /** @throws ValueError for a day or more */
  constructor(offset: TimeDelta, name?: string) {
    if (!(offset instanceof TimeDelta)) {
      throw typeError(`offset must be a TimeDelta, not ${inspect(offset)}`);
    }
    if (Math.abs(offset.totalSeconds()) >= dayInSeconds) {
      throw new ValueError(`offset must be less than a day, not ${offset}`);
    }
    this.offset = offset;
    this.name = name;
  }

  /** Python's `str(timezone)`: its name, or `UTC+01:00`. */
  toString(): string {
    if (this.name !== undefined) return this.name;
    return this.offset.totalSeconds() === 0 ? 'UTC' : `UTC${offsetText(this.offset)}`;
  }

  /** @internal */
  [inspect.custom](): string {
    const { offset, name } = this;
    if (name === undefined && offset.totalSeconds() === 0) return 'datetime.timezone.utc';
    const more = name === undefined ? '' : `, ${inspect(name)}`;
    return `datetime.timezone(${inspect(offset)}${more})`;
  }
}

// Outside of the class: bundlers give a class another name that names itself.
(TimeZone as { utc: TimeZone }).utc = new TimeZone(new TimeDelta());

/** A time zone of the tz database; Python's `zoneinfo.ZoneInfo`. */
export class ZoneInfo {
  readonly key: string;

  constructor(key: string) {
    if (typeof key !== 'string') throw typeError(`key must be a string, not ${inspect(key)}`);
    this.key = key;
  }

  toString(): string {
    return this.key;
  }

  /** @internal */
  [inspect.custom](): string {
    return `zoneinfo.ZoneInfo(key=${inspect(this.key)})`;
  }
}

export type TimeZoneInfo = TimeZone | ZoneInfo;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Seconds east of UTC at a moment. @throws ValueError for a zone that Node has not */
function offsetAt(key: string, milliseconds: number): number {
  let format = formats.get(key);
  if (format === undefined) {
    try {
      format = new Intl.DateTimeFormat('en-US', {
        timeZone: key,
        hourCycle: 'h23',
        era: 'short',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      });
    } catch (error) {
      throw new ValueError(`the time zone ${inspect(key)} is unknown to Node`, { cause: error });
    }
    if (formats.size < 1000) formats.set(key, format);
  }
  const part = Object.fromEntries(
    format.formatToParts(milliseconds).map(({ type, value }) => [type, value]),
  );
  const year = part.era === 'BC' ? 1 - Number(part.year) : Number(part.year);
  const wall = utc(
    year,
    Number(part.month),
    Number(part.day),
    Number(part.hour),
    Number(part.minute),
    Number(part.second),
  );
  return (wall - Math.floor(milliseconds / 1000) * 1000) / 1000;
}

/** Milliseconds of a date and time in UTC, also of the first hundred years. */
export function utc(
  year: number,
  month: number,
  day: number,
  hour = 0,
  minute = 0,
  second = 0,
): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  return date.getTime();
}

/**
 * Seconds east of UTC of a time on the wall, by Python's rule: of two that are possible `fold` chooses, and where the clock
 * was put forward over it, it chooses the offset before or after.
 */
export function offsetOfWall(zone: TimeZoneInfo, wall: number, fold: number): number {
  if (zone instanceof TimeZone) return zone.offset.totalSeconds();
  const before = offsetAt(zone.key, wall - dayInSeconds * 1000);
  const after = offsetAt(zone.key, wall + dayInSeconds * 1000);
  if (before === after) return before;
  const right = [before, after].filter((o) => offsetAt(zone.key, wall - o * 1000) === o);
  if (right.length === 1) return right[0] as number;
  return fold === 0 ? before : after;
}

/** What Python's own pickles of a ZoneInfo call: with its key, and whether it is the one that all share. */
const unpickle = new GlobalName('zoneinfo:ZoneInfo._unpickle', {
  names: 'zoneinfo:ZoneInfo._unpickle',
  build: ([key]) => (typeof key === 'string' ? new ZoneInfo(key) : undefined),
});

/** Rows for the table of types. */
export const timezoneTypes = (): readonly PythonType[] => [
  {
    names: 'datetime.timedelta',
    cls: TimeDelta,
    build: ([days, seconds, microseconds, ...more]) =>
      more.length > 0
        ? undefined
        : new TimeDelta(days as number, seconds as number, microseconds as number),
    reduce: ({ days, seconds, microseconds }: TimeDelta) => ({
      args: [days, seconds, microseconds],
    }),
  },
  {
    names: 'datetime.timezone',
    cls: TimeZone,
    build: ([offset, name]) => {
      if (!(offset instanceof TimeDelta) || (name !== undefined && typeof name !== 'string'))
        return undefined;
      return new TimeZone(offset, name);
    },
    reduce: ({ offset, name }: TimeZone) => ({
      args: name === undefined ? [offset] : [offset, name],
    }),
  },
  {
    names: 'zoneinfo.ZoneInfo',
    cls: ZoneInfo,
    getattr: (name) => (name === '_unpickle' ? unpickle : undefined),
    build: ([key, ...more]) =>
      typeof key === 'string' && more.length === 0 ? new ZoneInfo(key) : undefined,
    reduce: ({ key }: ZoneInfo) => ({ args: [key] }),
  },
];

nameExports(import.meta.url, { TimeDelta, TimeZone, ZoneInfo });
