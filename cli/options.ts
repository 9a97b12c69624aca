/** Options that several commands have, and how their values are read. */

import { type Command, InvalidArgumentError, Option } from 'commander'

/** Numbers without a unit are milliseconds. */
export function parseDuration(text: string): number {
  const units = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }
  const [, value, unit = 'ms'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?$/.exec(text) ?? []
  if (value === undefined)
    throw new InvalidArgumentError('It is a number with a unit: 500ms, 30s, 15m, 2h, 7d.')
  return Number(value) * units[unit as keyof typeof units]
}

export function parseSize(text: string): number {
  const [, value, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(text) ?? []
  if (value === undefined)
    throw new InvalidArgumentError('It is a number of bytes, with a unit or without: 4096, 64k, 10MB.')
  return Math.round(Number(value) * 1024 ** ['', 'k', 'm', 'g', 't'].indexOf(unit.toLowerCase()))
}

export function parseCount(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It is a whole number.')
  return Number(text)
}

/** Of lines, or of a time: none is not a measure of anything. */
export function parsePositive(parse: (text: string) => number): (text: string) => number {
  return (text) => {
    const value = parse(text)
    if (value <= 0) throw new InvalidArgumentError('It is more than 0.')
    return value
  }
}

/** JSON of any value, as a file that is only read may have, whose numbers are read when `--numbers` is known. */
export function parseValue(text: string): string {
  parseJson(text)
  return text
}

/** JSON of an index, whose numbers are read when `--numbers` is known. */
export function parseIndex(text: string): string {
  if (!isIndex(parseJson(text))) throw new InvalidArgumentError('It is a JSON object, or an array.')
  return text
}

export const isIndex = (value: unknown): boolean => typeof value === 'object' && value !== null

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidArgumentError(
      `It is JSON: ${(error as Error).message}. Put it into single quotes for the shell.`,
    )
  }
}

export function parseMode(text: string): string {
  if (!/^[0-7]{1,4}$/.test(text)) throw new InvalidArgumentError('It is octal digits: 600, 0644.')
  return text
}

/** Adds groups of options to a command, behind its own. */
export const shared = (command: Command, ...groups: ((command: Command) => Command)[]): Command =>
  groups.reduce((all, add) => add(all), command)

/** How the result is told. */
export const told = (command: Command): Command =>
  command
    .option('-q, --quiet', 'say nothing but errors')
    .option('--json', 'print the result as JSON')
    .helpOption('-h, --help', 'print this text')

/** How a file is written. */
export const flushed = (command: Command): Command =>
  command
    .option('--no-flush', 'do not wait for the disk: a power cut may undo the change')
    .addOption(
      new Option('--verify <how>', 'read back from the page cache, from the device, or not at all')
        .choices(['cache', 'device', 'off'])
        .default('cache'),
    )
    .option('-p, --parents', 'make missing directories')

export interface Flushed {
  flush: boolean
  verify: 'cache' | 'device' | 'off'
  parents?: boolean
}

/** The same for the package. */
export const howToWrite = ({ flush, verify, parents = false }: Flushed) => ({
  flush,
  verify: verify === 'device' ? verify : verify === 'cache',
  mkdir: parents,
})

/** How the lock of a file is taken. */
export const locked = (command: Command): Command =>
  command
    .addOption(
      new Option(
        '--timeout <time>',
        'how long to wait for others that change it: 500ms, 30s, 5m; a number alone is milliseconds',
      )
        .argParser(parseDuration)
        .default(30_000, '30s'),
    )
    .option('--network', 'allow a network file system, which only this machine may write to')

export interface Locked {
  timeout: number
  network?: boolean
}

export const howToLock = ({ timeout, network }: Locked) => ({
  timeout,
  network: network ? ('allow' as const) : ('refuse' as const),
})

export const numbers = (command: Command): Command =>
  command.addOption(
    new Option('--numbers <how>', 'numbers that JavaScript would change: refuse, change or keep them')
      .choices(['strict', 'lossy', 'exact'])
      .default('strict'),
  )

export const checked = (command: Command): Command =>
  command.option(
    '--schema <module>',
    'what the index has to be like: MODULE, or MODULE#EXPORT, has a Standard Schema',
  )

export type Numbers = 'strict' | 'lossy' | 'exact'
