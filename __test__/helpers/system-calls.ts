// What a whole process asks of the kernel, in the order in which that happens, and faults put into it: strace.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { inProcess, type Remote } from './processes'

/** One call of any thread. One that ended before another began was over by then. */
export interface SystemCall {
  /** The id of the thread; that of the JavaScript thread is the process id. */
  thread: number
  name: string
  args: string
  result: string
  began: number
  ended: number
}

interface Tracing {
  /** The calls to look at. */
  trace: string[]
  /** Look only at calls on exactly these paths. */
  paths?: string[]
  /** strace's options of that name. Its `when` counts for each thread by itself. */
  inject?: string[]
  env?: NodeJS.ProcessEnv
  /**
   * Run each time the process has stopped, which goes on when this is over. A fault `signal=SIGSTOP` stops it as its
   * call returns. Unlike a delay, that lasts as long as what another program is to do meanwhile, on any machine.
   */
  whileStopped?: () => unknown
}

/** Links are shown as strings are, of which strace shows 32 bytes. */
export const WHOLE = ['-s', '4096'] as const

/** Runs `main` in another process under strace, to its end. */
export async function systemCalls<A extends unknown[] | [], R>(
  main: (there: Remote, ...args: A) => Promise<R>,
  args: A,
  { trace, paths = [], inject = [], env = {}, whileStopped }: Tracing,
): Promise<{ returned: R; calls: SystemCall[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'atomic-trace-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const out = join(dir, 'calls')
  const options = [
    ...['-f', '-qq', '-y', ...WHOLE, '-o', out, '-e', `trace=${trace.join()}`],
    ...paths.flatMap((path) => ['-P', path]),
    ...inject.flatMap((fault) => ['-e', `inject=${fault}`]),
  ]
  const before = `set -- strace ${options.map((option) => `'${option}'`).join(' ')} "$@"`
  const child = inProcess(main, args, { before, env })
  const stops = whileStopped && eachStop(out, child.exit, whileStopped)
  const [returned] = await Promise.all([child.returned as Promise<R>, stops])
  await child.exit
  return { returned, calls: parse(readFileSync(out, 'utf8')) }
}

/** A thread that has stopped its process, and is stopped itself. */
const STOP = /^(\d+) +--- SIGSTOP \{[\s\S]*?^\1 +--- stopped by SIGSTOP.*/gm

async function eachStop(out: string, exit: Promise<unknown>, act: () => unknown): Promise<void> {
  let isOver = false
  exit.then(() => {
    isOver = true
  })
  const traced = () => (existsSync(out) ? readFileSync(out, 'utf8') : '')
  const signal = (name: NodeJS.Signals, thread: string) => {
    try {
      process.kill(Number(thread), name)
    } catch {
      // It has ended.
    }
  }
  // With a test that fails strace goes, and would leave the process stopped.
  onTestFinished(() => {
    const [first] = /^\d+/.exec(traced()) ?? []
    if (!isOver && first !== undefined) signal('SIGKILL', first)
    isOver = true
  })
  for (let from = 0; !isOver; await sleep(2)) {
    STOP.lastIndex = from
    const stop = STOP.exec(traced())
    if (!stop?.[1]) continue
    from = STOP.lastIndex
    await act()
    signal('SIGCONT', stop[1])
  }
}

function parse(output: string): SystemCall[] {
  const begun = new Map<string, { at: number; text: string }>()
  const calls = output.split('\n').flatMap((line, at) => {
    const [, thread = '', text = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    const [, start] = /^(.*) <unfinished \.\.\.>$/.exec(text) ?? []
    if (start !== undefined) {
      begun.set(thread, { at, text: start })
      return []
    }
    const [, rest] = /^<\.\.\. \w+ resumed>(.*)$/.exec(text) ?? []
    const earlier = rest === undefined ? undefined : begun.get(thread)
    const whole = earlier ? earlier.text + rest : text
    const [, name, args, result] = /^(\w+)\((.*)\)\s+= (.*)$/.exec(whole) ?? []
    if (name === undefined || args === undefined || result === undefined) return []
    return [{ thread: Number(thread), name, args, result, began: earlier?.at ?? at, ended: at }]
  })
  return calls.sort((one, other) => one.began - other.began)
}
