/**
 * Numbers in JSON that is given on the command line. `--numbers` is about those in the file; what replaces them is treated alike, as
 * JSON.parse would change a number without a word.
 */

import { quoted } from './check/finding'
import type { Numbers } from './options'
import { UsageError } from './run'

/** What Node.js has from version 22 on. */
interface WithRaw {
  rawJSON?: (literal: string) => unknown
  isRawJSON?: (value: unknown) => boolean
}

const { rawJSON, isRawJSON } = JSON as WithRaw

/** Whether it is a number as `--numbers exact` keeps it, which is an object and has no keys of its own. */
export const isRaw = (value: unknown): boolean => isRawJSON?.(value) ?? false

/** Parses JSON that is valid. */
export function parseWith(text: string, how: Numbers): unknown {
  if (how !== 'exact' || !rawJSON) return JSON.parse(text)
  const keep = (_: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === 'number' && context?.source && isChanged(context.source, how)
      ? rawJSON(context.source)
      : value
  return JSON.parse(text, keep as (key: string, value: unknown) => unknown)
}

/** Refuses JSON that has a number which would become another one in the file. */
export function refuseChanged(option: string, text: string, how: Numbers): void {
  if (how === 'lossy' || (how === 'exact' && rawJSON)) return
  for (const token of numbersIn(text)) {
    if (!isChanged(token, how)) continue
    throw new UsageError(
      `${option}: JavaScript would change the number ${token}. ${asString(option, text, token)}. Or choose with --numbers: exact keeps its digits${rawJSON ? '' : ' (needs Node.js 22)'}, lossy accepts the change`,
    )
  }
}

/** The numbers of valid JSON, as they are written. A regular expression that skips strings has no stack for one of 10 MB. */
function* numbersIn(text: string): Generator<string> {
  for (let at = 0; at < text.length; at++) {
    const first = text[at] ?? ''
    if (first === '"') {
      while (text[++at] !== '"') if (text[at] === '\\') at++
    } else if (/[-\d]/.test(first)) {
      const start = at
      while (/[\d.eE+-]/.test(text[at + 1] ?? '')) at++
      yield text.slice(start, at + 1)
    }
  }
}

/** How to keep a number as a string. A shell takes away double quotes that stand in no others. */
function asString(option: string, text: string, token: string): string {
  const [, key] = /^--set (.*)$/s.exec(option) ?? []
  if (key !== undefined && text.trim() === token)
    return `To keep it as a string: --set ${quoted(`${key}="${token}"`)}`
  const inShell = option === '--merge -' ? '' : ', and all of the JSON into single ones,'
  return `Put it into double quotes${inShell} to keep it as a string`
}

/** By the decimal values, as the package compares them: whole numbers, and those that are too large; exactly, decimals too. */
function isChanged(literal: string, how: Numbers): boolean {
  const value = Number(literal)
  if (!Number.isFinite(value)) return true
  const given = decimalOf(literal)
  return (how === 'exact' || given.exponent >= 0) && given.text !== decimalOf(String(value)).text
}

/** Digits without zeros at either end, and a power of ten. */
function decimalOf(literal: string): { text: string; exponent: number } {
  const [mantissa = '', power = '0'] = literal.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.')
  const all = whole + fraction
  // /0+$/ would look at the zeros before each digit again and again.
  let end = all.length
  while (all[end - 1] === '0') end--
  const kept = all.slice(0, end)
  const digits = kept.replace(/^0+/, '')
  const exponent = digits ? Number(power) - fraction.length + all.length - kept.length : 0
  const sign = digits && literal.startsWith('-') ? '-' : ''
  return { text: `${sign}${digits}e${exponent}`, exponent }
}
