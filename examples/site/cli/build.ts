/** `build SRC OUT`: runs one builder at a time, shows progress, and ends cleanly when it is interrupted. */

import { basename, resolve } from 'node:path'
import pc from 'picocolors'
import { type AtomicBuildResult, buildAtomically } from '../lib/atomic-build'
import { buildSite } from '../lib/build'
import { atomicOutput } from '../lib/output'
import { becomeBuilder, pidFileOf } from '../lib/pid-file'
import { openReport } from './report'

export interface BuildCommand {
  source: string
  out: string
  url: string
  title?: string
  theme?: string
  atomic: boolean
  keepPrevious: boolean
  flush: boolean
  full: boolean
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** @returns the exit code. */
export async function build(command: BuildCommand): Promise<number> {
  const source = resolve(command.source)
  const out = resolve(command.out)
  const { url, flush, full, keepPrevious, theme, title = basename(source) } = command
  const interrupt = onInterrupt()
  const report = openReport()
  const started = Date.now()
  const { signal } = interrupt.controller
  const common = {
    source,
    out,
    url,
    title,
    ...(theme !== undefined && { theme }),
    signal,
    ignore: [`${out}.previous`],
    onProgress: report.pages,
  }
  let release = () => {}
  try {
    release = await becomeBuilder(await pidFileOf(out))
    const result = command.atomic
      ? await buildAtomically({ ...common, flush, keepPrevious })
      : await buildSite({ ...common, full, output: atomicOutput(out, { flush, signal }) })
    report.close()
    tell(result, Date.now() - started)
    return 0
  } catch (error) {
    report.close()
    if (interrupt.by === undefined || (error as Error).name !== 'AbortError') throw error
    process.stderr.write('site: interrupted; every file of the site is complete\n')
    return EXIT_CODES[interrupt.by]
  } finally {
    interrupt.forget()
    release()
  }
}

function tell(result: AtomicBuildResult, ms: number): void {
  const { pages, rendered, written, unchanged, removed, cache, build, previous, leftover } = result
  if (cache === 'damaged') {
    process.stderr.write(pc.yellow('site: the build cache was damaged, so every page was rendered\n'))
  }
  if (leftover !== undefined) {
    process.stderr.write(pc.yellow(`site: the old site could not be removed: ${leftover}\n`))
  }
  const parts = [`${rendered} rendered`, `${written} files written`, `${unchanged} unchanged`]
  if (removed > 0) parts.push(`${removed} removed`)
  process.stdout.write(`${pages} pages: ${parts.join(', ')} in ${(ms / 1000).toFixed(1)} s\n`)
  if (build !== undefined) process.stdout.write(`build ${build} is in place\n`)
  if (previous !== undefined) process.stdout.write(`the old site is ${previous}\n`)
}

/**
 * The first Ctrl-C aborts the build and cleans up; a later one ends the process, which is safe too. A second signal
 * within 500 ms is the same Ctrl-C, forwarded by the program that started this one.
 */
function onInterrupt() {
  const state = {
    controller: new AbortController(),
    by: undefined as keyof typeof EXIT_CODES | undefined,
    forget() {
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, heard)
    },
  }
  let first = 0
  const heard = (name: keyof typeof EXIT_CODES): void => {
    if (state.by !== undefined && Date.now() - first > 500) process.exit(EXIT_CODES[name])
    if (state.by === undefined) first = Date.now()
    state.by ??= name
    state.controller.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, heard)
  return state
}
