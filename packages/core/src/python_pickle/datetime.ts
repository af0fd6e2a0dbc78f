/**
 * Python's `datetime`, `date` and `time`, with their microseconds and time zones, which a Date has not. Deviations: D-154.
 */
import { inspect } from 'node:util';
import { typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { Refusal } from '../pickle/message.ts';
import {
  checkInteger,
  offsetOfWall,
  offsetText,
  TimeDelta,
  TimeZone,
  type TimeZoneInfo,
  two,
  utc,
  ZoneInfo,
} from './timezones.ts';
import type { PythonType, ReduceCall, Reduced } from './types.ts';

function checkZone(tzinfo: unknown): TimeZoneInfo | null {
  if (tzinfo === null || tzinfo === undefined) return null;
  if (tzinfo instanceof TimeZone || tzinfo instanceof ZoneInfo) return tzinfo;
  throw typeError(`tzinfo must be a TimeZone or a ZoneInfo, not ${inspect(tzinfo)}`);
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

function checkDay(year: number, month: number, day: number): void {
  checkInteger(year, 'year', 1, 9999);
  checkInteger(month, 'month', 1, 12);
  checkInteger(day, 'day', 1, daysIn(year, month));
}

function dayText(year: number, month: number, day: number): string {
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

/** A day; Python's `datetime.date`. */
export class DateOnly {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;

  /** @throws TypeError, ValueError for a day that is none */
  constructor(year: number, month: number, day: number) {
    checkDay(year, month, day);
    this.year = year;
    this.month = month;
    this.day = day;
  }

  /** Python's `str(date)`: `2024-02-29`. */
  toString(): string {
    return dayText(this.year, this.month, this.day);
  }

  toJSON(): string {
    return this.toString();
  }

  /** @internal */
  [inspect.custom](): string {
    return `datetime.date(${this.year}, ${this.month}, ${this.day})`;
  }
}

/** What a time of day has besides its numbers. */
export interface TimeOptions {
  /** None, that is a naive time, unless given. */
  readonly tzinfo?: TimeZoneInfo | null;
  /** 1 for the second time that the clock shows it, when it has been put back; 0 unless given. */
  readonly fold?: 0 | 1;
}

/** A time of day; Python's `datetime.time`. */
export class TimeOnly {
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly microsecond: number;
  readonly tzinfo: TimeZoneInfo | null;
  readonly fold: 0 | 1;

  /** @throws TypeError, ValueError for a time that is none */
  constructor(hour = 0, minute = 0, second = 0, microsecond = 0, options: TimeOptions = {}) {
    this.hour = checkInteger(hour, 'hour', 0, 23);
    this.minute = checkInteger(minute, 'minute', 0, 59);
    this.second = checkInteger(second, 'second', 0, 59);
    this.microsecond = checkInteger(microsecond, 'microsecond', 0, 999_999);
    this.tzinfo = checkZone(options.tzinfo);
    this.fold = checkInteger(options.fold ?? 0, 'fold', 0, 1) as 0 | 1;
  }

  /** Python's `str(time)`: `12:30:00.000001+01:00`. */
  toString(): string {
    const { tzinfo } = this;
    return timeText(this) + (tzinfo instanceof TimeZone ? offsetText(tzinfo.offset) : '');
  }

  toJSON(): string {
    return this.toString();
  }

  /** @internal */
  [inspect.custom](): string {
    return `datetime.time(${reprTime(this)})`;
  }
}

/** A moment or a time on the wall, to the microsecond; Python's `datetime.datetime`. A Date goes as one of UTC. */
export class DateTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly microsecond: number;
  /** `null` for a naive one, which does not say where its clock is. */
  readonly tzinfo: TimeZoneInfo | null;
  readonly fold: 0 | 1;

  /** @throws TypeError, ValueError for a time that is none */
  constructor(
    year: number,
    month: number,
    day: number,
    hour = 0,
    minute = 0,
    second = 0,
    microsecond = 0,
    options: TimeOptions = {},
  ) {
    checkDay(year, month, day);
    this.year = year;
    this.month = month;
    this.day = day;
    const time = new TimeOnly(hour, minute, second, microsecond, options);
    this.hour = time.hour;
    this.minute = time.minute;
    this.second = time.second;
    this.microsecond = time.microsecond;
    this.tzinfo = time.tzinfo;
    this.fold = time.fold;
  }

  /** The same moment in UTC. @throws ValueError for an invalid Date, and for a year beyond 1 to 9999 */
  static fromDate(date: Date): DateTime {
    return fromDate(date);
  }

  /**
   * The moment, without its microseconds beyond the millisecond. As Python's `timestamp()`, it takes a naive one for a time of
   * this machine's zone.
   * @throws ValueError for a zone that Node does not know
   */
  toDate(): Date {
    const { year, month, day, hour, minute, second, microsecond, tzinfo } = this;
    const milliseconds = Math.floor(microsecond / 1000);
    if (tzinfo === null) {
      const local = new Date(2000, 0);
      local.setFullYear(year, month - 1, day);
      local.setHours(hour, minute, second, milliseconds);
      return local;
    }
    const wall = utc(year, month, day, hour, minute, second);
    return new Date(
      Math.floor(wall - offsetOfWall(tzinfo, wall, this.fold) * 1000 + microsecond / 1000),
    );
  }

  /** East of UTC; Python's `utcoffset()`, `null` for a naive one. @throws ValueError for a zone that Node does not know */
  utcoffset(): TimeDelta | null {
    const { year, month, day, hour, minute, second, tzinfo } = this;
    if (tzinfo === null) return null;
    if (tzinfo instanceof TimeZone) return tzinfo.offset;
    const wall = utc(year, month, day, hour, minute, second);
    return new TimeDelta(0, offsetOfWall(tzinfo, wall, this.fold));
  }

  /** Python's `isoformat(sep)`. */
  isoformat(sep = 'T'): string {
    const offset = this.utcoffset();
    const zone = offset === null ? '' : offsetText(offset);
    return `${dayText(this.year, this.month, this.day)}${sep}${timeText(this)}${zone}`;
  }

  /** Python's `str(datetime)`: `2024-02-29 12:30:00.000001+01:00`. */
  toString(): string {
    return this.isoformat(' ');
  }

  toJSON(): string {
    return this.isoformat();
  }

  /** @internal */
  [inspect.custom](): string {
    return `datetime.datetime(${this.year}, ${this.month}, ${this.day}, ${reprTime(this)})`;
  }
}

// Outside of the class: bundlers give a class another name that names itself.
function fromDate(date: Date): DateTime {
  if (Number.isNaN(date.getTime())) throw new ValueError('the Date is invalid');
  return new DateTime(
    date.getUTCFullYear(),
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    date.getUTCMilliseconds() * 1000,
    { tzinfo: TimeZone.utc },
  );
}

type Clock = Pick<TimeOnly, 'hour' | 'minute' | 'second' | 'microsecond' | 'tzinfo' | 'fold'>;

function timeText({ hour, minute, second, microsecond }: Clock): string {
  const fraction = microsecond === 0 ? '' : `.${String(microsecond).padStart(6, '0')}`;
  return `${two(hour)}:${two(minute)}:${two(second)}${fraction}`;
}

function reprTime({ hour, minute, second, microsecond, tzinfo, fold }: Clock): string {
  let text = `${hour}, ${minute}`;
  if (second > 0 || microsecond > 0) text += `, ${second}`;
  if (microsecond > 0) text += `, ${microsecond}`;
  if (fold > 0) text += ', fold=1';
  return tzinfo === null ? text : `${text}, tzinfo=${inspect(tzinfo)}`;
}

//
// Python's states: bytes, and the zone
//

const foldBit = 0x80;

function isBytes(value: unknown, length: number): value is Buffer {
  return Buffer.isBuffer(value) && value.length === length;
}

function microsecondAt(bytes: Buffer, at: number): number {
  return bytes.readUIntBE(at, 3);
}

/** Protocols before 4 leave `fold` out, as CPython does: older readers would take it for a month or an hour that is none. */
function withFold(value: number, { fold }: Clock, { protocol }: ReduceCall): number {
  return fold === 1 && protocol > 3 ? value | foldBit : value;
}

function reduceDateTime(time: DateTime, call: ReduceCall) {
  const { year, month, day, tzinfo } = time;
  const { hour, minute, second, microsecond } = time;
  const state = Uint8Array.of(
    year >> 8,
    year & 0xff,
    withFold(month, time, call),
    day,
    hour,
    minute,
    second,
    microsecond >> 16,
    (microsecond >> 8) & 0xff,
    microsecond & 0xff,
  );
  return { args: tzinfo === null ? [state] : [state, tzinfo] };
}

function buildDateTime([state, tzinfo]: readonly unknown[]): DateTime | undefined {
  if (!isBytes(state, 10)) return undefined;
  const [, , month = 0, day = 0, hour, minute, second] = state as unknown as number[];
  return new DateTime(
    state.readUInt16BE(0),
    month & ~foldBit,
    day,
    hour,
    minute,
    second,
    microsecondAt(state, 7),
    { tzinfo: checkZone(tzinfo), fold: month & foldBit ? 1 : 0 },
  );
}

function buildDate([state]: readonly unknown[]): DateOnly | undefined {
  if (!isBytes(state, 4)) return undefined;
  return new DateOnly(state.readUInt16BE(0), state[2] as number, state[3] as number);
}

function buildTime([state, tzinfo]: readonly unknown[]): TimeOnly | undefined {
  if (!isBytes(state, 6)) return undefined;
  const [hour = 0, minute, second] = state as unknown as number[];
  return new TimeOnly(hour & ~foldBit, minute, second, microsecondAt(state, 3), {
    tzinfo: checkZone(tzinfo),
    fold: hour & foldBit ? 1 : 0,
  });
}

function reduceTime(time: TimeOnly, call: ReduceCall): Reduced {
  const { hour, minute, second, microsecond } = time;
  const state = Uint8Array.of(
    withFold(hour, time, call),
    minute,
    second,
    microsecond >> 16,
    (microsecond >> 8) & 0xff,
    microsecond & 0xff,
  );
  return { args: time.tzinfo === null ? [state] : [state, time.tzinfo] };
}

function reduceOwnDate(date: Date, call: ReduceCall): Reduced {
  try {
    return { name: 'datetime.datetime', ...reduceDateTime(DateTime.fromDate(date), call) };
  } catch (error) {
    const why = (error as Error).message;
    throw new Refusal(`a Date that no datetime can be cannot be sent to Python: ${why}`);
  }
}

/** Rows for the table of types. */
export const datetimeTypes = (): readonly PythonType[] => [
  { names: 'datetime.datetime', cls: DateTime, build: buildDateTime, reduce: reduceDateTime },
  {
    names: 'datetime.date',
    cls: DateOnly,
    build: buildDate,
    reduce: ({ year, month, day }: DateOnly) => ({
      args: [Uint8Array.of(year >> 8, year & 0xff, month, day)],
    }),
  },
  { names: 'datetime.time', cls: TimeOnly, build: buildTime, reduce: reduceTime },
  { names: [], cls: Date, reduce: reduceOwnDate },
];

nameExports(import.meta.url, { DateOnly, TimeOnly, DateTime });
