// A write is done again and again, each time with a fault in another one of its system calls.

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { leftovers } from './files'
import type { Content, Writer, Written } from './trace'

type Options = Parameters<Writer['write']>[2]

/** What went wrong: it must be rejected and nothing changed, or done and whole. */
export async function problemsOfEachFault(
  writer: Writer,
  dir: string,
  data: Content,
  prepare: (dir: string) => [path: string, options: Options],
): Promise<string[]> {
  const whole = Array.isArray(data) ? data.join('') : data
  const attempt = async (name: string, fault?: string) => {
    const place = join(dir, name)
    mkdirSync(place)
    const [path, options] = prepare(place)
    const before = contentOf(path)
    const answer = await writer.traced(path, data, options, fault)
    return { ...answer, before, after: contentOf(path), left: leftovers(place) }
  }
  // What happens only the first time is not to be counted.
  await attempt('warm')
  const { calls, result } = await attempt('dry')
  expect(result).toMatchObject({ written: true })
  expect(calls.length).toBeGreaterThan(12)
  const problems: string[] = []
  for (const { name, nth } of calls) {
    const problem = verdict(name, whole, await attempt(`${name}-${nth}`, `${name}:error=EIO:when=${nth}`))
    if (problem) problems.push(`${name} #${nth}: ${problem}`)
  }
  return problems
}

const contentOf = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined)

type Attempt = Written & { before: string | undefined; after: string | undefined; left: string[] }

function verdict(call: string, data: unknown, found: Attempt): string | undefined {
  const { result, error, before, after, left } = found
  if (after !== (error && !error.committed ? before : data))
    return `${error?.code ?? 'resolved'}, and ${after}`
  if (call === 'fsync' && result) return 'a failed flush, and yet it resolved'
  if (call === 'write' && result) return 'a failed write, and yet it resolved'
  // The injected failure of unlink is that of the clean-up itself.
  if (call !== 'unlinkat' && left.length > 0) return `left ${left}`
  return undefined
}
