// What one call with large data leaves behind in its process, when nothing comes after it that could take its place: nothing.

import { join } from 'node:path'
import { expect } from 'vitest'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

/** Waits until the process has little more memory than before its only call. What that was given is still in use. */
const callOnce = async (there: Remote, kind: string, file: string, megabytes: number) => {
  const { atomicWrite, atomicWriteAll, atomicIndexPatch, until } = there
  const bytes = Buffer.alloc(megabytes << 20, 'x')
  const text = kind === 'text' || kind === 'patch' ? bytes.toString('latin1') : ''
  const calls: Record<string, () => Promise<unknown>> = {
    bytes: () => atomicWrite(file, bytes),
    text: () => atomicWrite(file, text),
    batch: () => atomicWriteAll([{ path: file, data: bytes }]),
    patch: () => atomicIndexPatch(file, { set: { '/text': text } }),
  }
  let collected = Number.NEGATIVE_INFINITY
  const memory = () => {
    // Not at each look while what is kept a moment is waited for: it takes longer than the look.
    if (performance.now() - collected > 100) {
      ;(globalThis as any).gc()
      collected = performance.now()
    }
    return process.memoryUsage.rss() >> 20
  }
  const before = memory()
  // V8 itself keeps some 33 MB of what it has collected.
  const isAsBefore = (kept = 0) => memory() - before < kept + 45
  const result = await calls[kind]?.()
  if (kind === 'patch') {
    // What the index says is kept for its next patch, and nothing else.
    await until(() => isAsBefore(megabytes))
    await atomicIndexPatch(file, { remove: ['/text'] })
  }
  await until(() => isAsBefore())
  return { result: typeof result, given: bytes.length + text.length }
}

// Memory of up to 64 MB is kept a moment for a call that may come next, and of more it is not.
for (const megabytes of [60, 100]) {
  for (const kind of ['bytes', 'text', 'batch', 'patch']) {
    test(`memory is given back after one call with ${megabytes} MB: ${kind}`, async ({ dir }) => {
      const child = inProcess(callOnce, [kind, join(dir, 'file'), megabytes], { execArgv: ['--expose-gc'] })
      expect((await child.returned).result).toBe('object')
    })
  }
}
