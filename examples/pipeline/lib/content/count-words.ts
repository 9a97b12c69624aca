/**
 * Counts the words of a text without making them: `text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*\/gu)` was what took longest of all
 * that a publish does with its document, if that has a character beyond Latin-1.
 */

const IN_WORD = /^[\p{L}\p{N}]$/u
const JOINS = new Set(["'", '’', '-'].map((joint) => joint.charCodeAt(0)))

/** Of each UTF-16 unit, once it has been met: whether a word can have it. */
const NOT_MET = 0
const IN = 1
const OUT = 2
const met = new Uint8Array(0x10000)

function isInWord(code: number): boolean {
  if (code > 0xffff) return IN_WORD.test(String.fromCodePoint(code))
  if (met[code] === NOT_MET) met[code] = IN_WORD.test(String.fromCharCode(code)) ? IN : OUT
  return met[code] === IN
}

/** Words are letters and digits, joined by single apostrophes or hyphens. */
export function countWords(text: string): number {
  let count = 0
  let isWithin = false
  for (let at = 0; at < text.length; at++) {
    const code = text.codePointAt(at) as number
    if (code > 0xffff) at++
    if (isInWord(code)) {
      if (!isWithin) count++
      isWithin = true
    } else {
      isWithin &&= JOINS.has(code) && isInWord(text.codePointAt(at + 1) ?? 0)
    }
  }
  return count
}
