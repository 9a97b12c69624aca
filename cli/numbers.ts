/**
 * Numbers in JSON that is given on the command line. `--numbers` is about those in the file; what replaces them is treated alike, as
 * JSON.parse would change a number without a word.
 */

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
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g)) {
    if (token.startsWith('"') || !isChanged(token, how)) continue
    throw new UsageError(
      `${option}: JavaScript would change the number ${token}. Put it into double quotes to keep it as a string, or choose with --numbers: exact keeps its digits${rawJSON ? '' : ' (needs Node.js 22)'}, lossy accepts the change`,
    )
  }
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
  const kept = all.replace(/0+$/, '')
  const digits = kept.replace(/^0+/, '')
  const exponent = digits ? Number(power) - fraction.length + all.length - kept.length : 0
  const sign = digits && literal.startsWith('-') ? '-' : ''
  return { text: `${sign}${digits}e${exponent}`, exponent }
}
